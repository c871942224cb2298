use super::*;

#[test]
fn bad_requests_have_their_status() {
    let site = TestSite::new();
    let fields = |count: usize| {
        (0..count)
            .map(|n| format!("X-{n}: y\r\n"))
            .collect::<String>()
    };
    let cases = [
        (400, "\u{1}\u{2}\u{3}\r\n\r\n".to_owned()),
        (400, "GET\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n".into()),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".into(),
        ),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".into(),
        ),
        (
            400,
            "GET nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".into(),
        ),
        (
            400,
            "GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".into(),
        ),
        (
            400,
            "GET /% HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".into(),
        ),
        (
            400,
            "GET /a%00b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".into(),
        ),
        (
            405,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".into(),
        ),
        (405, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (
            413,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n".into(),
        ),
        (
            414,
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(MAX)),
        ),
        (
            431,
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
                "x".repeat(MAX)
            ),
        ),
        (
            431,
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(100)),
        ),
        (501, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (
            501,
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        ),
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".into()),
    ];
    for (status, request) in cases {
        let reply = site.ask(&request);
        assert_eq!(reply.status, status, "{request:.60}");
        assert_eq!(reply.field("Connection"), Some("close"), "{request:.60}");
    }
}

const MAX: usize = super::super::MAX_HEAD;

#[test]
fn a_method_that_is_not_allowed_is_told_which_are() {
    let reply = TestSite::new().ask("DELETE /digits HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.field("Allow"), Some("GET, HEAD"));
}

#[test]
fn ninety_nine_fields_and_an_absolute_target_are_fine() {
    let fields: String = (0..97).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(
        TestSite::new()
            .get("http://198.18.0.2/digits", &fields)
            .status,
        200
    );
    assert_eq!(TestSite::new().get("HTTP://[fd00::2]:80?q", "").status, 200);
}

#[test]
fn bytes_without_meaning_never_break_the_server() {
    let site = TestSite::new();
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..300)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let (_, result) = site
            .serve()
            .say(&[b"GET / HTTP/1.1\r\nHost: a\r\n", &bytes[..], b"\r\n\r\n"].concat());
        result.expect("no failure of ours");
    }
}
