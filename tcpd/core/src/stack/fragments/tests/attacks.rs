//! Floods of fragments: memory stays below its limit and the work a fragment makes does not grow, whatever they are.

use super::*;
use crate::random::Generator;

/// A million in a release; otherwise as many as assertions leave time for, each of them checked against the same bounds.
const FLOOD: u32 = if cfg!(debug_assertions) {
    200_000
} else {
    1_000_000
};
/// Most work that one fragment may make on average, and at once: each makes room for itself and is moved past the others of its datagram.
const STEPS: u64 = 4;

/// Sends `FLOOD` fragments, the n-th made by `nth`, a microsecond apart, and holds the bounds after each.
fn flood(name: &str, mut nth: impl FnMut(u32) -> Piece) -> Reassembly {
    let mut reassembly = Reassembly::new(LIMIT);
    let mut most_at_once = 0;
    for n in 0..FLOOD {
        let piece = nth(n);
        let now = NOW + Duration::from_micros(u64::from(n));
        let before = reassembly.tally().steps;
        let _ = receive_at(&mut reassembly, now, &piece.packet());
        most_at_once = most_at_once.max(reassembly.tally().steps - before);
        assert!(reassembly.cost() <= LIMIT, "{name}: {}", reassembly.cost());
    }
    let steps = reassembly.tally().steps;
    assert!(
        steps <= STEPS * u64::from(FLOOD) + 64 * reassembly.tally().reassembled,
        "{name}: {steps} steps for {FLOOD} fragments"
    );
    // To make room for one fragment of full size small datagrams go, as many as it outweighs.
    let outweighs = (DATAGRAM_COST + PIECE_COST + 65_535) / DATAGRAM_COST + MAX_PIECES;
    assert!(
        most_at_once <= outweighs as u64,
        "{name}: {most_at_once} steps at once"
    );
    reassembly.assert_invariants();
    reassembly
}

#[test]
fn floods_of_fragments_are_bounded_in_memory_and_work() {
    let mut random = Generator::from_seed(1);
    flood("first ones, all of different datagrams", |n| {
        piece(0, 2, true).of(n)
    });
    flood("later ones, of random datagrams and places", |_| {
        let at = random.below(8000) as usize;
        piece(at, 1, true).of(random.below(1 << 16) as u32)
    });
    flood(
        "every second eight bytes of one datagram after the other",
        |n| piece((n % 4000 * 2) as usize, 1, true).of(n / 4000),
    );
    flood("the same backwards", |n| {
        piece(8000 - (n % 4000 * 2) as usize, 1, true).of(n / 4000)
    });
    flood("teardrops", |n| piece((n % 3) as usize, 2, true).of(n / 3));
    flood("the same one again and again", |_| piece(0, 100, true));
    flood("large ones among small ones", |n| {
        let eights = if n % 100 == 0 { 8000 } else { 1 };
        piece(1, eights, true).of(n)
    });
    let mut random = Generator::from_seed(2);
    flood("from everywhere", |n| {
        let address = std::net::Ipv4Addr::from(random.next_u64() as u32 >> 8 | 0x0a00_0000);
        piece(0, 2, true).from(&address.to_string()).of(n)
    });
}

#[test]
fn a_flood_of_one_source_costs_nobody_else_a_datagram() {
    let mut reassembly = Reassembly::new(LIMIT);
    let honest = |n: u32| piece(0, 2, true).from("198.18.7.1").of(n);
    for n in 0..100 {
        assert_eq!(receive(&mut reassembly, &honest(n)), Ok(None));
    }
    for n in 0..50_000 {
        let _ = receive(&mut reassembly, &piece(0, 64, true).of(n));
    }
    for n in 0..100 {
        let rest = piece(2, 1, false).from("198.18.7.1").of(n);
        let whole = receive(&mut reassembly, &rest).unwrap().expect("whole");
        assert_whole(&whole, 24);
    }
    let held = reassembly.cost();
    assert!(
        held <= LIMIT / 4 && held > LIMIT / 8,
        "the flood has a quarter: {held}"
    );
}

/// `reassembly` filled by one source with datagrams of one piece, until the next one would evict the first; how many.
fn filled(reassembly: &mut Reassembly) -> u32 {
    receive(reassembly, &piece(0, 64, true).of(0)).expect("room");
    let each = reassembly.cost();
    let mut count = 1;
    while reassembly.cost() + each <= LIMIT / 4 {
        receive(reassembly, &piece(0, 64, true).of(count)).expect("room");
        count += 1;
    }
    assert_eq!(reassembly.tally().evicted, 0);
    count
}

#[test]
fn what_is_not_kept_evicts_nobody() {
    let mut reassembly = Reassembly::new(LIMIT);
    let count = filled(&mut reassembly);
    let last = count - 1;
    for _ in 0..100 {
        let again = receive(&mut reassembly, &piece(0, 64, true).of(last));
        assert_eq!(again, Err(FragmentRefusal::Duplicate));
    }
    for at in 1..100 {
        let teardrop = receive(&mut reassembly, &piece(at, 64, true).of(last));
        assert_eq!(teardrop, Err(FragmentRefusal::Overlap));
    }
    assert_eq!(reassembly.tally().evicted, 0);
    // There is room for one datagram at most now, and this one takes more than that.
    receive(&mut reassembly, &piece(0, 256, true).of(count)).expect("taken in");
    assert!(reassembly.tally().evicted > 0, "it was full");
}

#[test]
fn room_is_not_made_at_the_cost_of_the_datagram_it_is_for() {
    let mut reassembly = Reassembly::new(LIMIT);
    let count = filled(&mut reassembly);
    // The oldest one goes on, and the next one makes way.
    receive(&mut reassembly, &piece(64, 100, true).of(0)).expect("taken in");
    assert!(reassembly.tally().evicted > 0);
    let whole = receive(&mut reassembly, &piece(164, 1, false).of(0)).unwrap();
    assert_whole(&whole.expect("whole"), 165 * 8);
    let rest = |reassembly: &mut Reassembly, n| {
        let rest = receive(reassembly, &piece(64, 1, false).of(n));
        rest.expect("taken in").is_some()
    };
    assert!(!rest(&mut reassembly, 1), "the second oldest made way");
    assert!(rest(&mut reassembly, count - 1), "the newest did not");
}

#[test]
fn a_datagram_that_outgrows_its_share_gets_no_more() {
    const SMALL: usize = 64 << 10;
    let mut reassembly = Reassembly::new(SMALL);
    let other = piece(0, 2, true).of(7);
    assert_eq!(receive(&mut reassembly, &other), Ok(None));
    let strangers = piece(0, 2, true).from("198.18.7.1");
    assert_eq!(receive(&mut reassembly, &strangers), Ok(None));
    let mut at = 0;
    let refusal = loop {
        match receive(&mut reassembly, &piece(at, 128, true)) {
            Ok(None) => at += 128,
            outcome => break outcome,
        }
        assert!(at * 8 <= SMALL / 4, "nothing stops it");
    };
    assert_eq!(refusal, Err(FragmentRefusal::Limit));
    assert!(at * 8 > SMALL / 8, "only {at} times eight bytes of it fit");
    // What its source had begun before made way for it, and nobody else's.
    assert_eq!(reassembly.tally().evicted, 1);
    let rest = piece(2, 1, false);
    let whole = receive(&mut reassembly, &rest.clone().from("198.18.7.1")).unwrap();
    assert_whole(&whole.expect("a stranger's"), 24);
    assert_eq!(receive(&mut reassembly, &rest.of(7)), Ok(None));
}

#[test]
fn a_flood_from_everywhere_leaves_a_datagram_time_to_arrive() {
    let mut reassembly = Reassembly::new(LIMIT);
    let spoofed = |n: u32| {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 | n << 8 | 1);
        piece(0, 2, true).from(&address.to_string())
    };
    for n in 0..10_000 {
        receive(&mut reassembly, &spoofed(n)).unwrap();
    }
    assert_eq!(receive(&mut reassembly, &piece(0, 2, true)), Ok(None));
    for n in 10_000..10_500 {
        receive(&mut reassembly, &spoofed(n)).unwrap();
    }
    let whole = receive(&mut reassembly, &piece(2, 1, false)).unwrap();
    assert_whole(&whole.expect("whole"), 24);
}

#[test]
fn more_pieces_than_allowed_spoil_a_datagram_and_as_many_do_not() {
    let mut reassembly = Reassembly::new(LIMIT);
    let last = MAX_PIECES - 1;
    for at in 0..last {
        assert_eq!(
            receive(&mut reassembly, &piece(at, 1, true)),
            Ok(None),
            "{at}"
        );
    }
    let whole = receive(&mut reassembly, &piece(last, 1, false)).unwrap();
    assert_whole(&whole.expect("whole"), MAX_PIECES * 8);
    for at in 0..MAX_PIECES {
        assert_eq!(
            receive(&mut reassembly, &piece(at, 1, true)),
            Ok(None),
            "{at}"
        );
    }
    assert_eq!(
        receive(&mut reassembly, &piece(MAX_PIECES, 1, false)),
        Err(FragmentRefusal::Limit)
    );
}

#[test]
fn the_longest_datagram_becomes_whole_and_a_longer_one_does_not() {
    for (length, fits) in [(65_515usize, true), (65_516, false)] {
        let mut reassembly = Reassembly::new(LIMIT);
        let mut outcome = Ok(None);
        let eights = length.div_ceil(8);
        for from in (0..eights).step_by(180) {
            let to = (from + 180).min(eights);
            let mut piece = piece(from, to - from, to < eights);
            if !piece.more {
                piece.bytes.truncate(length - from * 8);
            }
            assert_eq!(outcome, Ok(None));
            outcome = receive(&mut reassembly, &piece);
        }
        match outcome {
            Ok(Some(whole)) if fits => {
                assert_whole(&whole, length);
            }
            other => assert_eq!((other, fits), (Err(FragmentRefusal::Malformed), false)),
        }
        assert_eq!(reassembly.cost(), 0);
    }
}
