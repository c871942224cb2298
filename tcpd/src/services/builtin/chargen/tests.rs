use std::io::{Read, Write};

use super::super::Handler;
use super::super::test_connection::Served;
use super::*;

#[test]
fn lines_are_those_of_the_rfc() {
    let pattern = pattern();
    let lines: Vec<&[u8]> = pattern.chunks(LINE).collect();
    assert_eq!(lines.len(), 95);
    assert_eq!(
        lines[0],
        b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"
    );
    assert_eq!(
        lines[94],
        b"~ !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdef\r\n"
    );
}

#[test]
fn the_pattern_goes_on_while_the_peer_talks_and_after_it_has_ended_its_direction() {
    let mut served = Served::start(&Handler::Chargen);
    let mut writer = served.peer.try_clone().expect("clone");
    let talker = std::thread::spawn(move || {
        writer
            .write_all(&[b'x'; 1 << 20])
            .expect("chargen takes what it throws away");
        writer.shutdown(std::net::Shutdown::Write).expect("end");
    });
    let turn = pattern();
    let mut received = vec![0; turn.len()];
    for _ in 0..200 {
        served.peer.read_exact(&mut received).expect("it goes on");
        assert!(received == turn);
    }
    // The talker needs chargen to be awake: go on reading until it is done.
    while !talker.is_finished() {
        served.peer.read_exact(&mut received).expect("it goes on");
    }
    talker.join().expect("talker");
    for _ in 0..20 {
        served
            .peer
            .read_exact(&mut received)
            .expect("it goes on after the end of our direction");
        assert!(received == turn);
    }
    served.hang_up().expect("leaving is how it ends");
}
