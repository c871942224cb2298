use super::super::range::{Selected, select};
use super::*;

#[test]
fn a_part_is_sent_as_asked() {
    let site = TestSite::new();
    for (range, content, placed) in [
        ("0-0", "0", "bytes 0-0/10"),
        ("2-4", "234", "bytes 2-4/10"),
        ("7-", "789", "bytes 7-9/10"),
        ("7-99", "789", "bytes 7-9/10"),
        ("-3", "789", "bytes 7-9/10"),
        ("-99", "0123456789", "bytes 0-9/10"),
    ] {
        let reply = site.get("/digits", &format!("Range: bytes={range}\r\n"));
        assert_eq!(
            (reply.status, reply.content),
            (206, content.as_bytes().to_vec()),
            "{range}"
        );
        assert_eq!(
            reply
                .head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Range: ")),
            Some(placed)
        );
    }
}

#[test]
fn a_part_that_is_not_there_is_refused_with_the_length() {
    let site = TestSite::new();
    for (target, range, whole) in [
        ("/digits", "10-", "bytes */10"),
        ("/digits", "-0", "bytes */10"),
        ("/empty.css", "-5", "bytes */0"),
    ] {
        let reply = site.get(target, &format!("Range: bytes={range}\r\n"));
        assert_eq!(
            (reply.status, reply.field("Content-Range")),
            (416, Some(whole)),
            "{target} {range}"
        );
    }
}

#[test]
fn a_range_that_means_nothing_is_ignored() {
    for value in [
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=4-2",
        "bytes=+1-2",
        "lines=1-2",
        "bytes 1-2",
        "bytes=0-1,4-5",
        "",
    ] {
        assert_eq!(select(value, 10), Selected::Whole, "{value}");
    }
    assert_eq!(
        select("bytes=5-99999999999999999999999", 10),
        Selected::Part { first: 5, last: 9 }
    );
    assert_eq!(
        select("bytes=99999999999999999999999-", 10),
        Selected::Unsatisfiable
    );
}

#[test]
fn head_ignores_range() {
    let reply = TestSite::new()
        .ask("HEAD /digits HTTP/1.1\r\nHost: t\r\nRange: bytes=0-1\r\nConnection: close\r\n\r\n");
    assert_eq!(
        (reply.status, reply.field("Content-Length")),
        (200, Some("10"))
    );
    assert_eq!(reply.content, b"");
}

#[test]
fn if_range_sends_all_of_a_file_that_changed() {
    let site = TestSite::new();
    for (validator, status) in [
        (CHANGED_TEXT, 206),
        ("Thu, 09 Jul 1998 16:00:01 GMT", 200),
        ("\"tag\"", 200),
    ] {
        let reply = site.get(
            "/digits",
            &format!("Range: bytes=1-2\r\nIf-Range: {validator}\r\n"),
        );
        assert_eq!(reply.status, status, "{validator}");
    }
}
