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

/// What the comparisons must say of `b = a + step` when the circle is cut open: `step` in 0..2³², taken as the nearest
/// representative in −2³¹..2³¹. RFC 9293 §3.4.
fn nearest(step: u32) -> i64 {
    let step = i64::from(step);
    if step < 1 << 31 {
        step
    } else {
        step - (1 << 32)
    }
}

/// Steps where something changes: around 0, 2³¹ and 2³², and anything.
fn steps() -> impl Strategy<Value = u32> {
    prop_oneof![
        0u32..4,
        (1u32 << 31) - 3..(1 << 31) + 3,
        u32::MAX - 3..=u32::MAX,
        any::<u32>(),
    ]
}

/// Numbers on both sides of the wrap and of the sign bit, and anything.
fn numbers() -> impl Strategy<Value = u32> {
    steps()
}

#[test]
fn half_the_circle_away_is_before_and_not_after() {
    let a = SequenceNumber(5);
    let opposite = a + (1 << 31);
    assert!(
        opposite.before(a) && a.before(opposite),
        "2³¹ apart: each lies behind the other"
    );
    assert!(!opposite.after(a) && !a.after(opposite));
    assert_eq!(opposite.signed_offset_from(a), i32::MIN);
}

proptest! {
    /// RFC 9293 §3.4: every comparison against plain arithmetic on integers that do not wrap.
    #[test]
    fn comparisons_agree_with_integers_that_do_not_wrap(a in numbers(), step in steps()) {
        let (here, there) = (SequenceNumber(a), SequenceNumber(a) + step);
        let difference = nearest(step);
        prop_assert_eq!(there.before(here), difference < 0);
        prop_assert_eq!(there.before_or_equal(here), difference <= 0);
        prop_assert_eq!(there.after(here), difference > 0);
        prop_assert_eq!(there.after_or_equal(here), difference >= 0);
        prop_assert_eq!(i64::from(there.signed_offset_from(here)), difference);
        prop_assert_eq!(there.offset_from(here), step);
        prop_assert_eq!(here.distance_to(there), step);
        let (earlier, later) = if difference < 0 { (there, here) } else { (here, there) };
        prop_assert_eq!(here.later_of(there), if difference == -(1 << 31) { there } else { later });
        prop_assert_eq!(here.earlier_of(there), if difference == -(1 << 31) { here } else { earlier });
        prop_assert_eq!(there - step, here);
        let mut walked = here;
        walked += step;
        prop_assert_eq!(walked, there);
        prop_assert_eq!(u64::from(there.0), (u64::from(a) + u64::from(step)) % (1 << 32));
    }

    /// start =< number < start + length, counted on integers that do not wrap.
    #[test]
    fn window_membership_agrees_with_counting(start in numbers(), length in steps(), step in steps()) {
        let number = SequenceNumber(start) + step;
        prop_assert_eq!(number.within(SequenceNumber(start), length), u64::from(step) < u64::from(length));
    }

    /// Just inside and just outside of both edges of a window.
    #[test]
    fn the_edges_of_a_window_are_exact(start in numbers(), length in 1u32..=u32::MAX) {
        let window = SequenceNumber(start);
        prop_assert!(window.within(window, length));
        prop_assert!((window + (length - 1)).within(window, length));
        prop_assert!(!(window + length).within(window, length));
        prop_assert!(!(window - 1).within(window, length), "2³² − 1 is never less than a length");
    }

    /// A position of 64 bits goes to its number and back while it lies within 2³¹ of the anchor.
    #[test]
    fn positions_come_back_from_their_numbers(
        zero in numbers(),
        anchor in prop_oneof![0u64..5, (1u64 << 31) - 3..(1 << 31) + 3, (1u64 << 32) - 3..(1 << 32) + 3, 0u64..1 << 48],
        step in steps(),
    ) {
        let number_of = |position: u64| SequenceNumber(zero) + position as u32;
        let position = i128::from(anchor) + i128::from(nearest(step));
        let number = number_of(anchor) + step;
        let expected = u64::try_from(position).ok();
        prop_assert_eq!(number.position_near(number_of(anchor), anchor), expected);
        if let Some(position) = expected {
            prop_assert_eq!(number_of(position), number);
        }
    }
}
