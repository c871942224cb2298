use super::*;

#[test]
fn a_file_is_served_with_its_length_date_and_type() {
    let reply = TestSite::new().get("/hello%20world.txt?query=1", "");
    assert_eq!((reply.status, &reply.content[..]), (200, &b"hello"[..]));
    assert_eq!(reply.field("Content-Length"), Some("5"));
    assert_eq!(
        reply.field("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(reply.field("Last-Modified"), Some(CHANGED_TEXT));
    assert_eq!(reply.field("Date"), Some("Sun, 09 Sep 2001 01:46:40 GMT"));
    assert_eq!(reply.field("Accept-Ranges"), Some("bytes"));
}

#[test]
fn a_directory_is_its_index_or_nothing() {
    let site = TestSite::new();
    assert_eq!(site.get("/", "").content, b"<h1>tcpd</h1>");
    assert_eq!(site.get("//", "").content, b"<h1>tcpd</h1>");
    assert_eq!(site.get("/sub/", "").content, b"sub");
    assert_eq!(site.get("/no-index/", "").status, 404);
    assert_eq!(site.get("/digits/", "").status, 404);
}

#[test]
fn a_directory_without_its_slash_is_redirected_inside_the_site() {
    let site = TestSite::new();
    for (target, location) in [
        ("/sub", "/sub/"),
        ("//sub?a=b", "/sub/?a=b"),
        ("http://evil/sub", "/sub/"),
    ] {
        let reply = site.get(target, "");
        assert_eq!(
            (reply.status, reply.field("Location")),
            (301, Some(location))
        );
    }
}

#[test]
fn no_way_leads_out_of_the_site() {
    let site = TestSite::new();
    for target in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/../../secret.txt",
        "/sub/up/../secret.txt",
        "/relative-escape",
        "/absolute-escape",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/..",
        "/../site/digits",
    ] {
        let reply = site.get(target, "");
        assert_eq!(reply.status, 404, "{target}");
        assert!(
            !reply.content.windows(6).any(|six| six == b"secret"),
            "{target}"
        );
    }
}

#[test]
fn links_and_dots_that_stay_inside_work() {
    let site = TestSite::new();
    for target in ["/inside", "/sub/../digits", "/sub/up/digits", "/./digits"] {
        assert_eq!(site.get(target, "").content, b"0123456789", "{target}");
    }
}

#[test]
fn what_is_no_file_is_not_served() {
    let site = TestSite::new();
    let fifo = site.root().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        0o644.into(),
        0,
    )
    .expect("fifo");
    assert_eq!(site.get("/fifo", "").status, 404);
}

#[test]
fn if_modified_since_saves_the_content() {
    let site = TestSite::new();
    let not_modified = site.get("/digits", &format!("If-Modified-Since: {CHANGED_TEXT}\r\n"));
    assert_eq!(
        (not_modified.status, &not_modified.content[..]),
        (304, &b""[..])
    );
    assert_eq!(not_modified.field("Content-Length"), None);
    for (field, status) in [
        ("If-Modified-Since: Thu, 09 Jul 1998 15:59:59 GMT\r\n", 200),
        ("If-Modified-Since: yesterday\r\n", 200),
        ("If-None-Match: *\r\n", 304),
        (
            "If-None-Match: \"x\"\r\nIf-Modified-Since: Thu, 09 Jul 1998 16:00:00 GMT\r\n",
            200,
        ),
        (
            "If-Unmodified-Since: Thu, 09 Jul 1998 15:59:59 GMT\r\n",
            412,
        ),
        (
            "If-Unmodified-Since: Thu, 09 Jul 1998 16:00:00 GMT\r\n",
            200,
        ),
        ("If-Match: \"x\"\r\n", 412),
    ] {
        assert_eq!(site.get("/digits", field).status, status, "{field}");
    }
}

#[test]
fn a_date_in_the_future_is_given_as_now() {
    let site = TestSite::new();
    let served = Served::start_at(
        &Handler::Http {
            directory: site.root(),
        },
        CHANGED - 1,
    );
    let (said, _) = served.say(b"GET /digits HTTP/1.0\r\n\r\n");
    assert_eq!(
        Reply::parse(&said).field("Last-Modified"),
        Some("Thu, 09 Jul 1998 15:59:59 GMT")
    );
}
