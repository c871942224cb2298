//! Windows that shrink, and segments that are as small as the peer can make them (CVE-2019-11479).

use std::time::Duration;

use crate::liar::Liar;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_window_may_shrink_by_anything_and_the_connection_lives() {
    for by in (0..=40_000).step_by(1_000).chain([1, 1_459, 1_460, 1_461]) {
        let mut liar = Liar::new(1_460, |config| config.tcp.send_ring = 256 << 10);
        liar.window = 40 << 10;
        liar.ack(0);
        liar.fill(39_000);
        let (una, nxt) = liar.outstanding();
        // The unit of the window is a kilobyte.
        liar.window = (40u32 << 10).saturating_sub(by);
        let edge = una + (liar.window >> 10 << 10);
        liar.ack(una);
        let sent = liar.wait(MS * 3_000);
        for sent in &sent {
            let beyond = sent.position + sent.length > edge.max(una + 1);
            assert!(
                !beyond || sent.position < nxt,
                "new text beyond a window that shrank by {by}: {sent:?}, edge {edge}"
            );
        }
        assert!(sent.len() < 40, "{} packets in 3 s", sent.len());
        // It opens again, and all of it gets through.
        liar.window = 1 << 20;
        let written = nxt + 200_000;
        for _ in 0..2_000 {
            let (una, nxt) = liar.outstanding();
            if una >= written {
                break;
            }
            liar.now += MS;
            liar.ack(nxt);
            liar.write_all();
            liar.wait(MS);
        }
        let (una, _) = liar.outstanding();
        assert!(
            una >= written,
            "stuck at {una} after a window that shrank by {by}"
        );
    }
}

#[test]
fn a_tiny_mss_is_raised_to_the_floor_and_costs_packets_in_proportion() {
    for mss in [0, 1, 47, 48, 87] {
        let mut liar = Liar::new(mss, |config| config.tcp.send_ring = 256 << 10);
        let floor = u32::from(liar.stack.config().tcp.mss_floor);
        assert!(
            liar.status().mss_send >= floor - 40,
            "{}",
            liar.status().mss_send
        );
        let mut packets = liar.write(64 << 10).len() as u32;
        for _ in 0..200 {
            let (una, nxt) = liar.outstanding();
            if una == 64 << 10 {
                break;
            }
            liar.now += MS * 10;
            liar.ack(nxt);
            packets += liar.listen().len() as u32;
        }
        let (una, _) = liar.outstanding();
        assert_eq!(una, 64 << 10, "mss {mss}: stuck");
        let most = (64 << 10) / (floor - 40) + 20;
        assert!(
            packets <= most,
            "mss {mss}: {packets} packets for 64 KiB, more than {most}"
        );
    }
}
