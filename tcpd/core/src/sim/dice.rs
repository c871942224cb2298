//! Chance for the parameters of simulations.

use std::time::Duration;

use crate::random::Generator;
use crate::sim::link::Burst;

/// Draws from lists and ranges.
#[derive(Debug)]
pub(super) struct Dice(Generator);

impl Dice {
    pub(super) fn from_seed(seed: u64) -> Dice {
        Dice(Generator::from_seed(seed))
    }

    /// One of them.
    pub(super) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.below(choices.len() as u64) as usize]
    }

    /// A number of the range, both ends included.
    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.0.below(to - from + 1)
    }

    /// A number whose length in bits is uniform: small ones as often as large ones.
    pub(super) fn scaled(&mut self, most: u64) -> u64 {
        let bits = self.between(0, u64::from(64 - most.leading_zeros()));
        self.between(0, (1u64 << bits).min(most))
    }

    /// So many milliseconds, both ends included.
    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.between(from, to))
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.0.chance(p)
    }

    /// Zero half of the time, otherwise up to `most`.
    pub(super) fn probability(&mut self, most: f64) -> f64 {
        if self.chance(0.5) {
            return 0.0;
        }
        self.between(1, 1_000) as f64 / 1_000.0 * most
    }

    /// Losses in bursts with probability `p`: a tenth of the time at most.
    pub(super) fn burst(&mut self, p: f64) -> Option<Burst> {
        self.chance(p).then(|| {
            let leave = self.between(50, 1_000) as f64 / 1_000.0;
            Burst {
                enter: leave * self.between(1, 100) as f64 / 1_000.0,
                leave,
                loss: self.between(300, 1_000) as f64 / 1_000.0,
            }
        })
    }
}
