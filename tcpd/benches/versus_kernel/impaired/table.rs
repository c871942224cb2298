//! What was measured, as a table.

use super::cell::{LOSSES, ROUND_TRIPS};

/// Goodput of the same connection on three occasions with the same seed, in Mbit/s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) kernel: f64,
    pub(super) kernel_again: f64,
    pub(super) tcpd: f64,
}

/// What the pairs of a cell say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summary {
    /// Of the kernel's goodput, in Mbit/s.
    pub(super) kernel: f64,
    /// tcpd : kernel.
    pub(super) ratio: f64,
    /// The kernel's second run : its first.
    pub(super) itself: f64,
}

impl Summary {
    /// The medians; `None` without a pair.
    pub(super) fn of(pairs: &[Pair]) -> Option<Summary> {
        let all = |value: fn(&Pair) -> f64| median(pairs.iter().map(value).collect());
        Some(Summary {
            kernel: all(|pair| pair.kernel)?,
            ratio: all(|pair| pair.tcpd / pair.kernel)?,
            itself: all(|pair| pair.kernel_again / pair.kernel)?,
        })
    }
}

/// The upper one of the two in the middle, for an even number.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// A line for each loss, a column for each round-trip time.
pub(super) fn print(title: &str, summary: impl Fn(f64, u64) -> Option<Summary>) {
    println!("\n{title}");
    print!("{:<10}", "loss");
    for round_trip in ROUND_TRIPS {
        print!("{:>27}", format!("RTT {round_trip} ms"));
    }
    println!();
    for loss in LOSSES {
        print!("{:<10}", format!("{loss} %"));
        for round_trip in ROUND_TRIPS {
            let text = summary(loss, round_trip).map_or_else(
                || "-".to_owned(),
                |cell| {
                    format!(
                        "{:.2} ({:.2}) {:>8.2}",
                        cell.ratio, cell.itself, cell.kernel
                    )
                },
            );
            print!("{text:>27}");
        }
        println!();
    }
}
