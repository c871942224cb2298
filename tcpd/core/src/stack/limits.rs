//! Limits that make way for the newest: the oldest half-open entry, TIME-WAIT or orphan goes when there are too many.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::random::Generator;
use crate::stack::token_bucket::TokenBucket;
use crate::tcp::id::EndpointId;
use crate::time::Instant;

/// Endpoints in the order of their age. Those that are gone stay in the queue until it is cleaned, so taking one out costs
/// nothing; it never holds more than twice as many as are alive, and some.
#[derive(Debug, Default)]
pub(crate) struct AgeQueue {
    queue: VecDeque<EndpointId>,
    alive: usize,
}

impl AgeQueue {
    pub(crate) fn len(&self) -> usize {
        self.alive
    }

    pub(crate) fn push(&mut self, id: EndpointId, is_alive: impl Fn(EndpointId) -> bool) {
        if self.queue.len() > 2 * self.alive + 64 {
            self.queue.retain(|&id| is_alive(id));
        }
        self.queue.push_back(id);
        self.alive += 1;
    }

    /// One of them is gone.
    pub(crate) fn gone(&mut self) {
        self.alive -= 1;
    }

    /// The oldest that is alive, taken out of the queue; the caller removes it and calls [`AgeQueue::gone`].
    pub(crate) fn oldest(&mut self, is_alive: impl Fn(EndpointId) -> bool) -> Option<EndpointId> {
        while let Some(id) = self.queue.pop_front() {
            if is_alive(id) {
                return Some(id);
            }
        }
        None
    }
}

/// How many source prefixes are told apart before all are forgotten.
const PREFIXES: usize = 4096;

/// A bucket for each source prefix (/24, /64): RSTs for segments that belong to nothing.
///
/// "Refused" must not become "timed out" because somebody else is flooding: so the limit is a prefix's, and a flood from other prefixes
/// takes nothing from one who connects to a closed port. Who connects from inside a flooded prefix shares its bucket: most of his SYNs
/// find it empty, and he hears "refused" when one does not, at the latest with the first SYN after the flood. What
/// neighbours of one prefix can learn of each other here is whether a segment belonged to nothing; of a connection nothing, whose
/// answers have limiters of their own.
#[derive(Debug, Default)]
pub(crate) struct ResetLimiter {
    buckets: BTreeMap<[u8; 8], TokenBucket>,
}

impl ResetLimiter {
    /// Whether a RST may go to `remote` now. `rate` a second, and at once a quarter to a half of that: how much exactly is
    /// chance, so that counting them tells nothing (CVE-2016-5696).
    pub(crate) fn allow(
        &mut self,
        now: Instant,
        remote: IpAddr,
        rate: u32,
        random: &mut Generator,
    ) -> bool {
        if rate == u32::MAX {
            return true;
        }
        if self.buckets.len() >= PREFIXES {
            self.buckets.clear();
        }
        let bucket = self.buckets.entry(prefix(remote)).or_insert_with(|| {
            let burst = rate / 4 + random.below(u64::from(rate / 4) + 1) as u32;
            TokenBucket::new(rate, burst.max(1))
        });
        bucket.take(now)
    }
}

fn prefix(address: IpAddr) -> [u8; 8] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            [4, a, b, c, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => {
            let octets = address.octets();
            std::array::from_fn(|i| octets[i])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AgeQueue, ResetLimiter};
    use crate::random::Generator;
    use crate::stack::EndpointId;
    use crate::time::Instant;

    #[test]
    fn the_age_queue_stays_small_though_the_gone_are_not_taken_out() {
        let mut queue = AgeQueue::default();
        for number in 0..10_000u64 {
            queue.push(EndpointId::from_bits(number), |id| {
                id.to_bits() + 10 > number
            });
            if number >= 10 {
                queue.gone();
            }
        }
        assert!(queue.queue.len() < 200, "{}", queue.queue.len());
        assert_eq!(
            queue.oldest(|id| id.to_bits() >= 9_990),
            Some(EndpointId::from_bits(9_990))
        );
    }

    #[test]
    fn resets_are_limited_by_source_prefix() {
        let mut limiter = ResetLimiter::default();
        let mut random = Generator::from_seed(1);
        let now = Instant::from_secs(1);
        let allowed = (0..1000)
            .filter(|_| limiter.allow(now, [10, 0, 0, 1].into(), 200, &mut random))
            .count();
        assert!((50..=100).contains(&allowed), "{allowed}");
        assert!(
            !limiter.allow(now, [10, 0, 0, 2].into(), 200, &mut random),
            "the same prefix"
        );
        assert!(
            limiter.allow(now, [10, 0, 1, 1].into(), 200, &mut random),
            "another prefix"
        );
    }
}
