use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::super::Handler;
use super::super::test_connection::Served;

mod files;
mod ranges;
mod requests;

/// When the files of the test site were changed; the clock of the tests stands at 1,000,000,000.
const CHANGED: u64 = 900_000_000;
const CHANGED_TEXT: &str = "Thu, 09 Jul 1998 16:00:00 GMT";

/// A site with a few files, and a file outside of it that must never be served.
struct TestSite {
    parent: TempDir,
}

impl TestSite {
    fn new() -> Self {
        let site = Self {
            parent: TempDir::new().expect("temporary directory"),
        };
        site.file("../secret.txt", b"secret");
        site.file("index.html", b"<h1>tcpd</h1>");
        site.file("hello world.txt", b"hello");
        site.file("digits", b"0123456789");
        site.file("empty.css", b"");
        site.file("sub/index.html", b"sub");
        site.file("no-index/x.json", b"{}");
        symlink("../secret.txt", site.root().join("relative-escape")).expect("symlink");
        symlink(
            site.parent.path().join("secret.txt"),
            site.root().join("absolute-escape"),
        )
        .expect("symlink");
        symlink("..", site.root().join("sub/up")).expect("symlink");
        symlink("digits", site.root().join("inside")).expect("symlink");
        site
    }

    fn root(&self) -> PathBuf {
        self.parent.path().join("site")
    }

    fn file(&self, name: &str, content: &[u8]) {
        let path = self.root().join(name);
        fs::create_dir_all(self.root()).expect("directory");
        fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        fs::write(&path, content).expect("file");
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED);
        fs::File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(changed))
            .expect("date");
    }

    fn serve(&self) -> Served {
        Served::start(&Handler::Http {
            directory: self.root(),
        })
    }

    /// The whole answer to one request that ends the connection.
    fn ask(&self, request: &str) -> Reply {
        let (said, result) = self.serve().say(request.as_bytes());
        result.expect("a bad request is no failure of the server");
        Reply::parse(&said)
    }

    /// GET of `target` with more header lines.
    fn get(&self, target: &str, fields: &str) -> Reply {
        self.ask(&format!(
            "GET {target} HTTP/1.1\r\nHost: t\r\n{fields}Connection: close\r\n\r\n"
        ))
    }
}

/// An answer taken apart.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    content: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a whole head")
            + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
        let status = head.strip_prefix("HTTP/1.1 ").expect("our version")[..3]
            .parse()
            .expect("a status");
        Self {
            status,
            head,
            content: bytes[end..].to_vec(),
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Reads one answer from a connection that stays.
fn read_reply(served: &mut Served, with_content: bool) -> Reply {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        served.peer.read_exact(&mut byte).expect("more of the head");
        head.push(byte[0]);
    }
    let mut reply = Reply::parse(&head);
    if with_content {
        let length = reply
            .field("Content-Length")
            .map_or(0, |length| length.parse().expect("a number"));
        reply.content = vec![0; length];
        served
            .peer
            .read_exact(&mut reply.content)
            .expect("the content");
    }
    reply
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    let site = TestSite::new();
    let mut served = site.serve();
    for (target, content) in [
        ("/digits", &b"0123456789"[..]),
        ("/missing", b"404 Not Found\n"),
        ("/", b"<h1>tcpd</h1>"),
    ] {
        served
            .peer
            .write_all(format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes())
            .expect("send");
        assert_eq!(read_reply(&mut served, true).content, content);
    }
    served
        .peer
        .write_all(b"HEAD /digits HTTP/1.1\r\nHost: t\r\n\r\n")
        .expect("send");
    assert_eq!(
        read_reply(&mut served, false).field("Content-Length"),
        Some("10")
    );
    assert_eq!(served.end().0, b"", "HEAD has no content");
}

#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let site = TestSite::new();
    let mut served = site.serve();
    let first = "GET /digits HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nabcde\r\n\r\n";
    let second = "GET /hello%20world.txt HTTP/1.1\r\nHost: t\r\n\r\n";
    served
        .peer
        .write_all(format!("{first}{second}").as_bytes())
        .expect("send");
    assert_eq!(read_reply(&mut served, true).content, b"0123456789");
    assert_eq!(read_reply(&mut served, true).content, b"hello");
    served.end().1.expect("a clean end");
}

#[test]
fn http_1_0_ends_after_the_answer_unless_asked_to_stay() {
    let site = TestSite::new();
    let reply = site.ask("GET /digits HTTP/1.0\r\n\r\n");
    assert_eq!(
        (reply.status, reply.field("Connection")),
        (200, Some("close"))
    );

    let mut served = site.serve();
    for _ in 0..2 {
        served
            .peer
            .write_all(b"GET /digits HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            .expect("send");
        assert_eq!(
            read_reply(&mut served, true).field("Connection"),
            Some("keep-alive")
        );
    }
    served.end().1.expect("a clean end");
}

#[test]
fn a_request_in_single_bytes_is_understood() {
    let site = TestSite::new();
    let mut served = site.serve();
    for byte in b"GET /digits HTTP/1.1\r\nHost: t\r\n\r\n" {
        served.peer.write_all(&[*byte]).expect("send");
    }
    assert_eq!(read_reply(&mut served, true).content, b"0123456789");
}

#[test]
fn a_peer_that_ends_in_the_middle_of_a_request_gets_no_answer() {
    let site = TestSite::new();
    let (said, result) = site.serve().say(b"GET /digits HT");
    assert_eq!(said, b"");
    result.expect("no failure of ours");
}

#[test]
fn a_large_file_arrives_whole() {
    let site = TestSite::new();
    let content: Vec<u8> = (0..3_000_001u32).map(|n| (n ^ n >> 8) as u8).collect();
    site.file("large.bin", &content);
    assert!(site.get("/large.bin", "").content == content);
}
