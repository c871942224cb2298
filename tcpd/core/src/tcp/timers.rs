//! The timers of one connection: a fixed table, of which the stack's wheel sees only the earliest entry.

use std::time::Duration;

use crate::time::Instant;

#[cfg(test)]
mod tests;

/// What a connection may be waiting for. Each name says when the timer goes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Timer {
    /// When to send SYN or SYN-ACK again, or give up opening (§3.8.3).
    Handshake,
    /// When to send a probe for the end of a flight that stays unanswered (RFC 8985 §7).
    TailLoss,
    /// When what may have been overtaken on its way counts as lost (RFC 8985 §6.2).
    Reordering,
    /// When the next text may leave at the rate that congestion control asks for.
    Pacing,
    /// When to retransmit the oldest unacknowledged segment (RFC 6298).
    Retransmission,
    /// When to probe a zero window, or to override silly-window avoidance (§3.8.6.1, §3.8.6.2.1).
    ZeroWindow,
    /// When to acknowledge what no other segment has acknowledged yet (§3.8.6.3).
    DelayedAck,
    /// When to send the challenge ACK that its limiter held back (RFC 5961 §7).
    ChallengeAck,
    /// When to send the next keepalive probe (§3.8.4).
    KeepAlive,
    /// When the user's patience with unacknowledged data ends (§3.8.3, §3.10.8).
    User,
    /// When the user's patience with a connection that carries no text ends (`idle_timeout`).
    Idle,
    /// When an orphan in FIN-WAIT-2, or one that still has data to send, is given up.
    Orphan,
    /// When 2MSL are over (§3.10.8).
    TimeWait,
}

impl Timer {
    /// Every timer.
    pub const ALL: [Self; 13] = [
        Self::Handshake,
        Self::TailLoss,
        Self::Reordering,
        Self::Pacing,
        Self::Retransmission,
        Self::ZeroWindow,
        Self::DelayedAck,
        Self::ChallengeAck,
        Self::KeepAlive,
        Self::User,
        Self::Idle,
        Self::Orphan,
        Self::TimeWait,
    ];

    /// The timer's name, in kebab-case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::TailLoss => "tail-loss",
            Self::Reordering => "reordering",
            Self::Pacing => "pacing",
            Self::Retransmission => "retransmission",
            Self::ZeroWindow => "zero-window",
            Self::DelayedAck => "delayed-ack",
            Self::ChallengeAck => "challenge-ack",
            Self::KeepAlive => "keep-alive",
            Self::User => "user",
            Self::Idle => "idle",
            Self::Orphan => "orphan",
            Self::TimeWait => "time-wait",
        }
    }
}

/// A table of deadlines, one a [`Timer`].
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    /// Nanoseconds; `u64::MAX` means not running.
    at: [u64; Timer::ALL.len()],
}

const NEVER: u64 = u64::MAX;

impl Timers {
    pub(crate) const fn new() -> Self {
        Self {
            at: [NEVER; Timer::ALL.len()],
        }
    }

    /// Starts `timer`, or moves it.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.at[timer as usize] = at.as_nanos();
    }

    /// Starts `timer` unless it runs already.
    pub(crate) fn set_if_idle(&mut self, timer: Timer, now: Instant, after: Duration) {
        if self.at[timer as usize] == NEVER {
            self.set(timer, now + after);
        }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.at[timer as usize] = NEVER;
    }

    pub(crate) fn stop_all(&mut self) {
        self.at = [NEVER; Timer::ALL.len()];
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        match self.at[timer as usize] {
            NEVER => None,
            nanos => Some(Instant::from_nanos(nanos)),
        }
    }

    pub(crate) fn is_running(&self, timer: Timer) -> bool {
        self.at[timer as usize] != NEVER
    }

    /// The deadline the wheel has to know, and whose it is.
    pub(crate) fn earliest(&self) -> Option<(Timer, Instant)> {
        let timer = Timer::ALL
            .into_iter()
            .min_by_key(|&timer| self.at[timer as usize])?;
        self.get(timer).map(|at| (timer, at))
    }

    /// Takes one timer whose time has come out of the table.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let (timer, at) = self.earliest()?;
        if at > now {
            return None;
        }
        self.stop(timer);
        Some(timer)
    }
}
