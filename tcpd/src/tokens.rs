//! Tokens: the right to one connection, once, for a short time, for one user.
//!
//! A service's worker comes for its connection with one, and so does who adopts a connection that another process has handed
//! off. Each kind has [`Tokens`] of its own; [`FailedAttempts`] are counted for all of them together.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::io;
use std::time::Duration;

use tcpd_core::time::Instant;

use crate::system::entropy::random_bytes;

/// A user that presented so many bad tokens within [`FAILURE_WINDOW`] is told so until the window is over, and its sessions end.
pub const MAX_FAILURES: u32 = 16;
/// See [`MAX_FAILURES`].
pub const FAILURE_WINDOW: Duration = Duration::from_secs(10);
/// Users whose failures are remembered; beyond, the one whose window began first is forgotten.
const MAX_USERS: usize = 1024;

/// Why a token gives no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such token: never issued, used, too old, or its connection is gone.
    #[error("the token is not known, was used, or is too old")]
    Unknown,
    /// The token was made for a process of another user. It is good for nobody now.
    #[error("the token belongs to another user")]
    WrongUser,
    /// Nor is it good, and there were too many such from this user.
    #[error("too many bad tokens; wait a while")]
    TooManyFailures,
}

/// The tokens that are good now, each for a `J`.
#[derive(Debug)]
pub struct Tokens<J> {
    issued: HashMap<[u8; 16], Issued<J>>,
    by_job: HashMap<J, Life>,
    ends: BTreeSet<(Instant, J)>,
}

#[derive(Debug)]
struct Issued<J> {
    job: J,
    uid: u32,
}

#[derive(Debug, Clone, Copy)]
struct Life {
    token: [u8; 16],
    end: Instant,
}

/// Bad tokens, by user.
#[derive(Debug, Default)]
pub struct FailedAttempts {
    by_user: HashMap<u32, Failures>,
    total: u64,
}

#[derive(Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

impl<J: Copy + Debug + Ord + Hash> Default for Tokens<J> {
    fn default() -> Self {
        Self {
            issued: HashMap::new(),
            by_job: HashMap::new(),
            ends: BTreeSet::new(),
        }
    }
}

impl<J: Copy + Debug + Ord + Hash> Tokens<J> {
    /// A new token for the job, good until `end` for processes of `uid`.
    ///
    /// # Errors
    /// When no random bytes can be had.
    pub fn issue(&mut self, end: Instant, job: J, uid: u32) -> io::Result<[u8; 16]> {
        let token = random_bytes()?;
        self.put(token, end, job, uid);
        Ok(token)
    }

    /// A token that was spent for nothing is good again.
    pub fn put(&mut self, token: [u8; 16], end: Instant, job: J, uid: u32) {
        self.revoke(job);
        self.issued.insert(token, Issued { job, uid });
        self.by_job.insert(job, Life { token, end });
        self.ends.insert((end, job));
    }

    /// Spends a token: what it stood for.
    ///
    /// # Errors
    /// Why it stands for nothing. That is counted in `failed`; a good token is good whatever its user did wrong before.
    pub fn redeem(
        &mut self,
        now: Instant,
        token: [u8; 16],
        uid: u32,
        failed: &mut FailedAttempts,
    ) -> Result<J, Refusal> {
        match self.issued.remove(&token) {
            Some(Issued { job, uid: intended }) if intended == uid => {
                self.revoke(job);
                Ok(job)
            }
            // Whoever it was knows the token: it is good for nobody now, and its job will be given up in its time.
            Some(_) => Err(failed.count(now, uid, Refusal::WrongUser)),
            None => Err(failed.count(now, uid, Refusal::Unknown)),
        }
    }

    /// The job's token, if it was not spent, is good no more.
    pub fn revoke(&mut self, job: J) {
        if let Some(life) = self.by_job.remove(&job) {
            self.issued.remove(&life.token);
            self.ends.remove(&(life.end, job));
        }
    }

    /// The next job whose token was not spent in time, its token revoked.
    pub fn expire(&mut self, now: Instant) -> Option<J> {
        let &(end, job) = self.ends.first()?;
        (end <= now).then(|| {
            self.revoke(job);
            job
        })
    }

    /// When the next token not spent grows too old.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.ends.first().map(|&(end, _)| end)
    }

    /// Tokens that are good now.
    pub fn count(&self) -> usize {
        self.issued.len()
    }
}

impl FailedAttempts {
    /// One more bad token of this user, bad for this reason; the reason to give.
    fn count(&mut self, now: Instant, uid: u32, refusal: Refusal) -> Refusal {
        self.total += 1;
        let full = self.by_user.len() >= MAX_USERS && !self.by_user.contains_key(&uid);
        if full
            && let Some(oldest) = self
                .by_user
                .iter()
                .min_by_key(|(_, failures)| failures.since)
                .map(|(&uid, _)| uid)
        {
            self.by_user.remove(&oldest);
        }
        let failures = self.by_user.entry(uid).or_insert(Failures {
            since: now,
            count: 0,
        });
        if now >= failures.since + FAILURE_WINDOW {
            *failures = Failures {
                since: now,
                count: 0,
            };
        }
        failures.count = failures.count.saturating_add(1);
        match failures.count > MAX_FAILURES {
            true => Refusal::TooManyFailures,
            false => refusal,
        }
    }

    /// All that ever were.
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests;
