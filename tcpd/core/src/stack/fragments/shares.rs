//! Who holds how much of the memory for fragments: by source prefix, so that a flood from one makes room at its own cost.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::stack::fragments::Key;

/// A source prefix: /24 or /64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Source([u8; 9]);

impl Source {
    pub(super) fn of(address: IpAddr) -> Source {
        let mut prefix = [0; 9];
        match address {
            IpAddr::V4(address) => {
                prefix[0] = 4;
                prefix[1..4].copy_from_slice(&address.octets()[..3]);
            }
            IpAddr::V6(address) => {
                prefix[0] = 6;
                prefix[1..].copy_from_slice(&address.octets()[..8]);
            }
        }
        Source(prefix)
    }
}

/// What each source holds.
#[derive(Debug, Default)]
pub(super) struct Shares {
    total: usize,
    of: BTreeMap<Source, usize>,
    /// The datagrams of each source in the order of their age.
    ages: BTreeMap<(Source, u64), Key>,
}

impl Shares {
    pub(super) fn total(&self) -> usize {
        self.total
    }

    pub(super) fn of(&self, source: Source) -> usize {
        self.of.get(&source).copied().unwrap_or(0)
    }

    /// The oldest datagram of a source but `wanted`.
    pub(super) fn oldest_of(&self, source: Source, wanted: Key) -> Option<Key> {
        let all = (source, 0)..=(source, u64::MAX);
        let mut all = self.ages.range(all).map(|(_, key)| *key);
        all.find(|key| *key != wanted)
    }

    pub(super) fn begin(&mut self, source: Source, age: u64, key: Key) {
        self.ages.insert((source, age), key);
    }

    /// One datagram of `source` cost `before`, and now costs `after`.
    pub(super) fn recharge(&mut self, source: Source, before: usize, after: usize) {
        self.total = self.total + after - before;
        let held = self.of.entry(source).or_default();
        *held = *held + after - before;
    }

    pub(super) fn end(&mut self, source: Source, age: u64, cost: usize) {
        self.ages.remove(&(source, age));
        self.recharge(source, cost, 0);
        if self.of(source) == 0 {
            self.of.remove(&source);
        }
    }

    pub(super) fn assert_invariants(&self, datagrams: usize) {
        assert_eq!(self.ages.len(), datagrams, "datagrams by source");
        assert_eq!(self.total, self.of.values().sum(), "what sources hold");
    }
}
