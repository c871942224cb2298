//! Fuzz target: any bytes are a message or a named error, and a message has one encoding.

use std::path::PathBuf;

use fuzzing::{Target, first_word, messages};
use libtcpclient::protocol::{
    DecodeError, Event, FromDaemon, Header, Hello, MAX_MESSAGE, Reply, Request,
};

fn try_request(bytes: &[u8]) -> String {
    match Request::decode(bytes) {
        Ok((number, request)) => {
            assert_eq!(request.encode(number), bytes, "{request:?}");
            assert!(bytes.len() <= MAX_MESSAGE);
            if let Request::Hello(hello) = &request {
                assert_eq!(Hello::peek_version(bytes), Some(hello.version));
            }
            first_word(&request)
        }
        Err(error) => refused(&error, bytes),
    }
}

fn try_from_daemon(bytes: &[u8]) -> String {
    match FromDaemon::decode(bytes) {
        Ok(FromDaemon::Reply(number, reply)) => {
            assert_eq!(reply.encode(number), bytes, "{reply:?}");
            assert_eq!(Reply::decode(bytes), Ok((number, reply.clone())));
            if let Reply::Rows(page) = &reply {
                assert!(page.lines().all(|line| !line.contains('\n')));
            }
            first_word(&reply)
        }
        Ok(FromDaemon::Event(event)) => {
            assert_eq!(event.encode(), bytes, "{event:?}");
            assert_eq!(Event::decode(bytes), Ok(event.clone()));
            first_word(&event)
        }
        Err(error) => refused(&error, bytes),
    }
}

/// Why it was refused. Which unknown kind it is says nothing new.
fn refused(error: &DecodeError, bytes: &[u8]) -> String {
    match error {
        DecodeError::UnknownKind(_) => first_word(error),
        error => format!("{error} {}", kind(bytes)),
    }
}

fn kind(bytes: &[u8]) -> u16 {
    Hello::peek_version(bytes);
    // Every kind there is has its row; the rest is one.
    let known = |kind: &u16| matches!(kind & 0x3fff, 0x01..=0x4f) && kind >> 14 != 1;
    Header::peek(bytes)
        .map(|header| header.kind)
        .filter(known)
        .unwrap_or(0)
}

#[test]
fn any_bytes_are_a_message_or_a_named_error() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/codec");
    let target = Target {
        name: "codec",
        seeds: messages::encoded(),
        corpus,
        cases: 200_000,
        longest: MAX_MESSAGE + 8,
    };
    target.run(|bytes| format!("{} | {}", try_request(bytes), try_from_daemon(bytes)));
}
