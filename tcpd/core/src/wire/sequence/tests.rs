use super::*;
use proptest::prelude::*;

#[test]
fn order_holds_across_the_wrap() {
    let (a, b) = (SequenceNumber(u32::MAX), SequenceNumber(1));
    assert!(a.before(b) && a.before_or_equal(b) && b.after(a) && b.after_or_equal(a));
    assert_eq!(b.offset_from(a), 2);
    assert_eq!(a.distance_to(b), 2);
    assert_eq!(a.later_of(b), b);
    assert_eq!(a.earlier_of(b), a);
    assert!(SequenceNumber(0).within(a, 2) && !b.within(a, 2));
    assert!(!a.within(a, 0));
}

#[test]
fn position_before_the_stream_is_none() {
    let anchor = SequenceNumber(10);
    assert_eq!(SequenceNumber(9).position_near(anchor, 0), None);
    assert_eq!(
        SequenceNumber(9).position_near(anchor, 1 << 40),
        Some((1 << 40) - 1)
    );
    assert_eq!(SequenceNumber(12).position_near(anchor, 5), Some(7));
}

proptest! {
    #[test]
    fn exactly_one_of_before_equal_after(a: u32, step in 0u32..(1 << 31)) {
        let (a, b) = (SequenceNumber(a), SequenceNumber(a) + step);
        prop_assert_eq!(b.after(a), step != 0);
        prop_assert_eq!(a.before(b), step != 0);
        prop_assert!(a.before_or_equal(b) && b.after_or_equal(a));
        prop_assert_eq!(b - step, a);
    }
}
