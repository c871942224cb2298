//! Streams that share a bottleneck: Jain's index for two and for eight, and CUBIC's part where it meets NewReno, against `fairness.txt`
//! beside this; and floors that no `cargo xtask bless` moves.

use std::fmt::Write as _;
use std::time::Duration;

use tcpd_core::sim::network::goodput::{self, jain, share};
use tcpd_core::stack::CongestionControl;

use crate::common::threads::on_all_processors;

/// What each of several streams got in Mbit/s, and Jain's index of it.
fn compete(path: &goodput::Path, controllers: &[CongestionControl]) -> (Vec<u64>, f64) {
    let shares = share(
        path,
        controllers,
        Duration::from_millis(500),
        Duration::from_secs(20),
        Duration::from_secs(60),
        7,
    );
    let shares = shares.unwrap_or_else(|message| panic!("{path:?} {controllers:?}: {message}"));
    let goodputs: Vec<u64> = shares.iter().map(|share| share.goodput).collect();
    let index = jain(&goodputs);
    (goodputs, index)
}

#[test]
fn streams_share_a_bottleneck() {
    use CongestionControl::{Cubic, NewReno};
    let mut runs = Vec::new();
    for rtt in [10, 50] {
        let path = goodput::Path {
            rate: 100_000_000,
            rtt: Duration::from_millis(rtt),
            loss: 0.0,
        };
        for who in [
            vec![Cubic; 2],
            vec![NewReno; 2],
            vec![Cubic; 8],
            vec![NewReno; 8],
            vec![Cubic, NewReno],
            [vec![Cubic; 4], vec![NewReno; 4]].concat(),
        ] {
            runs.push((path, who));
        }
    }
    let outcomes = on_all_processors(&runs, |(path, who)| compete(path, who));
    let mut table = String::new();
    for ((path, who), (goodputs, index)) in runs.iter().zip(outcomes) {
        let all: u64 = goodputs.iter().sum();
        let row = format!("{:?} {}", path.rtt, words(who));
        println!("{row}: {goodputs:?} {index:.3}");
        // Two of a kind whose losses coincide at a drop-tail queue come together within minutes, not seconds.
        let of_a_kind = who.iter().all(|one| one == &who[0]);
        let _ = match of_a_kind {
            true => writeln!(table, "{row:<24}  {index:.3}"),
            false => {
                let part = part_of(Cubic, who, &goodputs);
                writeln!(table, "{row:<24}  {index:.3}  cubic's part {part:.3}")
            }
        };
        let least = match (of_a_kind, who.len()) {
            (true, 2) => 0.75,
            (true, _) => 0.90,
            // What CUBIC takes from NewReno where the round trip is long is what RFC 9438 §4.3 gives it: its part in the table says how much.
            (false, _) => 0.65,
        };
        assert!(index >= least, "unfair, below {least}: {row}: {index}");
        assert!(
            all as f64 >= 0.85 * path.most() as f64,
            "the path is not full: {row}: {goodputs:?}"
        );
        let starved = goodputs
            .iter()
            .any(|&one| one < all / goodputs.len() as u64 / 5);
        assert!(!starved, "one has less than a fifth of its share: {row}");
    }
    against_what_is_known(&table);
}

/// As `4 cubic 4 newreno`.
fn words(who: &[CongestionControl]) -> String {
    let kinds = CongestionControl::ALL.into_iter().filter_map(|kind| {
        let count = who.iter().filter(|one| **one == kind).count();
        (count > 0).then(|| format!("{count} {}", kind.name()))
    });
    kinds.collect::<Vec<_>>().join(" ")
}

/// What streams of this kind have of all that goes through: the index does not tell who has more.
fn part_of(kind: CongestionControl, who: &[CongestionControl], goodputs: &[u64]) -> f64 {
    let each = who.iter().zip(goodputs);
    let theirs: u64 = each
        .filter(|(one, _)| **one == kind)
        .map(|(_, goodput)| goodput)
        .sum();
    theirs as f64 / goodputs.iter().sum::<u64>() as f64
}

/// How far Jain's index may be from the table.
const INDEX_TOLERANCE: f64 = 0.05;
/// How far CUBIC's part may be from the table.
const PART_TOLERANCE: f64 = 0.05;

/// One row of the table.
struct Row<'a> {
    /// The round trip, and who competes.
    name: &'a str,
    index: f64,
    /// CUBIC's part, where others compete with it.
    part: Option<f64>,
}

impl Row<'_> {
    fn parse(row: &str) -> Row<'_> {
        let number = |word: &str| -> f64 { word.parse().expect("a number") };
        let mut columns = row
            .split("  ")
            .map(str::trim)
            .filter(|column| !column.is_empty());
        Row {
            name: columns.next().expect("a name"),
            index: number(columns.next().expect("an index")),
            part: columns
                .next()
                .map(|column| number(column.strip_prefix("cubic's part ").expect("its part"))),
        }
    }

    /// The same streams, and what they get is within the tolerances.
    fn is_near(&self, other: &Row<'_>) -> bool {
        let parts = match (self.part, other.part) {
            (Some(one), Some(other)) => (one - other).abs() <= PART_TOLERANCE,
            (one, other) => one == other,
        };
        self.name == other.name && (self.index - other.index).abs() <= INDEX_TOLERANCE && parts
    }
}

/// Each row is that of `fairness.txt`, or near it.
fn against_what_is_known(table: &str) {
    let known = crate::known("fairness.txt", table);
    assert_eq!(known.lines().count(), table.lines().count());
    for (known, now) in known.lines().zip(table.lines()) {
        assert!(
            Row::parse(known).is_near(&Row::parse(now)),
            "{known} in the table, and now {now}; if that is meant: cargo xtask bless"
        );
    }
}
