//! The workers' tokens: each is the right of one uid to one connection, once, for a short time.

use std::collections::HashMap;
use std::time::Duration;

use tcpd_core::time::Instant;

/// 128 random bits.
pub type Token = [u8; 16];

/// Failures of one uid before its tokens are not even looked up any more, within [`FAILURE_WINDOW`].
const FAILURES_ALLOWED: u32 = 16;
/// How long failures count.
const FAILURE_WINDOW: Duration = Duration::from_secs(10);
/// Users whose failures are remembered.
const USERS_REMEMBERED: usize = 4096;

/// Why a token gave no right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Unknown, used, expired, or meant for another user.
    Unknown,
    /// This user guessed too often lately.
    TooManyFailures,
}

#[derive(Debug)]
struct Grant<T> {
    what: T,
    uid: u32,
    expires: Instant,
}

/// Tokens alive, each with what it stands for.
#[derive(Debug)]
pub struct Tokens<T> {
    grants: HashMap<Token, Grant<T>>,
    life: Duration,
    failures: HashMap<u32, (u32, Instant)>,
    failed: u64,
}

impl<T> Tokens<T> {
    /// Without any; each will live for `life`.
    pub fn new(life: Duration) -> Self {
        Self {
            grants: HashMap::new(),
            life,
            failures: HashMap::new(),
            failed: 0,
        }
    }

    /// Makes `token` the right of `uid` to `what`. The token must be fresh from the kernel's generator.
    pub fn issue(&mut self, now: Instant, token: Token, uid: u32, what: T) {
        self.grants.insert(
            token,
            Grant {
                what,
                uid,
                expires: now + self.life,
            },
        );
    }

    /// Uses a token up. Presented by another user it stays: nobody can spoil what is not theirs.
    pub fn redeem(&mut self, now: Instant, token: &Token, uid: u32) -> Result<T, Refused> {
        if self.is_shut_out(now, uid) {
            self.failed += 1;
            return Err(Refused::TooManyFailures);
        }
        let good = self
            .grants
            .get(token)
            .is_some_and(|grant| grant.uid == uid && now < grant.expires);
        match good.then(|| self.grants.remove(token)).flatten() {
            Some(grant) => Ok(grant.what),
            None => {
                self.count_failure(now, uid);
                Err(Refused::Unknown)
            }
        }
    }

    /// Takes back a token that was never used: its worker is gone.
    pub fn revoke(&mut self, token: &Token) -> Option<T> {
        self.grants.remove(token).map(|grant| grant.what)
    }

    /// Removes what has expired and returns what it stood for.
    pub fn expire(&mut self, now: Instant) -> Vec<T> {
        self.failures
            .retain(|_, (_, since)| now.duration_since(*since) < FAILURE_WINDOW);
        let expired = self.grants.extract_if(|_, grant| grant.expires <= now);
        expired.map(|(_, grant)| grant.what).collect()
    }

    /// When [`Tokens::expire`] has something to do next.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.grants.values().map(|grant| grant.expires).min()
    }

    /// Tokens alive.
    pub fn alive(&self) -> usize {
        self.grants.len()
    }

    /// Tokens refused since the start.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    fn is_shut_out(&self, now: Instant, uid: u32) -> bool {
        self.failures.get(&uid).is_some_and(|(count, since)| {
            *count >= FAILURES_ALLOWED && now.duration_since(*since) < FAILURE_WINDOW
        })
    }

    fn count_failure(&mut self, now: Instant, uid: u32) {
        self.failed += 1;
        if self.failures.len() >= USERS_REMEMBERED {
            self.failures
                .retain(|_, (_, since)| now.duration_since(*since) < FAILURE_WINDOW);
        }
        let (count, since) = self.failures.entry(uid).or_insert((0, now));
        if now.duration_since(*since) >= FAILURE_WINDOW {
            (*count, *since) = (0, now);
        }
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(10);

    fn tokens() -> Tokens<&'static str> {
        let mut tokens = Tokens::new(LIFE);
        tokens.issue(Instant::ZERO, [1; 16], 1000, "connection");
        tokens
    }

    #[test]
    fn a_token_is_good_once() {
        let mut tokens = tokens();
        assert_eq!(
            tokens.redeem(Instant::ZERO, &[1; 16], 1000),
            Ok("connection")
        );
        assert_eq!(
            tokens.redeem(Instant::ZERO, &[1; 16], 1000),
            Err(Refused::Unknown)
        );
        assert_eq!((tokens.alive(), tokens.failed()), (0, 1));
    }

    #[test]
    fn another_user_can_neither_use_nor_spoil_it() {
        let mut tokens = tokens();
        assert_eq!(
            tokens.redeem(Instant::ZERO, &[1; 16], 1001),
            Err(Refused::Unknown)
        );
        assert_eq!(
            tokens.redeem(Instant::ZERO, &[1; 16], 1000),
            Ok("connection")
        );
    }

    #[test]
    fn it_dies_at_the_end_of_its_life_and_is_handed_back() {
        let mut tokens = tokens();
        assert_eq!(tokens.next_expiry(), Some(Instant::ZERO + LIFE));
        assert_eq!(
            tokens.expire(Instant::from_millis(9_999)),
            Vec::<&str>::new()
        );
        assert_eq!(
            tokens.redeem(Instant::from_secs(10), &[1; 16], 1000),
            Err(Refused::Unknown)
        );
        assert_eq!(tokens.expire(Instant::from_secs(10)), ["connection"]);
        assert_eq!(tokens.next_expiry(), None);
    }

    #[test]
    fn who_guesses_is_shut_out_for_a_while_and_nobody_else_is() {
        let mut tokens = tokens();
        tokens.issue(Instant::ZERO, [2; 16], 1001, "other");
        for _ in 0..FAILURES_ALLOWED {
            assert_eq!(
                tokens.redeem(Instant::ZERO, &[9; 16], 1001),
                Err(Refused::Unknown)
            );
        }
        assert_eq!(
            tokens.redeem(Instant::ZERO, &[2; 16], 1001),
            Err(Refused::TooManyFailures)
        );
        assert_eq!(
            tokens.redeem(Instant::ZERO, &[1; 16], 1000),
            Ok("connection")
        );
        tokens.issue(Instant::from_secs(10), [3; 16], 1001, "later");
        assert_eq!(
            tokens.redeem(Instant::from_secs(10), &[3; 16], 1001),
            Ok("later")
        );
    }
}
