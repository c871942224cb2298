//! Tokens: the right to one accepted connection, once, for a short time, for one user.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::Duration;

use tcpd_core::time::Instant;

use super::super::link::{JobId, Token};
use crate::system::entropy::random_bytes;

/// How long a token is good.
pub const TOKEN_LIFE: Duration = Duration::from_secs(10);
/// A user that presented so many bad tokens within [`FAILURE_WINDOW`] is not listened to until the window is over.
pub(super) const MAX_FAILURES: u32 = 16;
/// See [`MAX_FAILURES`].
pub(super) const FAILURE_WINDOW: Duration = Duration::from_secs(10);
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
    /// Too many bad tokens from this user.
    #[error("too many bad tokens; wait a while")]
    TooManyFailures,
}

/// The tokens that are good now.
#[derive(Debug)]
pub(super) struct Tokens {
    issued: HashMap<Token, Issued>,
    by_job: HashMap<JobId, Token>,
    /// In the order of their end, which is that of their issue; the first one is not spent.
    ends: VecDeque<(Instant, JobId)>,
    failures: HashMap<u32, Failures>,
    refused: u64,
}

#[derive(Debug)]
struct Issued {
    job: JobId,
    uid: u32,
}

#[derive(Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            issued: HashMap::new(),
            by_job: HashMap::new(),
            ends: VecDeque::new(),
            failures: HashMap::new(),
            refused: 0,
        }
    }

    /// A new token for the job, good for processes of `uid`.
    pub(super) fn issue(&mut self, now: Instant, job: JobId, uid: u32) -> io::Result<Token> {
        let token = Token(random_bytes()?);
        self.issued.insert(token, Issued { job, uid });
        self.by_job.insert(job, token);
        self.ends.push_back((now + TOKEN_LIFE, job));
        Ok(token)
    }

    /// Spends a token.
    pub(super) fn redeem(
        &mut self,
        now: Instant,
        token: [u8; 16],
        uid: u32,
    ) -> Result<JobId, Refusal> {
        let result = self.spend(now, Token(token), uid);
        if result.is_err() {
            self.refused += 1;
            self.count_failure(now, uid);
        }
        result
    }

    fn spend(&mut self, now: Instant, token: Token, uid: u32) -> Result<JobId, Refusal> {
        if let Some(failures) = self.failures.get(&uid)
            && failures.count >= MAX_FAILURES
            && now < failures.since + FAILURE_WINDOW
        {
            return Err(Refusal::TooManyFailures);
        }
        let Issued { job, uid: intended } = self.issued.remove(&token).ok_or(Refusal::Unknown)?;
        if intended != uid {
            // Whoever it was knows the token: it is good for nobody now, and its job will be given up.
            return Err(Refusal::WrongUser);
        }
        self.by_job.remove(&job);
        self.drop_spent();
        Ok(job)
    }

    fn count_failure(&mut self, now: Instant, uid: u32) {
        let full = self.failures.len() >= MAX_USERS && !self.failures.contains_key(&uid);
        if full
            && let Some(oldest) = self
                .failures
                .iter()
                .min_by_key(|(_, failures)| failures.since)
                .map(|(&uid, _)| uid)
        {
            self.failures.remove(&oldest);
        }
        let failures = self.failures.entry(uid).or_insert(Failures {
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
    }

    /// The job's token, if it was not spent, is good no more.
    pub(super) fn revoke(&mut self, job: JobId) {
        if let Some(token) = self.by_job.remove(&job) {
            self.issued.remove(&token);
        }
        self.drop_spent();
    }

    /// The next job whose token was not spent in time, its token revoked.
    pub(super) fn expire(&mut self, now: Instant) -> Option<JobId> {
        let &(end, job) = self.ends.front()?;
        if now < end {
            return None;
        }
        self.revoke(job);
        Some(job)
    }

    /// When the next token not spent grows too old.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.ends.front().map(|&(end, _)| end)
    }

    /// Keeps the front of `ends` a token that is still to be spent.
    fn drop_spent(&mut self) {
        while let Some((_, job)) = self.ends.front()
            && !self.by_job.contains_key(job)
        {
            self.ends.pop_front();
        }
    }

    /// Tokens that are good.
    pub(super) fn count(&self) -> usize {
        self.issued.len()
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}
