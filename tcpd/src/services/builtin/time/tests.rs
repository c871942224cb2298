use std::time::Duration;

use super::super::Handler;
use super::super::test_connection::Served;
use super::*;

#[test]
fn the_examples_of_the_rfc() {
    assert_eq!(seconds(UNIX_EPOCH), 2_208_988_800);
    // 00:00 1 May 1983
    assert_eq!(
        seconds(UNIX_EPOCH + Duration::from_secs(420_595_200)),
        2_629_584_000
    );
}

#[test]
fn the_count_starts_again_in_2036() {
    assert_eq!(
        seconds(UNIX_EPOCH + Duration::from_secs(2_085_978_495)),
        u32::MAX
    );
    assert_eq!(seconds(UNIX_EPOCH + Duration::from_secs(2_085_978_496)), 0);
}

#[test]
fn four_bytes_then_the_end() {
    let (said, result) = Served::start(&Handler::Time).end();
    assert_eq!(said, (2_208_988_800u32 + 1_000_000_000).to_be_bytes());
    result.expect("a clean end");
}
