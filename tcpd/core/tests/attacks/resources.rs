//! Peers that make the stack remember: crumbs of text beyond holes (SegmentSmack, CVE-2018-5390), windows that never open (Sockstress,
//! CVE-2008-4609).

use std::time::Duration;

use tcpd_core::stack::State;
use tcpd_core::wire::{Flags, TcpOptions};

use crate::liar::Liar;

const RING: u32 = 8 << 20;

fn byte(position: u32) -> u8 {
    (position.wrapping_mul(0x9e37_79b1) >> 24) as u8
}

#[test]
fn every_other_byte_of_six_megabytes_fills_a_list_and_not_the_memory() {
    let mut liar = Liar::new(1_460, |config| {
        config.tcp.receive_ring = RING;
        config.tcp.receive_ring_max = RING;
    });
    let ranges = liar.stack.config().limits.out_of_order_ranges;
    let far = 6 << 20;
    let mut acks = 0;
    let mut segments = 0;
    // From the far end, from the near end, and from the middle, so that each kind of search is met.
    for n in 0..100_000u32 {
        let at = match n % 3 {
            0 => far - 2 * n,
            1 => 2 * n + 1,
            _ => far / 2 + 2 * n,
        };
        liar.text(at, &[byte(at)]);
        segments += 1;
        acks += liar.listen().len();
        if n % 1_000 == 0 {
            let status = liar.status();
            assert!(
                status.out_of_order.len() <= ranges,
                "{}",
                status.out_of_order.len()
            );
            let private = liar.stack.usage(0).private_bytes;
            assert!(private <= u64::from(RING), "{private} bytes");
        }
    }
    assert!(acks <= segments, "{acks} ACKs for {segments} segments");
    // And the byte that everything waits for is taken, with what was kept behind it.
    let piece: Vec<u8> = (0..1_000).map(byte).collect();
    liar.text(0, &piece);
    let status = liar.status();
    assert!(status.recv_q >= 1_000);
    let mut read = vec![0; status.recv_q as usize];
    let got = liar.stack.receive_into(liar.now, liar.id, &mut read);
    let got = got.expect("text is there");
    let wrong = (0u32..)
        .zip(&read[..got])
        .find(|(at, found)| **found != byte(*at));
    assert_eq!(wrong, None, "a byte that was never sent");
}

#[test]
fn windows_that_never_open_cost_a_probe_now_and_then_and_no_one_else() {
    const PEERS: usize = 2_000;
    let limit = 500;
    let mut liar = Liar::new(1_460, |config| {
        config.limits.orphans = limit;
        config.tcp.send_ring = 4 << 10;
        config.tcp.send_ring_max = 4 << 10;
        config.tcp.orphan_timeout = Duration::from_secs(100_000);
    });
    // Each takes nothing, and its user has long gone: what is unsent is kept for it.
    liar.window = 0;
    let mut refused = 0;
    for _ in 0..PEERS {
        let Some(id) = liar.open(1_460) else {
            refused += 1;
            continue;
        };
        liar.write_all();
        liar.stack.close(liar.now, id).expect("close");
        liar.listen();
    }
    assert_eq!(refused, 0, "peers before others have to be served");
    let connections = liar
        .stack
        .endpoints()
        .filter(|summary| summary.state != State::Listen && summary.state != State::TimeWait)
        .count();
    assert!(connections <= limit + 2, "{connections} are kept");
    let private = liar.stack.usage(0).private_bytes;
    let most = (limit as u64 + 2) * (4 << 10);
    assert!(
        private <= most,
        "{private} bytes of rings for {connections} connections"
    );
    // Ten minutes: probes back off to one a minute for each.
    let heard = liar.heard;
    liar.wait(Duration::from_secs(600));
    let probes = liar.heard - heard;
    assert!(
        probes <= 25 * connections as u64,
        "{probes} packets in ten minutes"
    );
    // And somebody new is served at once.
    liar.window = 1 << 20;
    liar.open(1_460).expect("a new client is served");
    let sent = liar.write(1_000);
    assert_eq!(sent.iter().map(|sent| sent.length).sum::<u32>(), 1_000);
    liar.tell(
        Flags::ACK | Flags::PSH,
        0,
        1_000,
        TcpOptions::default(),
        b"thanks",
    );
    assert_eq!(liar.status().recv_q, 6);
}
