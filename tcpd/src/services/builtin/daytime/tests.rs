use std::time::Duration;

use super::super::Handler;
use super::super::test_connection::Served;
use super::*;

fn at(seconds: u64) -> String {
    line(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[test]
fn lines_of_known_moments() {
    assert_eq!(at(0), "Thursday, January 1, 1970 00:00:00-UTC");
    assert_eq!(at(951_782_399), "Monday, February 28, 2000 23:59:59-UTC");
    assert_eq!(at(951_782_400), "Tuesday, February 29, 2000 00:00:00-UTC");
    assert_eq!(at(1_000_000_000), "Sunday, September 9, 2001 01:46:40-UTC");
    assert_eq!(at(4_107_542_400), "Monday, March 1, 2100 00:00:00-UTC");
}

#[test]
fn days_follow_each_other_through_four_centuries() {
    let mut last = civil_from_days(0);
    for days in 1..150_000 {
        let (year, month, day) = civil_from_days(days);
        let follows = match last {
            (y, m, d) if (y, m) == (year, month) => day == d + 1,
            (y, 12, 31) => (year, month, day) == (y + 1, 1, 1),
            (y, m, d) => (year, month, day) == (y, m + 1, 1) && d >= 28,
        };
        assert!(follows, "{last:?} before {year}-{month}-{day}");
        last = (year, month, day);
    }
}

#[test]
fn one_line_then_the_end_whatever_the_peer_sends() {
    let (said, result) = Served::start(&Handler::Daytime).say(b"what time is it?");
    assert_eq!(said, b"Sunday, September 9, 2001 01:46:40-UTC\r\n");
    result.expect("a clean end");
}
