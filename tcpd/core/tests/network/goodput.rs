//! The table of goodputs: {loss} × {round trip} × {rate} × {controller}, one stream each, against `goodput.txt` beside this; and
//! floors that no `cargo xtask bless` moves.

use std::fmt::Write as _;
use std::time::Duration;

use tcpd_core::sim::network::goodput::{Path, Share, TEXT, alone};
use tcpd_core::stack::CongestionControl;

use crate::common::threads::on_all_processors;

const LOSSES: [f64; 5] = [0.0, 0.001, 0.01, 0.03, 0.05];
/// In milliseconds, and what part of a rate's seconds is measured: what a round trip of 300 ms needs is hundreds of them at 1 ms.
const ROUND_TRIPS: [(u64, f64); 4] = [(1, 0.4), (20, 0.4), (100, 0.5), (300, 1.0)];
/// Mbit/s, and the most virtual seconds for which a stream of that rate is measured: `ROUND_TRIPS` takes a part of them.
const RATES: [(u64, u64); 3] = [(10, 60), (100, 20), (1_000, 10)];
const SEED: u64 = 5;

#[derive(Debug, Clone, Copy)]
struct Cell {
    controller: CongestionControl,
    path: Path,
    seconds: f64,
}

/// In the order of the table: controller, rate, loss, round trip.
fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for controller in CongestionControl::ALL {
        for (mbits, seconds) in RATES {
            for loss in LOSSES {
                for (rtt, part) in ROUND_TRIPS {
                    let path = Path {
                        rate: mbits * 1_000_000,
                        rtt: Duration::from_millis(rtt),
                        loss,
                    };
                    cells.push(Cell {
                        controller,
                        path,
                        seconds: seconds as f64 * part,
                    });
                }
            }
        }
    }
    cells
}

fn measure(cell: &Cell) -> Share {
    let duration = Duration::from_secs_f64(cell.seconds);
    match alone(&cell.path, cell.controller, duration, SEED) {
        Ok(share) => {
            let sender = &share.sender;
            println!(
                "{} {} Mbit/s {:?} {} %: {} Mbit/s, {} timeouts, {} sent again, {} spurious, srtt {:?}",
                cell.controller.name(),
                cell.path.rate / 1_000_000,
                cell.path.rtt,
                cell.path.loss * 100.0,
                mbits(share.goodput),
                sender.timeouts,
                sender.retransmissions,
                sender.spurious,
                sender.srtt,
            );
            share
        }
        Err(message) => panic!("{cell:?}: {message}"),
    }
}

/// Three digits, Mbit/s.
fn mbits(goodput: u64) -> String {
    let value = goodput as f64 / 1e6;
    let decimals = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

fn table(cells: &[Cell], shares: &[Share]) -> String {
    let mut out = String::new();
    let row = ROUND_TRIPS.len();
    let block = row * LOSSES.len();
    for (index, (cells, shares)) in cells.chunks(row).zip(shares.chunks(row)).enumerate() {
        if (index * row).is_multiple_of(block) {
            let (first, rate) = (&cells[0], cells[0].path.rate / 1_000_000);
            let title = format!("{} {rate} Mbit/s", first.controller.name());
            let _ = write!(out, "\n{title:<22}");
            for cell in cells {
                let _ = write!(out, "{:>9}", format!("{} ms", cell.path.rtt.as_millis()));
            }
            out.push('\n');
        }
        let loss = format!("{} %", cells[0].path.loss * 100.0);
        let _ = write!(out, "{:>12} lost     ", loss);
        for share in shares {
            let _ = write!(out, "{:>9}", mbits(share.goodput));
        }
        out.push('\n');
    }
    out
}

/// The goodputs in a table, in its order: the words of its rows that are numbers alone.
fn numbers(table: &str) -> Vec<f64> {
    let rows = table.lines().filter(|line| line.contains(" lost "));
    let words = rows.flat_map(|row| row.split(" lost ").skip(1).flat_map(str::split_whitespace));
    words.filter_map(|word| word.parse().ok()).collect()
}

/// How far a cell may be from the table: what a change of timing alone does to a path on which chance decides.
const TOLERANCE: f64 = 0.25;
/// And what counts as nothing, Mbit/s.
const CRUMB: f64 = 0.02;

#[test]
fn the_goodput_of_every_path_is_that_of_the_table() {
    let cells = cells();
    let shares = on_all_processors(&cells, measure);
    let table = table(&cells, &shares);
    println!("{table}");
    floors(&cells, &shares);
    let known = crate::known("goodput.txt", &table);
    let (known, found) = (numbers(&known), numbers(&table));
    assert_eq!(known.len(), cells.len(), "goodput.txt is not whole");
    let far: Vec<String> = cells
        .iter()
        .zip(known.iter().zip(&found))
        .filter(|(_, (known, found))| {
            (*known - *found).abs() > CRUMB + TOLERANCE * known.max(**found)
        })
        .map(|(cell, (known, found))| format!("{cell:?}: {known} in the table, {found} now"))
        .collect();
    assert!(
        far.is_empty(),
        "{}\nif that is meant: cargo xtask bless",
        far.join("\n")
    );
}

/// What any sane stack gets, whatever the table says: a clean path is nearly full, and one that loses at random gets the half of what
/// RFC 5681 would, sqrt(3/2p) segments each round trip, if the wire carries that.
fn floors(cells: &[Cell], shares: &[Share]) {
    for (cell, share) in cells.iter().zip(shares) {
        let (path, goodput) = (&cell.path, share.goodput as f64);
        // A start takes log2(BDP / 10 segments) round trips, half as many more where HyStart++ is careful, and what overflows then is
        // repaired in a few.
        let rounds = (path.bandwidth_delay_product() as f64 / 14_480.0)
            .max(1.0)
            .log2()
            + 8.0;
        let start = rounds * path.rtt.as_secs_f64() / cell.seconds;
        let wire = path.most() as f64 * (0.9 - 1.5 * start).max(0.1);
        let random = match path.loss {
            0.0 => f64::INFINITY,
            loss => TEXT as f64 * 8.0 / path.rtt.as_secs_f64() * (1.5 / loss).sqrt() / 2.0,
        };
        assert!(
            goodput >= wire.min(random),
            "{cell:?}: {} Mbit/s, less than {:.1}",
            mbits(share.goodput),
            wire.min(random) / 1e6
        );
        assert!(
            // What waits in queues when the measuring begins comes on top.
            share.goodput <= path.most() + path.most() / 100,
            "{cell:?}: faster than the wire"
        );
    }
}
