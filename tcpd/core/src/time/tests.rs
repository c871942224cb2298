use super::*;

#[test]
fn arithmetic_saturates_at_both_ends() {
    assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
    assert_eq!(Instant::MAX + Duration::from_secs(1), Instant::MAX);
    assert_eq!(Instant::ZERO + Duration::MAX, Instant::MAX);
    assert_eq!(
        Instant::from_secs(1).duration_since(Instant::from_secs(2)),
        Duration::ZERO
    );
}

#[test]
fn units_agree() {
    assert_eq!(Instant::from_secs(2), Instant::from_millis(2_000));
    assert_eq!(Instant::from_millis(3), Instant::from_micros(3_000));
    assert_eq!(Instant::from_micros(3), Instant::from_nanos(3_000));
    assert_eq!(Instant::from_nanos(1_999_999).as_millis(), 1);
    assert_eq!(Instant::from_millis(1_051).to_string(), "1.051");
    assert_eq!(format!("{:<8}|", Instant::from_millis(50)), "0.050   |");
}
