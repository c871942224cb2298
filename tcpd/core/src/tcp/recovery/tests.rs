use super::{Duplicate, Recovery};

#[test]
fn the_third_duplicate_finds_the_loss_and_later_ones_inflate() {
    let mut recovery = Recovery::new();
    let found: Vec<Duplicate> = (0..5).map(|_| recovery.on_duplicate(0, 10_000)).collect();
    use Duplicate::{Inflate, LimitedTransmit, Lost};
    assert_eq!(
        found,
        [LimitedTransmit, LimitedTransmit, Lost, Inflate, Inflate]
    );
    assert_eq!(recovery.on_acknowledged(4000), Some(false), "partial");
    assert_eq!(recovery.on_acknowledged(10_000), Some(true), "complete");
    assert_eq!(recovery.on_acknowledged(11_000), None);
}

#[test]
fn duplicates_of_what_a_timeout_sent_again_find_no_loss() {
    let mut recovery = Recovery::new();
    recovery.on_timeout(10_000);
    for _ in 0..10 {
        assert_ne!(recovery.on_duplicate(5000, 12_000), Duplicate::Lost);
    }
    assert_eq!(recovery.on_acknowledged(10_001), None);
    let found: Vec<Duplicate> = (0..3)
        .map(|_| recovery.on_duplicate(10_001, 12_000))
        .collect();
    assert_eq!(
        found[2],
        Duplicate::Lost,
        "beyond what was outstanding then"
    );
}

#[test]
fn limited_transmit_is_for_the_first_two_only() {
    let mut recovery = Recovery::new();
    assert_eq!(recovery.limited_transmit(), 0);
    recovery.on_duplicate(0, 5);
    assert_eq!(recovery.limited_transmit(), 1);
    recovery.on_duplicate(0, 5);
    assert_eq!(recovery.limited_transmit(), 2);
    recovery.on_duplicate(0, 5);
    assert_eq!(recovery.limited_transmit(), 0, "recovery has its own rule");
}
