use super::acceptable;

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
