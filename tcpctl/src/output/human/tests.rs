use super::{bytes, count, counted, duration, harmless, percent, short_duration};

#[test]
fn counts_have_a_comma_every_three_digits() {
    assert_eq!(count(0), "0");
    assert_eq!(count(999), "999");
    assert_eq!(count(1_000), "1,000");
    assert_eq!(count(4_294_967_295), "4,294,967,295");
    assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    assert_eq!(counted(1, "segment"), "1 segment");
    assert_eq!(counted(2_000, "segment"), "2,000 segments");
}

#[test]
fn bytes_are_exact_while_small_and_round_to_powers_of_1024() {
    assert_eq!(bytes(0), "0 B");
    assert_eq!(bytes(1_460), "1,460 B");
    assert_eq!(bytes(4_096), "4 KiB");
    assert_eq!(bytes(65_536), "64 KiB");
    assert_eq!(bytes(65_535), "64 KiB");
    assert_eq!(bytes(100_000), "97.7 KiB");
    assert_eq!(bytes(1_048_575), "1 MiB");
    assert_eq!(bytes(1_572_864), "1.5 MiB");
    assert_eq!(bytes(3 << 30), "3 GiB");
    assert_eq!(bytes(u64::MAX), "16384 PiB");
}

#[test]
fn durations_have_one_unit_below_a_minute_and_two_above() {
    assert_eq!(duration(0), "0 s");
    assert_eq!(duration(812), "812 µs");
    assert_eq!(duration(45_200), "45.2 ms");
    assert_eq!(duration(200_000), "200 ms");
    assert_eq!(duration(999_990), "1 s");
    assert_eq!(duration(3_240_000), "3.2 s");
    assert_eq!(duration(59_990_000), "1 min");
    assert_eq!(duration(125_000_000), "2 min 5 s");
    assert_eq!(duration(7_200_000_000), "2 h");
    assert_eq!(duration(11_520_000_000), "3 h 12 min");
    assert_eq!(duration(360_000_000_000), "4 d 4 h");
}

#[test]
fn short_durations_fit_a_narrow_column() {
    assert_eq!(short_duration(0), "0s");
    assert_eq!(short_duration(812), "812us");
    assert_eq!(short_duration(45_200), "45ms");
    assert_eq!(short_duration(3_250_000), "3.2s");
    assert_eq!(short_duration(59_990_000), "59s");
    assert_eq!(short_duration(125_000_000), "2m05s");
    assert_eq!(short_duration(11_520_000_000), "3h12m");
    assert_eq!(short_duration(360_000_000_000), "4d04h");
}

#[test]
fn per_cent_of_nothing_is_a_dash() {
    assert_eq!(percent(1, 0), "-");
    assert_eq!(percent(1, 3), "33.3 %");
}

#[test]
fn a_name_cannot_write_escape_sequences_to_the_terminal() {
    assert_eq!(harmless("echo"), "echo");
    assert_eq!(harmless("büro"), "büro");
    assert_eq!(harmless("\x1b[2J"), "\\u{1b}[2J");
    assert_eq!(harmless("a\nb\u{9b}c"), "a\\nb\\u{9b}c");
    assert_eq!(harmless("a\u{202e}b"), "a\\u{202e}b");
}
