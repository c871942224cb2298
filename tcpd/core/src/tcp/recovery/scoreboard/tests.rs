use std::time::Duration;

use super::{Scoreboard, Standing, Stretch};
use crate::random::Generator;
use crate::tcp::recovery::rate::DeliveryRate;
use crate::time::Instant;

const MSS: u64 = 1000;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn send(board: &mut Scoreboard, start: u64, end: u64, millis: u64) {
    let stamp = DeliveryRate::new().on_sent(at(millis), true);
    board.sent(start, end, at(millis), MSS, stamp);
}

/// Ten segments, one every millisecond.
fn ten() -> Scoreboard {
    let mut board = Scoreboard::default();
    for segment in 0..10 {
        send(&mut board, segment * MSS, (segment + 1) * MSS, segment);
    }
    board
}

fn sums(board: &Scoreboard) -> (u64, u64, u64) {
    (board.in_flight(), board.lost(), board.sacked())
}

fn sack(board: &mut Scoreboard, start: u64, end: u64) -> Vec<(u64, u64)> {
    let mut pieces = Vec::new();
    board.sack(start, end, MSS, |piece, _| {
        pieces.push((piece.start, piece.end));
    });
    pieces
}

fn acknowledge(board: &mut Scoreboard, una: u64) -> Vec<(u64, u64)> {
    let mut pieces = Vec::new();
    board.acknowledge(una, |piece| pieces.push((piece.start, piece.end)));
    pieces
}

#[test]
fn what_is_acknowledged_leaves_the_board_once() {
    let mut board = ten();
    assert_eq!(sack(&mut board, 4000, 6000), [(4000, 5000), (5000, 6000)]);
    assert_eq!(sack(&mut board, 4000, 6000), [], "no news");
    assert_eq!(sums(&board), (8000, 0, 2000));
    assert_eq!(board.len(), 9, "SACKed neighbours are one");
    assert_eq!(
        acknowledge(&mut board, 6500),
        [
            (0, 1000),
            (1000, 2000),
            (2000, 3000),
            (3000, 4000),
            (6000, 6500)
        ]
    );
    assert_eq!(sums(&board), (3500, 0, 0));
    board.assert_invariants(6500, 10_000);
}

#[test]
fn a_super_segment_is_cut_where_sack_says() {
    let mut board = Scoreboard::default();
    send(&mut board, 0, 44_000, 0);
    assert_eq!(sack(&mut board, 1000, 2000), [(1000, 2000)]);
    assert_eq!(sack(&mut board, 3000, 5000), [(3000, 5000)]);
    assert_eq!((board.len(), sums(&board)), (5, (41_000, 0, 3000)));
    assert_eq!(sack(&mut board, 2000, 3000), [(2000, 3000)]);
    assert_eq!((board.len(), sums(&board)), (3, (40_000, 0, 4000)));
    board.assert_invariants(0, 44_000);
}

#[test]
fn what_was_sent_long_before_the_newest_delivered_is_lost() {
    let mut board = ten();
    sack(&mut board, 5000, 6000);
    let newest = (at(5), 6000);
    let patience = Duration::from_millis(10);
    // At 12 ms: what was sent at 0, 1 and 2 ms. The next is due at 13.
    assert_eq!(
        board.lose_overdue(newest, patience, at(12)),
        (3000, Some(at(13)))
    );
    assert_eq!(board.first_lost(1), Some((0, 1000)));
    assert_eq!(
        board.first_lost(9000),
        Some((0, 3000)),
        "neighbours go together"
    );
    // What was sent after the newest delivered is never lost by it.
    assert_eq!(board.lose_overdue(newest, patience, at(1000)), (2000, None));
    assert_eq!(sums(&board), (4000, 5000, 1000));
    board.assert_invariants(0, 10_000);
}

#[test]
fn of_two_sent_in_the_same_instant_the_lower_one_was_first() {
    let mut board = Scoreboard::default();
    for segment in 0..3 {
        send(&mut board, segment * MSS, (segment + 1) * MSS, 0);
    }
    sack(&mut board, 1000, 2000);
    let lost = board.lose_overdue((at(0), 2000), Duration::ZERO, at(1));
    assert_eq!(
        (lost, board.first_lost(9000)),
        ((1000, None), Some((0, 1000)))
    );
}

#[test]
fn what_is_sent_again_is_in_flight_again_and_can_be_lost_again() {
    let mut board = ten();
    board.lose(0, 2000);
    send(&mut board, 0, 2000, 50);
    assert_eq!(sums(&board), (10_000, 0, 0));
    assert_eq!(board.len(), 9, "what went out at once is one stretch");
    send(&mut board, 10_000, 11_000, 60);
    sack(&mut board, 10_000, 11_000);
    let patience = Duration::from_millis(20);
    board.lose_overdue((at(60), 11_000), patience, at(75));
    assert_eq!(
        sums(&board),
        (0, 10_000, 1000),
        "sent at 0 to 9, and again at 50"
    );
    let first = board.stretches.values().next().copied();
    assert_eq!(first.map(|stretch| stretch.transmissions), Some(2));
}

#[test]
fn what_the_peer_takes_back_is_lost() {
    let mut board = ten();
    sack(&mut board, 1000, 10_000);
    assert!(!board.is_reneged());
    acknowledge(&mut board, 1000);
    assert!(board.is_reneged(), "the first byte outstanding was SACKed");
    board.forget_sacked();
    assert_eq!(sums(&board), (0, 9000, 0));
    assert!(!board.is_reneged());
}

#[test]
fn what_was_not_lost_after_all_is_in_flight_again() {
    let mut board = ten();
    board.lose_all();
    send(&mut board, 0, 1000, 50);
    board.revive_lost();
    assert_eq!(sums(&board), (10_000, 0, 0));
    board.assert_invariants(0, 10_000);
}

#[test]
fn single_bytes_that_are_sacked_make_no_more_stretches_than_segments() {
    let mut board = Scoreboard::default();
    let end = 4_000_000;
    send(&mut board, 0, end, 0);
    let steps = board.steps();
    for position in (1..end).step_by(2).take(100_000) {
        sack(&mut board, position, position + 1);
    }
    let most = (super::ROOM + end / MSS) as usize;
    assert!(board.len() <= most + 2, "{} stretches", board.len());
    assert!(
        board.steps() - steps <= 200_000,
        "two steps a block at most"
    );
    board.assert_invariants(0, end);
    // An honest block is still understood where it needs no new boundary.
    assert!(!sack(&mut board, end - 2_000_000, end).is_empty() || board.sacked() > 0);
}

#[test]
fn tiny_segments_become_one_stretch_where_there_are_too_many() {
    let mut board = Scoreboard::default();
    for position in 0..10_000 {
        send(&mut board, position, position + 1, position);
    }
    assert!(
        board.len() <= (super::ROOM + 10_000 / MSS) as usize + 10,
        "{}",
        board.len()
    );
    assert_eq!(board.in_flight(), 10_000);
    board.assert_invariants(0, 10_000);
}

/// Random events, against a board that keeps a standing for every byte.
#[test]
fn the_sums_are_those_of_a_board_byte_by_byte() {
    for seed in 0..200 {
        let mut generator = Generator::from_seed(seed);
        let mut board = Scoreboard::default();
        let mut bytes: Vec<Standing> = Vec::new();
        let (mut una, mut millis) = (0usize, 0);
        for _ in 0..200 {
            millis += generator.below(3);
            let nxt = bytes.len();
            let mut range = || {
                let start = una as u64 + generator.below((nxt - una) as u64 + 1);
                let end = start + generator.below(nxt as u64 - start + 1);
                (start as usize, end as usize)
            };
            let (start, end) = range();
            match generator.below(6) {
                0 | 1 => {
                    let more = 1 + generator.below(30) as usize;
                    send(&mut board, nxt as u64, (nxt + more) as u64, millis);
                    bytes.resize(nxt + more, Standing::InFlight);
                }
                2 if start < end => {
                    sack(&mut board, start as u64, end as u64);
                    bytes[start..end].fill(Standing::Sacked);
                }
                3 => {
                    acknowledge(&mut board, start as u64);
                    una = start;
                }
                4 => {
                    board.lose(start as u64, end as u64);
                    for byte in &mut bytes[start..end] {
                        if *byte == Standing::InFlight {
                            *byte = Standing::Lost;
                        }
                    }
                }
                _ => {
                    if let Some((start, end)) = board.first_lost(1 + generator.below(20)) {
                        send(&mut board, start, end, millis);
                        bytes[start as usize..end as usize].fill(Standing::InFlight);
                    }
                }
            }
            let count = |standing| {
                bytes[una..]
                    .iter()
                    .filter(|&&byte| byte == standing)
                    .count() as u64
            };
            assert_eq!(
                sums(&board),
                (
                    count(Standing::InFlight),
                    count(Standing::Lost),
                    count(Standing::Sacked)
                ),
                "seed {seed}"
            );
            board.assert_invariants(una as u64, bytes.len() as u64);
        }
    }
}

#[test]
fn a_stretch_knows_how_often_it_was_sent() {
    let stretch = |transmissions| Stretch {
        start: 0,
        end: 1,
        sent_at: at(0),
        transmissions,
        standing: Standing::InFlight,
        stamp: DeliveryRate::new().on_sent(at(0), true),
    };
    assert!(!stretch(1).was_retransmitted());
    assert!(stretch(2).was_retransmitted());
}
