use proptest::prelude::*;
use std::collections::BTreeSet;

use super::{Inserted, Range, RangeSet};

fn ranges(set: &RangeSet) -> Vec<(u64, u64)> {
    set.as_slice()
        .iter()
        .map(|range| (range.start, range.end))
        .collect()
}

#[test]
fn segments_two_to_six_are_one_range_and_segment_one_takes_them_along() {
    let mut set = RangeSet::default();
    for start in (10..60).step_by(10) {
        assert_eq!(set.insert(start, start + 10, 4), Inserted::Kept);
    }
    assert_eq!(ranges(&set), [(10, 60)]);
    assert_eq!(set.advance(10), 60);
    assert!(set.is_empty());
}

#[test]
fn a_full_list_gives_up_its_farthest_range_for_a_nearer_one() {
    let mut set = RangeSet::default();
    for start in [20, 30, 40] {
        set.insert(start, start + 1, 3);
    }
    assert_eq!(set.insert(50, 51, 3), Inserted::Refused);
    assert_eq!(set.insert(10, 11, 3), Inserted::Kept);
    assert_eq!(ranges(&set), [(10, 11), (20, 21), (30, 31)]);
    assert_eq!(
        set.insert(31, 40, 3),
        Inserted::Kept,
        "growing a range needs no place"
    );
}

#[test]
fn an_overlap_across_ranges_merges_them() {
    let mut set = RangeSet::default();
    set.insert(10, 20, 9);
    set.insert(30, 40, 9);
    set.insert(50, 60, 9);
    set.insert(15, 50, 9);
    assert_eq!(set.as_slice(), [Range { start: 10, end: 60 }]);
}

proptest! {
    #[test]
    fn it_holds_what_a_set_of_bytes_holds(pieces in prop::collection::vec((0u64..200, 1u64..20), 1..60), next in 0u64..250) {
        let mut set = RangeSet::default();
        let mut model = BTreeSet::new();
        for (start, length) in pieces {
            set.insert(start, start + length, 1000);
            model.extend(start..start + length);
        }
        let held: BTreeSet<u64> = set.as_slice().iter().flat_map(|r| r.start..r.end).collect();
        prop_assert_eq!(&held, &model);
        prop_assert!(set.as_slice().windows(2).all(|pair| pair[0].end < pair[1].start));
        prop_assert_eq!(set.bytes(), model.len() as u64);
        let mut expected = next;
        while model.contains(&expected) {
            expected += 1;
        }
        prop_assert_eq!(set.advance(next), expected);
        prop_assert!(set.as_slice().iter().all(|range| range.start > next));
    }
}
