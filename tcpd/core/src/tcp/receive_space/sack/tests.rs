use super::*;

/// A receiver that may report, in which the segments arrived in this order.
fn after(segments: &[(u64, u64)]) -> (Sack, RangeSet) {
    arriving(segments, true)
}

fn arriving(segments: &[(u64, u64)], permitted: bool) -> (Sack, RangeSet) {
    let mut sack = Sack {
        permitted,
        ..Sack::default()
    };
    let mut ranges = RangeSet::default();
    for &(start, end) in segments {
        ranges.insert(start, end, 100);
        sack.stored(start, &ranges);
    }
    (sack, ranges)
}

fn blocks(sack: &mut Sack, ranges: &RangeSet, most: usize) -> Vec<(u64, u64)> {
    sack.take_blocks(ranges, most)
        .iter()
        .map(|range| (range.start, range.end))
        .collect()
}

#[test]
fn the_newest_range_comes_first_and_the_others_by_their_news() {
    let (mut sack, ranges) = after(&[(10, 20), (50, 60), (30, 40), (70, 80), (90, 100)]);
    let newest = [(90, 100), (70, 80), (30, 40), (50, 60)];
    assert_eq!(blocks(&mut sack, &ranges, 4), newest);
    assert_eq!(blocks(&mut sack, &ranges, 3), newest[..3]);
    assert_eq!(blocks(&mut sack, &ranges, 4), newest, "as often as needed");
}

#[test]
fn a_segment_that_grows_an_old_range_makes_it_the_newest() {
    let (mut sack, ranges) = after(&[(10, 20), (50, 60), (20, 25)]);
    assert_eq!(blocks(&mut sack, &ranges, 4), [(10, 25), (50, 60)]);
    let (mut sack, ranges) = after(&[(10, 20), (50, 60), (30, 40), (20, 30)]);
    assert_eq!(blocks(&mut sack, &ranges, 4), [(10, 40), (50, 60)]);
}

#[test]
fn room_that_merged_ranges_leave_is_filled_with_the_lowest() {
    let (mut sack, ranges) = after(&[
        (10, 11),
        (20, 21),
        (30, 31),
        (40, 41),
        (50, 51),
        (60, 61),
        (31, 40),
        (51, 60),
    ]);
    let expected = [(50, 61), (30, 41), (10, 11), (20, 21)];
    assert_eq!(blocks(&mut sack, &ranges, 4), expected);
}

#[test]
fn what_arrived_twice_comes_before_its_range_and_only_once() {
    let (mut sack, ranges) = after(&[(10, 20), (50, 60)]);
    sack.arrived_twice(12, 15);
    let first = [(12, 15), (10, 20), (50, 60)];
    assert_eq!(blocks(&mut sack, &ranges, 4), first);
    assert_eq!(blocks(&mut sack, &ranges, 4), [(50, 60), (10, 20)]);
    // All of a range, and bytes below RCV.NXT.
    sack.arrived_twice(50, 60);
    let whole = [(50, 60), (50, 60), (10, 20)];
    assert_eq!(blocks(&mut sack, &ranges, 4), whole);
    sack.arrived_twice(0, 5);
    let below = [(0, 5), (50, 60), (10, 20)];
    assert_eq!(blocks(&mut sack, &ranges, 4), below);
    sack.arrived_twice(7, 7);
    assert!(!sack.owes_duplicate(), "nothing");
}

#[test]
fn nothing_is_reported_that_was_not_agreed() {
    let (mut sack, ranges) = arriving(&[(10, 20)], false);
    sack.arrived_twice(0, 5);
    assert_eq!(blocks(&mut sack, &ranges, 4), []);
    assert!(!sack.has_news(&ranges) && !sack.owes_duplicate());
}

#[test]
fn ranges_that_are_gone_are_not_reported() {
    let (mut sack, mut ranges) = after(&[(10, 20), (50, 60)]);
    assert_eq!(ranges.advance(10), 20);
    assert_eq!(blocks(&mut sack, &ranges, 4), [(50, 60)]);
    assert_eq!(ranges.advance(55), 60);
    assert_eq!(blocks(&mut sack, &ranges, 4), []);
    assert!(!sack.has_news(&ranges));
}
