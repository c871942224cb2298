use std::net::IpAddr;

use super::nagle::may_send_short;
use super::{Replies, Reply};
use crate::tcp::config::Nagle;
use crate::tcp::endpoint::Pair;
use crate::tcp::send_space::SendSpace;
use crate::wire::{Flags, SequenceNumber};

fn pair() -> Pair {
    Pair {
        local: IpAddr::from([10, 0, 0, 1]),
        remote: IpAddr::from([10, 0, 0, 2]),
        local_port: 1,
        remote_port: 2,
    }
}

#[test]
fn nagle_asks_for_anything_unacknowledged_minshall_for_something_short() {
    let mut send = SendSpace::new(SequenceNumber(0), 0, 1000);
    send.written = 5000;
    for nagle in [Nagle::Off, Nagle::Classic, Nagle::Minshall] {
        assert!(
            may_send_short(&send, nagle, false),
            "{nagle:?}: nothing is on its way"
        );
    }
    send.sent(2000);
    let allowed = [Nagle::Off, Nagle::Classic, Nagle::Minshall]
        .map(|nagle| may_send_short(&send, nagle, false));
    assert_eq!(allowed, [true, false, true]);
    send.small_end = 2000;
    assert!(!may_send_short(&send, Nagle::Minshall, false));
    assert!(may_send_short(&send, Nagle::Minshall, true), "nodelay");
    send.acknowledge(2000);
    assert!(may_send_short(&send, Nagle::Minshall, false));
}

#[test]
fn replies_beyond_the_bound_are_lost_and_counted() {
    let mut replies = Replies::default();
    for number in 0..2000 {
        replies.push(Reply::reset(pair(), SequenceNumber(number)));
    }
    assert_eq!(replies.lost, 2000 - 1024);
    assert_eq!(
        replies.pop().map(|reply| reply.seq),
        Some(SequenceNumber(0))
    );
}

#[test]
fn a_reset_for_a_segment_without_ack_acknowledges_it() {
    let reply = Reply::reset_and_ack(pair(), SequenceNumber(7));
    assert_eq!(
        (reply.seq, reply.ack, reply.flags),
        (
            SequenceNumber(0),
            SequenceNumber(7),
            Flags::RST | Flags::ACK
        )
    );
}
