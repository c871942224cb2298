use std::io::{Read, Write};

use super::super::Handler;
use super::super::test_connection::Served;

#[test]
fn everything_comes_back_then_the_end() {
    let mut served = Served::start(&Handler::Echo);
    let sent: Vec<u8> = (0..1_000_000u32).map(|n| (n * 7 + n / 251) as u8).collect();
    let mut writer = served.peer.try_clone().expect("clone");
    let to_send = sent.clone();
    let sender = std::thread::spawn(move || {
        writer.write_all(&to_send).expect("peer can send");
        writer
            .shutdown(std::net::Shutdown::Write)
            .expect("peer can end");
    });
    let mut back = Vec::new();
    served.peer.read_to_end(&mut back).expect("peer can read");
    sender.join().expect("sender");
    assert!(back == sent);
    served.end().1.expect("a clean end");
}

#[test]
fn a_byte_comes_back_before_the_next_is_sent() {
    let mut served = Served::start(&Handler::Echo);
    for byte in [0u8, 255, b'\n'] {
        served.peer.write_all(&[byte]).expect("send");
        let mut back = [0];
        served.peer.read_exact(&mut back).expect("receive");
        assert_eq!(back, [byte]);
    }
    assert_eq!(served.end().0, b"");
}

#[test]
fn a_peer_that_leaves_without_reading_is_an_error() {
    let mut served = Served::start(&Handler::Echo);
    served.peer.write_all(&[1; 100_000]).expect("send");
    served
        .hang_up()
        .expect_err("the bytes could not be returned");
}
