//! A cell of the table: a path, and how long a connection on it must be watched.

use std::time::Duration;

use tcpd_core::impairment::Impairment;

/// Percent of the packets, in each direction.
pub(super) const LOSSES: [f64; 4] = [0.0, 0.1, 1.0, 3.0];
/// Milliseconds.
pub(super) const ROUND_TRIPS: [u64; 3] = [5, 20, 100];
/// Mbit/s of the wire, in each direction.
const RATE: u64 = 100;

/// What a queue holds at least.
const LEAST_QUEUE: u64 = 64 << 10;
/// Lateness of the relay is known in powers of two of microseconds; so little is none on any of the paths.
const LEAST_LATENESS: Duration = Duration::from_micros(1 << 10);
/// Losses that a connection shall see, so that chance evens out.
const LOSSES_WANTED: f64 = 150.0;
const SHORTEST: f64 = 10.0;
const LONGEST: f64 = 120.0;
/// Payload bytes of a full segment with timestamps.
const SEGMENT: f64 = 1448.0;

/// One path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    /// Percent.
    pub(super) loss: f64,
    /// Milliseconds.
    pub(super) round_trip: u64,
}

impl Cell {
    /// All of the table, the slowest first.
    pub(super) fn all() -> impl Iterator<Item = Cell> {
        LOSSES.into_iter().flat_map(|loss| {
            ROUND_TRIPS
                .into_iter()
                .map(move |round_trip| Cell { loss, round_trip })
        })
    }

    /// One direction: half of the round-trip time, the whole loss, and a queue of one bandwidth × delay.
    pub(super) fn path(self) -> Impairment {
        let rate = RATE * 1_000_000 / 8;
        Impairment {
            delay: Duration::from_micros(self.round_trip * 500),
            rate,
            queue: (rate * self.round_trip / 1000).max(LEAST_QUEUE) as u32,
            loss: self.loss / 100.0,
            ..Impairment::default()
        }
    }

    /// When the relay is later than this for one packet in a thousand, a run does not count.
    pub(super) fn too_late(self) -> Duration {
        LEAST_LATENESS.max(Duration::from_millis(self.round_trip) / 20)
    }

    /// Mbit/s that a connection may reach, roughly: Mathis' formula with what CUBIC adds to it. It decides only how long
    /// connections are watched and how many at once.
    pub(super) fn expected(self) -> f64 {
        let round_trip = self.round_trip as f64 / 1000.0;
        let packets = 1.5 / (round_trip * (self.loss / 100.0).sqrt());
        (packets * SEGMENT * 8.0 / 1e6).min(RATE as f64)
    }

    /// How long a connection is watched.
    pub(super) fn time(self) -> Duration {
        if self.loss == 0.0 {
            // Nothing is left to chance.
            return Duration::from_secs_f64(SHORTEST);
        }
        let losses = self.expected() * 1e6 / 8.0 / SEGMENT * self.loss / 100.0;
        Duration::from_secs_f64((LOSSES_WANTED / losses).clamp(SHORTEST, LONGEST))
    }
}
