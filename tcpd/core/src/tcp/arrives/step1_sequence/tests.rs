use super::acceptable;
use proptest::prelude::*;

/// (first number relative to RCV.NXT = 100, SEG.LEN, RCV.WND, acceptable?): table 6 of RFC 9293 §3.10.7.4.
#[test]
fn the_table_of_acceptable_segments() {
    let cases = [
        (0, 0, 0, true),
        (1, 0, 0, false),
        (-1, 0, 0, false),
        (0, 0, 10, true),
        (9, 0, 10, true),
        (10, 0, 10, false),
        (-1, 0, 10, false),
        (0, 1, 0, false),
        (0, 1, 10, true),
        (9, 1, 10, true),
        (10, 1, 10, false),
        (-5, 5, 10, false),
        (-5, 6, 10, true),
        (9, 500, 10, true),
        (-5, 500, 10, true),
    ];
    for (first, length, window, expected) in cases {
        assert_eq!(
            acceptable(100 + first, length, 100, window),
            expected,
            "{first} {length} {window}"
        );
    }
}

/// Table 6 of RFC 9293 §3.4 counted out: a segment is acceptable when some number it takes lies in the window; without numbers, when the
/// one it stands at does, or is RCV.NXT while the window is closed. What takes numbers needs a window.
fn counted_out(start: i64, length: u32, nxt: u64, window: u64) -> bool {
    let inside = |number: i64| number >= nxt as i64 && number < (nxt + window) as i64;
    match (length, window) {
        (0, 0) => start == nxt as i64,
        (0, _) => inside(start),
        _ => (0..i64::from(length)).any(|step| inside(start + step)),
    }
}

proptest! {
    /// RFC 9293 §3.4, the four cases, against counting number by number.
    #[test]
    fn the_four_cases_agree_with_counting(
        nxt in prop_oneof![0u64..40, (1u64 << 31) - 20..(1 << 31) + 20, (1u64 << 32) - 20..(1 << 32) + 20],
        first in -40i64..40,
        length in 0u32..40,
        window in 0u64..40,
    ) {
        let start = nxt as i64 + first;
        prop_assert_eq!(
            acceptable(start, length, nxt, window),
            counted_out(start, length, nxt, window),
            "{} {} {}", first, length, window
        );
    }

    /// The same with windows and segments as large as they come, where counting takes too long: the last number before the window and the
    /// first one behind it are out, those next to them are in.
    #[test]
    fn the_edges_of_the_largest_windows_are_exact(nxt in 0u64..1 << 40, window in 1u64..=1 << 30, length in 1u32..=65_535) {
        let (nxt_i, window_i, length_i) = (nxt as i64, window as i64, i64::from(length));
        prop_assert!(!acceptable(nxt_i - length_i, length, nxt, window));
        prop_assert!(acceptable(nxt_i - length_i + 1, length, nxt, window));
        prop_assert!(acceptable(nxt_i + window_i - 1, length, nxt, window));
        prop_assert!(!acceptable(nxt_i + window_i, length, nxt, window));
        prop_assert!(!acceptable(nxt_i - 1, 0, nxt, window));
        prop_assert!(!acceptable(nxt_i + window_i, 0, nxt, window));
    }
}
