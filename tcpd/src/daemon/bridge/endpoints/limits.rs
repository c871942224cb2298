//! What sockets take of what all share: the kernel's memory, for bytes that lie in pairs, and the daemon's descriptors.
//!
//! 1. What a pair holds counts with the rings of its user. It is asked for when the pair is full, a second after bytes moved, and
//!    whenever its user is looked at while something was in it; so a holder that reads in silence is credited by then.
//! 2. A pair whose user is pressed gets a page at a time, and only once that was read.
//! 3. The last descriptors are not for sockets, so that sessions can begin; and no user's sockets take more than are left for
//!    everybody's.

use rustix::process::{Resource, getrlimit};

use super::*;

/// Pairs that are asked what they hold when their user is looked at.
const ASKED_AT_A_LOOK: usize = 1024;
/// What a pair of a pressed user may hold and still gets more, bytes.
const HELD_PAIR: u64 = 4096;
/// Of the daemon's descriptors so many are not for sockets, and at least [`LEAST_KEPT`].
const KEPT_FRACTION: u64 = 8;
const LEAST_KEPT: u64 = 64;

/// How many descriptors there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptors {
    limit: u64,
}

impl Descriptors {
    /// What this process may have now.
    pub(super) fn of_this_process() -> Descriptors {
        let limit = getrlimit(Resource::Nofile).current;
        Descriptors {
            limit: limit.unwrap_or(u64::MAX),
        }
    }

    fn kept(self) -> u64 {
        (self.limit / KEPT_FRACTION).max(LEAST_KEPT)
    }

    /// Why a socket may not be, whose descriptor is the first that was free; `has`: the sockets of its user, if that is limited.
    fn refuse(self, first_free: u64, has: Option<u64>) -> Option<String> {
        let Descriptors { limit } = self;
        let left = limit.saturating_sub(self.kept()).saturating_sub(first_free);
        if left == 0 {
            let kept = self.kept();
            return Some(format!(
                "rule RLIMIT_NOFILE: of {limit} descriptors the daemon keeps {kept} for sessions, and the others are in use"
            ));
        }
        let has = has.filter(|has| *has >= left)?;
        Some(format!(
            "rule RLIMIT_NOFILE: this user has {has} sockets, and {left} of {limit} descriptors are left for all"
        ))
    }
}

impl Bridge {
    /// Whether there are descriptors enough without those of this pair.
    pub(super) fn leaves_descriptors(&self, pair: &Pair, account: u32) -> Result<(), NoSocket> {
        let has = self.users.limited_sockets(account);
        match Descriptors::of_this_process().refuse(pair.number(), has) {
            Some(rule) => Err(NoSocket::Refused(rule)),
            None => Ok(()),
        }
    }

    /// Asks a pair what it holds.
    pub(super) fn weigh_pair(&mut self, endpoint: EndpointId) {
        let Some(entry) = self.endpoints.all.get_mut(&endpoint) else {
            return;
        };
        let Some(pair) = &entry.pair else {
            return;
        };
        let before = std::mem::replace(&mut entry.in_pair, pair.held());
        let (account, now) = (entry.account, entry.in_pair);
        let more = now > 0 && !std::mem::replace(&mut entry.filled, true);
        self.users.pair_holds(account, before, now);
        if more {
            self.users.pair_is_filled(account, endpoint);
        }
    }

    /// Asks the pairs of a user that held something, a bounded number of them in turn.
    pub(in crate::daemon::bridge) fn weigh_pairs_of(&mut self, account: u32) {
        // Those that are over cost a look-up, and do not count.
        let mut asked = 0;
        for _ in 0..self.users.filled_pairs(account) {
            let Some(endpoint) = self.users.next_filled(account) else {
                return;
            };
            if let Some(entry) = self.endpoints.all.get_mut(&endpoint) {
                entry.filled = false;
                self.weigh_pair(endpoint);
                asked += 1;
            }
            if asked == ASKED_AT_A_LOOK {
                return;
            }
        }
    }
}

impl Endpoint {
    /// How many bytes the pair may be given now.
    pub(super) fn may_be_given(&self, most: u64) -> u64 {
        match &self.pair {
            Some(pair) if self.held && pair.unread_by_holder() >= HELD_PAIR => 0,
            Some(_) if self.held => HELD_PAIR.min(most),
            _ => most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_descriptors_are_not_for_sockets() {
        let few = Descriptors { limit: 256 };
        assert_eq!(few.refuse(191, None), None);
        let refused = few.refuse(192, None).expect("the last 64 are kept");
        assert!(
            refused.starts_with("rule RLIMIT_NOFILE: of 256 descriptors the daemon keeps 64"),
            "{refused}"
        );
        let many = Descriptors { limit: 80_000 };
        assert_eq!(many.refuse(69_999, None), None);
        assert!(many.refuse(70_000, None).is_some());
        // However few there are, or many.
        assert!(Descriptors { limit: 0 }.refuse(3, None).is_some());
        let endless = Descriptors { limit: u64::MAX };
        assert_eq!(endless.refuse(1 << 30, Some(1 << 30)), None);
    }

    #[test]
    fn no_user_has_more_sockets_than_are_left_for_all() {
        let descriptors = Descriptors { limit: 800 };
        // 700 are for sockets.
        assert_eq!(descriptors.refuse(350, Some(349)), None);
        let refused = descriptors.refuse(350, Some(350)).expect("a half is taken");
        let wanted = "rule RLIMIT_NOFILE: this user has 350 sockets, and 350 of 800 descriptors are left for all";
        assert_eq!(refused, wanted);
        assert_eq!(
            descriptors.refuse(350, None),
            None,
            "no limit counts for it"
        );
        assert_eq!(descriptors.refuse(500, Some(10)), None);
    }
}
