use super::*;

const NOW: Instant = Instant::from_secs(100);

/// Searches a path that carries `real`; gives what was found, and the sizes probed.
fn search_path(low: u16, most: u16, real: u16) -> (u16, Vec<u16>) {
    let mut search = Search::new(low, most, most, NOW);
    let (mut now, mut sizes) = (NOW, Vec::new());
    loop {
        let size = search.wanted(u16::MAX, now).expect("it goes on");
        sizes.push(size);
        let step = if size <= real {
            search.got_through(size, now)
        } else {
            search.lost(size, now)
        };
        if let Step::Found(found) = step {
            return (found, sizes);
        }
        now += RETRY;
        assert!(sizes.len() < 40, "{sizes:?}");
    }
}

#[test]
fn any_path_is_found_to_within_eight_bytes_and_never_overestimated() {
    for (low, most) in [(1024, 1500), (1280, 1500), (576, 9000), (1280, 65_535)] {
        for real in (low..=most).step_by(usize::from(most - low) / 100 + 1) {
            let (found, sizes) = search_path(low, most, real);
            let real_case = format!("{low} {most} {real}: {found} after {sizes:?}");
            assert!(found <= real && real - found < GRAIN, "{real_case}");
            assert_eq!(sizes[0], most, "{real_case}");
            assert!(sizes.len() <= 2 * 17, "{real_case}");
        }
    }
    assert_eq!(search_path(1024, 1500, 1500), (1500, vec![1500]));
}

#[test]
fn one_lost_probe_is_not_enough_and_its_size_is_tried_once_more() {
    let mut search = Search::new(1024, 1500, 1500, NOW);
    assert_eq!(search.lost(1500, NOW), Step::GoesOn);
    assert_eq!(search.wanted(u16::MAX, NOW), None, "not at once");
    assert_eq!(search.wanted(u16::MAX, NOW + RETRY), Some(1500));
    assert_eq!(search.lost(1500, NOW + RETRY), Step::GoesOn);
    assert_eq!(search.wanted(u16::MAX, NOW + RETRY * 2), Some(1024 + 238));
    search.probe = Some(Probe {
        start: 0,
        end: 1,
        size: 1262,
    });
    assert_eq!(
        search.wanted(u16::MAX, NOW + RETRY * 2),
        None,
        "one at a time"
    );
    search.inconclusive(NOW + RETRY * 2);
    assert_eq!(search.wanted(u16::MAX, NOW + RETRY * 3), Some(1262));
}

#[test]
fn what_was_found_ages_and_then_the_most_is_tried_again() {
    let mut search = Search::new(1400, 1500, 1500, NOW);
    while search.lost(search.size(), NOW) == Step::GoesOn {}
    assert!(!search.is_over());
    let early = NOW + (AGE - Duration::from_nanos(1));
    assert_eq!(search.wanted(u16::MAX, early), None);
    assert_eq!(search.wanted(u16::MAX, NOW + AGE), Some(1500));
    assert_eq!(search.got_through(1500, NOW + AGE), Step::Found(1500));
    assert!(search.is_over());
    assert_eq!(search.wanted(u16::MAX, NOW + AGE * 2), None);
}

#[test]
fn what_a_router_names_is_tried_next() {
    let mut search = Search::new(1024, 9000, 9000, NOW);
    assert_eq!(search.told(1492, NOW), Step::GoesOn);
    assert_eq!(search.wanted(u16::MAX, NOW), Some(1492));
    assert_eq!(search.got_through(1492, NOW), Step::Found(1492));
    // A router that names less than what got through before is not believed.
    let mut search = Search::new(1400, 1500, 1500, NOW);
    assert_eq!(search.told(1000, NOW), Step::Found(1400));
    assert_eq!(search.wanted(u16::MAX, NOW), None);
}

#[test]
fn where_the_window_has_no_room_smaller_sizes_are_tried_first() {
    let (mut search, mut now) = (Search::new(1064, 9000, 9000, NOW), NOW);
    assert_eq!(search.wanted(1064, now), None);
    assert_eq!(search.wanted(1070, now), None, "too little to find");
    // Room for 7,000 bytes on a path of 1,500.
    let mut sizes = Vec::new();
    loop {
        let size = search.wanted(7000, now).expect("it goes on");
        sizes.push(size);
        let step = match size <= 1500 {
            true => search.got_through(size, now),
            false => search.lost(size, now),
        };
        if let Step::Found(found) = step {
            assert!((1493..=1500).contains(&found), "{found} after {sizes:?}");
            break;
        }
        now += RETRY;
    }
    assert_eq!(sizes[..2], [5032, 5032]);
    // More room after the first loss: the second size is another one, and says nothing about the first.
    let mut search = Search::new(1064, 9000, 9000, NOW);
    let (first, second) = (5032, 9000);
    assert_eq!(search.lost(first, NOW), Step::GoesOn);
    assert_eq!(search.wanted(u16::MAX, NOW + RETRY), Some(second));
    assert_eq!(search.lost(second, NOW + RETRY), Step::GoesOn);
    assert_eq!(
        search.wanted(u16::MAX, NOW + RETRY * 2),
        Some(second),
        "not given up"
    );
}
