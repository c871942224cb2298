//! HyStart++ (RFC 9406): the first slow start ends before the queue overflows.
//!
//! Round trips that grow say that a queue builds up. Then CWND goes on growing, four times as slowly (conservative slow start), for five
//! rounds; if the round trips come down meanwhile it was a false alarm.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// MIN_RTT_THRESH.
const LEAST_THRESHOLD: Duration = Duration::from_millis(4);
/// MAX_RTT_THRESH.
const LARGEST_THRESHOLD: Duration = Duration::from_millis(16);
/// MIN_RTT_DIVISOR.
const DIVISOR: u32 = 8;
/// N_RTT_SAMPLE: a round with fewer samples says nothing.
const SAMPLES: u8 = 8;
/// CSS_GROWTH_DIVISOR.
const GROWTH_DIVISOR: u32 = 4;
/// CSS_ROUNDS.
const CONSERVATIVE_ROUNDS: u8 = 5;

/// What slow start does with an acknowledgment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// CWND grows by what was acknowledged.
    Full,
    /// By a fourth of that.
    Conservative,
    /// Slow start is over: congestion avoidance from the present CWND on.
    Over,
}

/// What is known of the round trips of the first slow start.
#[derive(Clone, Debug, Default)]
pub(crate) struct HyStart {
    /// lastRoundMinRTT; `None`: infinity.
    previous: Option<Duration>,
    /// currentRoundMinRTT.
    current: Option<Duration>,
    /// rttSampleCount, as far as it matters.
    samples: u8,
    /// In conservative slow start: cssBaselineMinRtt, and the rounds that are left.
    conservative: Option<(Duration, u8)>,
}

impl HyStart {
    /// An acknowledgment came in slow start, with its round trip `rtt` if it gave one. `round_ended`: it is the first of a new round.
    pub(crate) fn on_acknowledged(&mut self, rtt: Option<Duration>, round_ended: bool) -> Pace {
        if round_ended && self.begin_round() {
            return Pace::Over;
        }
        if let Some(rtt) = rtt {
            self.current = Some(self.current.map_or(rtt, |least| least.min(rtt)));
            self.samples = self.samples.saturating_add(1).min(SAMPLES);
        }
        if self.samples == SAMPLES {
            self.judge();
        }
        match self.conservative {
            None => Pace::Full,
            Some(_) => Pace::Conservative,
        }
    }

    /// By what CWND grows in conservative slow start when `bytes` would be its growth in slow start.
    pub(crate) const fn conservative(bytes: u32) -> u32 {
        bytes / GROWTH_DIVISOR
    }

    /// RFC 9406 §4.2: the round that ended is the one to compare with. Whether slow start is over.
    fn begin_round(&mut self) -> bool {
        self.previous = self.current.take();
        self.samples = 0;
        let Some((_, left)) = &mut self.conservative else {
            return false;
        };
        *left -= 1;
        *left == 0
    }

    /// RFC 9406 §4.2: enough samples of this round are there.
    fn judge(&mut self) {
        let Some(current) = self.current else { return };
        match self.conservative {
            None => {
                let Some(previous) = self.previous else {
                    return;
                };
                let threshold = (previous / DIVISOR).clamp(LEAST_THRESHOLD, LARGEST_THRESHOLD);
                if current >= previous + threshold {
                    self.conservative = Some((current, CONSERVATIVE_ROUNDS));
                }
            }
            // The delay came down again: it was no queue.
            Some((baseline, _)) if current < baseline => self.conservative = None,
            Some(_) => {}
        }
    }
}
