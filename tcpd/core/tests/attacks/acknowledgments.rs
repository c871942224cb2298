//! Acknowledgments of what was not received, in pieces, or again and again (Savage 1999, VU#102014, CVE-2023-52881).

use std::time::Duration;

use tcpd_core::wire::{Flags, TcpOptions};

use crate::liar::Liar;

const MS: Duration = Duration::from_millis(1);

fn liar() -> Liar {
    Liar::new(1_460, |config| {
        config.tcp.send_ring = 8 << 20;
        config.tcp.delayed_ack = Duration::from_millis(40);
    })
}

#[test]
fn an_ack_of_what_was_never_sent_moves_nothing_and_frees_nothing() {
    let mut liar = liar();
    liar.write_all();
    let before = liar.status();
    let (_, nxt) = liar.outstanding();
    for ahead in [1, 1_460, 100_000, 0x3fff_ffff] {
        liar.ack(nxt + ahead);
        let after = liar.status();
        assert_eq!(after.snd_una, before.snd_una, "{ahead} ahead");
        assert_eq!(after.cwnd, before.cwnd, "{ahead} ahead");
        let sent = liar.listen();
        assert!(sent.len() <= 1, "{ahead} ahead: {sent:?}");
        assert!(sent.iter().all(|sent| sent.length == 0), "{sent:?}");
    }
}

#[test]
fn acks_ahead_of_the_data_do_no_more_than_double_the_window_each_time() {
    let mut liar = liar();
    liar.write_all();
    // Whatever is sent is acknowledged at once, as if it had arrived. What may be in flight grows by what was acknowledged, no faster.
    for _ in 0..8 {
        let before = liar.status().cwnd;
        let (_, nxt) = liar.outstanding();
        liar.now += MS;
        liar.ack(nxt);
        liar.write_all();
        let (una, nxt) = liar.outstanding();
        assert!(
            nxt - una <= 2 * before,
            "{} after a window of {before}",
            nxt - una
        );
        assert!(liar.status().cwnd <= 2 * before);
    }
}

#[test]
fn one_segment_acknowledged_in_a_hundred_pieces_counts_once() {
    let mut liar = liar();
    liar.write_all();
    let (una, _) = liar.outstanding();
    let (before, mss) = (liar.status().cwnd, liar.status().mss_send);
    liar.now += MS * 10;
    for piece in 1..=100 {
        liar.ack(una + mss * piece / 100);
        liar.listen();
    }
    let after = liar.status().cwnd;
    assert!(after > before, "slow start does not grow: {before}");
    assert!(after <= before + mss, "{before} became {after}");
}

#[test]
fn a_thousand_duplicates_send_no_more_than_was_in_flight() {
    // With SACK agreed an ACK without blocks says nothing; with blocks that say nothing new it says nothing either.
    for block in [None, Some((1_460 * 3, 1_460 * 4))] {
        let mut liar = liar();
        liar.write_all();
        let (una, nxt) = liar.outstanding();
        let flight = nxt - una;
        let mut sent = 0;
        for _ in 0..1_000 {
            liar.now += MS / 100;
            match block {
                None => liar.ack(una),
                Some(block) => liar.sack(una, &[block]),
            }
            sent += liar.listen().iter().map(|sent| sent.length).sum::<u32>();
        }
        assert!(
            sent <= flight + 4 * liar.status().mss_send,
            "{sent} bytes sent for duplicates while {flight} were in flight ({block:?})"
        );
        assert!(liar.status().in_flight <= flight + 4 * liar.status().mss_send);
    }
}

#[test]
fn text_with_an_ack_of_bytes_that_were_never_sent_is_not_delivered() {
    let mut liar = liar();
    // RFC 5961 §5.2 alone would take everything down to the largest window before SND.UNA; but nothing was ever sent.
    for ago in [1, 2, 1_000, 60_000, 0x4000_0000] {
        let ack = 0u32.wrapping_sub(1 + ago);
        liar.tell(
            Flags::ACK | Flags::PSH,
            0,
            ack,
            TcpOptions::default(),
            b"evil",
        );
        liar.listen();
        liar.now += MS * 2_000;
        let status = liar.status();
        assert_eq!(
            status.recv_q, 0,
            "delivered with an ACK of {ago} before the SYN"
        );
    }
    liar.text(0, b"good");
    assert_eq!(liar.status().recv_q, 4);
}
