//! SACK panic and slowness (CVE-2019-11477, CVE-2019-11478, CVE-2019-5599): blocks that cut what is outstanding into crumbs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::liar::{Liar, Sent};

const MS: Duration = Duration::from_millis(1);

/// With so many bytes outstanding.
const OUTSTANDING: u32 = 400_000;
/// Stretches beyond those that honest segments make.
const ROOM: u64 = 80;

fn liar(mss: u16) -> Liar {
    let mut liar = Liar::new(mss, |config| {
        config.tcp.send_ring = 1 << 20;
        config.tcp.send_ring_max = 1 << 20;
    });
    liar.fill(OUTSTANDING);
    liar
}

/// Blocks of `size` bytes with holes of the same size between, from the far end of what is outstanding to the near one; the first
/// segment is never among them.
fn crumbs(liar: &Liar, size: u32) -> Vec<(u32, u32)> {
    let (una, nxt) = liar.outstanding();
    let first = una + liar.status().mss_send;
    (0..)
        .map(|n| nxt - 2 * size * (n + 1))
        .take_while(|start| *start > first)
        .map(|start| (start, start + size))
        .collect()
}

struct Cost {
    acks: u64,
    steps: u64,
    most_steps: u64,
    most_stretches: u64,
    packets: u64,
}

/// Sends every four blocks in an ACK of their own, 10 µs apart.
fn say(liar: &mut Liar, blocks: &[(u32, u32)]) -> Cost {
    let (una, _) = liar.outstanding();
    let (before, heard) = (liar.status().recovery_steps, liar.heard);
    let mut cost = Cost {
        acks: 0,
        steps: 0,
        most_steps: 0,
        most_stretches: 0,
        packets: 0,
    };
    for blocks in blocks.chunks(4) {
        let steps = liar.status().recovery_steps;
        liar.sack(una, blocks);
        liar.listen();
        liar.now += MS / 100;
        let status = liar.status();
        cost.acks += 1;
        cost.most_steps = cost.most_steps.max(status.recovery_steps - steps);
        cost.most_stretches = cost.most_stretches.max(status.stretches);
    }
    cost.steps = liar.status().recovery_steps - before;
    cost.packets = liar.heard - heard;
    cost
}

#[test]
fn crumbs_make_no_more_stretches_than_segments_could() {
    for (mss, size) in [(48, 8), (48, 1), (1_460, 8), (1_460, 1)] {
        let mut liar = liar(mss);
        let (una, nxt) = liar.outstanding();
        let honest = u64::from((nxt - una) / liar.status().mss_send);
        let blocks: Vec<_> = crumbs(&liar, size).into_iter().take(20_000).collect();
        let cost = say(&mut liar, &blocks);
        assert!(
            cost.most_stretches <= honest + ROOM,
            "mss {mss}, {size}-byte blocks: {} stretches where {honest} segments are outstanding",
            cost.most_stretches
        );
        // What is not believed is not sent again as crumbs either.
        let least = u64::from(liar.status().mss_send);
        let most = 2 * u64::from(nxt - una) / least + cost.acks;
        assert!(
            cost.packets <= most,
            "{} packets for {} ACKs",
            cost.packets,
            cost.acks
        );
    }
}

#[test]
fn an_ack_with_crumbs_costs_a_bounded_number_of_steps() {
    for size in [8, 1] {
        let mut liar = liar(1_460);
        let blocks: Vec<_> = crumbs(&liar, size).into_iter().take(20_000).collect();
        let cost = say(&mut liar, &blocks);
        // Four blocks; each stretch is looked at when it is SACKed, lost and sent again. What is SACKed amid a stretch makes three of it.
        assert!(
            cost.steps <= 16 * cost.acks + 2_000,
            "{} steps for {} ACKs",
            cost.steps,
            cost.acks
        );
        assert!(
            cost.most_steps <= 1_000,
            "{} steps for one ACK",
            cost.most_steps
        );
        // The same blocks again are no news, and cost what looking them up costs.
        let again = say(&mut liar, &blocks);
        assert!(
            again.steps <= 16 * again.acks + 2_000,
            "{} steps for {} ACKs that say nothing new",
            again.steps,
            again.acks
        );
    }
}

#[test]
fn the_cost_of_an_ack_does_not_grow_with_what_is_outstanding() {
    let cost_with = |outstanding: u32| {
        let mut liar = Liar::new(1_460, |config| {
            config.tcp.send_ring = 8 << 20;
            config.tcp.send_ring_max = 8 << 20;
        });
        liar.fill(outstanding);
        let (una, nxt) = liar.outstanding();
        let mss = liar.status().mss_send;
        // Honest: every second segment of the first hundred arrives.
        let blocks: Vec<_> = (1..50)
            .map(|n| una + 2 * n * mss)
            .map(|start| (start, start + mss))
            .collect();
        assert!(nxt - una > 100 * mss);
        say(&mut liar, &blocks).steps
    };
    let (few, many) = (cost_with(200_000), cost_with(4_000_000));
    assert!(
        many <= 2 * few + 200,
        "{few} steps with 200 kB outstanding, {many} with 4 MB"
    );
}

#[test]
fn blocks_of_what_was_never_sent_or_of_nothing_change_nothing() {
    let mut liar = liar(1_460);
    let (una, nxt) = liar.outstanding();
    let before = liar.status();
    for block in [
        (nxt, nxt + 1_000),
        (nxt - 100, nxt + 100),
        (nxt + 5_000_000, nxt + 5_000_100),
        (una + 500, una + 500),
        (una + 600, una + 500),
        (una.wrapping_sub(0x4000_0000), nxt),
        (0, 0),
    ] {
        liar.sack(una, &[block; 4]);
        let sent = liar.listen();
        assert!(sent.is_empty(), "{block:?}: {sent:?}");
        let after = liar.status();
        assert_eq!(after.in_flight, before.in_flight, "{block:?}");
        assert_eq!(after.cwnd, before.cwnd, "{block:?}");
    }
}

/// RFC 2018 §8: what was SACKed may be taken back. All of it is sent again from the timeout on, and the connection goes on; a neighbour
/// notices nothing.
#[test]
fn a_peer_that_takes_back_what_it_sacked_harms_only_itself() {
    let mut liar = Liar::new(1_460, |config| {
        config.tcp.send_ring = 1 << 20;
        config.tcp.send_ring_max = 1 << 20;
    });
    let thief = liar.port;
    liar.open(1_460).expect("a neighbour");
    let honest = liar.port;
    liar.turn_to(thief);
    liar.fill(OUTSTANDING);
    let mut neighbours = 0;
    for round in 0..50 {
        let (_, taken_back) = liar.outstanding();
        let again = renege(&mut liar, round);
        liar.turn_to(honest);
        neighbours += converse(&mut liar);
        liar.turn_to(thief);
        honest_for_a_while(&mut liar, round, again, taken_back);
    }
    liar.turn_to(honest);
    let status = liar.status();
    assert_eq!(
        (status.timeouts, status.retransmissions),
        (0, 0),
        "{status:?}"
    );
    assert_eq!(neighbours, 50 * 10);
}

/// SACKs everything outstanding but the first segment, acknowledges this one, and has thrown away the others; it is silent until that is
/// noticed. What is sent then.
fn renege(liar: &mut Liar, round: u32) -> Vec<Sent> {
    let (una, nxt) = liar.outstanding();
    let mss = liar.status().mss_send;
    let segments = (nxt - una) / mss;
    assert!(segments > 10, "round {round}: {segments} are outstanding");
    liar.sack(una, &[(una + mss, nxt)]);
    let mut sent = liar.wait(MS * 20);
    liar.ack(una + mss);
    sent.extend(liar.wait(MS * 2));
    let count = sent.iter().filter(|sent| sent.port == liar.port).count() as u32;
    // What has left the network, by the peer's word, makes room for as much; and RFC 9937 §6.2 for one more, where SND.UNA moves.
    assert!(
        count <= segments + 1,
        "round {round}: {count} segments where {segments} were outstanding"
    );
    let reneged = liar.stack.counters().sack_reneged;
    for _ in 0..200 {
        let again = liar.wait(MS * 500);
        if liar.stack.counters().sack_reneged > reneged {
            assert!(liar.status().stretches <= u64::from(segments) + ROOM);
            return again;
        }
    }
    panic!("round {round}: nobody notices: {:?}", liar.status());
}

/// Acknowledges each segment of `sent` and of what comes after it, and nothing that has not come, until there is everything before
/// `taken_back`, and a hundred segments at least. A round trip takes 20 ms.
fn honest_for_a_while(liar: &mut Liar, round: u32, mut sent: Vec<Sent>, taken_back: u32) {
    let (port, (mut una, _)) = (liar.port, liar.outstanding());
    let enough = taken_back.max(una + 100 * liar.status().mss_send);
    // What came out of order: where it begins, and where it ends.
    let mut beyond = BTreeMap::new();
    for _ in 0..20 {
        for segment in sent.iter().filter(|sent| sent.port == port) {
            let (start, end) = (segment.position, segment.position + segment.length);
            beyond.insert(start, end);
            while let Some(next) = beyond.first_entry().filter(|next| *next.key() <= una) {
                una = una.max(next.remove());
            }
            match end > una {
                true => liar.sack(una, &[(start, end)]),
                false => liar.ack(una),
            }
        }
        // What is outstanding when this is over can be taken back next.
        sent = liar.write_all();
        if una >= enough {
            return;
        }
        sent.extend(liar.wait(MS * 20));
    }
    panic!("round {round}: {una} of {enough} came: {:?}", liar.status());
}

/// The honest peer takes ten segments, one after the other; how many there were.
fn converse(liar: &mut Liar) -> u32 {
    let mss = liar.status().mss_send;
    let mut taken = 0;
    for _ in 0..10 {
        let (_, nxt) = liar.outstanding();
        let sent = liar.write(mss as usize);
        taken += sent
            .iter()
            .filter(|sent| sent.port == liar.port && sent.position == nxt)
            .count() as u32;
        liar.now += MS * 10;
        liar.ack(nxt + mss);
        liar.listen();
    }
    taken
}
