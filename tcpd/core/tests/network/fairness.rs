//! Streams that share a bottleneck: Jain's index for two and for eight, and CUBIC against NewReno, against `fairness.txt` beside this; and
//! floors that no `cargo xtask bless` moves.

use std::fmt::Write as _;
use std::path::Path;
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
        let _ = writeln!(table, "{row:<24} {index:.3}");
        // Two of a kind whose losses coincide at a drop-tail queue come together within minutes, not seconds.
        let of_a_kind = who.iter().all(|one| one == &who[0]);
        let least = match (of_a_kind, who.len()) {
            (true, 2) => 0.75,
            (true, _) => 0.90,
            // What CUBIC takes from NewReno where the round trip is long is what RFC 9438 §4.3 gives it: the table says how much.
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

/// Jain's index of each row is that of `fairness.txt`, or a twentieth beside it.
fn against_what_is_known(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network/fairness.txt");
    if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        std::fs::write(&path, table).expect("the table can be written");
    }
    let known = std::fs::read_to_string(&path).expect("the table is there");
    assert_eq!(known.lines().count(), table.lines().count());
    let index = |row: &str| -> f64 {
        let word = row.split_whitespace().next_back().expect("an index");
        word.parse().expect("a number")
    };
    for (known, now) in known.lines().zip(table.lines()) {
        assert!(
            (index(known) - index(now)).abs() <= 0.05,
            "{known} in the table, and now {now}; if that is meant: cargo xtask bless"
        );
    }
}
