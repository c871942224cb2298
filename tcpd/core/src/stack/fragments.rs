//! Fragments put together (RFC 791 §3.2, RFC 815, RFC 1122 §3.3.2, RFC 8200 §4.5). TCP sends with DF and needs none of it; who sends us
//! fragments is a router before us, a peer without path MTU discovery, or an attacker.
//!
//! A fragment, in this order:
//! 1. one that no honest sender makes is refused: too small for its headers, not a multiple of eight bytes, without any;
//! 2. its datagram judges it (`fragments/datagram.rs`): what has come before is not needed, and an overlap spoils the datagram as a whole;
//! 3. room is made for it: what it costs is bounded for each source and in all, and the oldest of the other datagrams go first;
//! 4. it is put among the pieces of its datagram, and the last missing one gives the datagram, as one packet.
//!
//! What is not whole after a minute is forgotten, and its sender is told if the first fragment was there.
//!
//! The cost of a fragment does not grow with what is held: a few searches in trees, and at most [`MAX_PIECES`] pieces moved. To evict one
//! datagram costs as much, and each was paid for by the fragment that began it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::time::Duration;

use crate::time::Instant;
use crate::wire::{Fragment, IpHeader, protocol, tcp};

mod datagram;
mod shares;

use datagram::Datagram;
use shares::{Shares, Source};

/// How long a datagram may take to become whole: fixed (RFC 1122 §3.3.2: 60 to 120 s; RFC 8200 §4.5: 60 s).
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// Pieces of one datagram, at most: enough for 64 KiB through links of 1280 bytes.
pub const MAX_PIECES: usize = 64;
/// What one datagram that is not whole costs beside its bytes, a bound: its places in the trees.
const DATAGRAM_COST: usize = 768;
/// What one piece costs beside its bytes, a bound: its place in the list, and what allocators add.
const PIECE_COST: usize = 64;

/// Why a fragment is refused. Its sender is told nothing, but see [`FragmentRefusal::Incomplete`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FragmentRefusal {
    /// No honest sender makes it: a first piece too small for the header of its protocol, or one that would overwrite the flags of TCP (RFC 1858
    /// §3, RFC 3128); bytes that are no multiple of eight before the last; no bytes at all; beyond the end of its datagram.
    #[error("a fragment that no honest sender makes")]
    Malformed,
    /// An IPv6 first fragment without all headers: to be reported as parameter problem 3 (RFC 7112 §5, RFC 8200 §4.5).
    #[error("a first fragment without all headers")]
    Incomplete,
    /// It overlaps another one of its datagram, or that has happened before: nothing of the datagram is used (RFC 5722 §4).
    #[error("an overlapping fragment")]
    Overlap,
    /// The same bytes at the same place have come before; the datagram goes on.
    #[error("a fragment that has come before")]
    Duplicate,
    /// More pieces than a datagram may have, more bytes than its source may have, or reassembly is off.
    #[error("beyond the limits of reassembly")]
    Limit,
    /// Of one datagram some fragments can be marked by congested routers and others cannot, and one was (RFC 3168 §5.3).
    #[error("congestion marks that contradict each other")]
    Marks,
}

/// Whose fragment it is (RFC 791 §3.2; RFC 8200 §4.5, where the protocol does not count).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    protocol: u8,
}

impl Key {
    fn of(header: &IpHeader, fragment: &Fragment) -> Key {
        let is_v6 = header.addresses.is_ipv6();
        Key {
            source: header.addresses.source,
            destination: header.addresses.destination,
            identification: fragment.identification,
            protocol: if is_v6 { 0 } else { header.protocol },
        }
    }
}

/// Datagrams that are not whole yet.
#[derive(Debug)]
pub struct Reassembly {
    /// Bytes that all of them may cost; 0: fragments are refused.
    limit: usize,
    datagrams: BTreeMap<Key, Datagram>,
    /// The same in the order of their age; all live equally long.
    ages: BTreeMap<u64, Key>,
    next_age: u64,
    shares: Shares,
    tally: Tally,
}

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Datagrams that became whole.
    pub reassembled: u64,
    /// Datagrams given up for want of pieces.
    pub timed_out: u64,
    /// Datagrams that made way for newer ones.
    pub evicted: u64,
    /// Searches, pieces looked at or moved, datagrams evicted: the work done.
    pub steps: u64,
}

impl Reassembly {
    /// Nothing held. `limit` bytes for everything, a quarter of it for each source prefix; 0 turns reassembly off.
    pub fn new(limit: usize) -> Reassembly {
        Reassembly {
            limit,
            datagrams: BTreeMap::new(),
            ages: BTreeMap::new(),
            next_age: 0,
            shares: Shares::default(),
            tally: Tally::default(),
        }
    }

    /// Takes in a fragment: `fragment` of `header` of `packet`. Gives the whole datagram as a packet of its own when nothing is missing.
    ///
    /// # Errors
    /// [`FragmentRefusal`]: it was not taken in.
    pub fn receive(
        &mut self,
        now: Instant,
        header: &IpHeader,
        fragment: &Fragment,
        packet: &[u8],
    ) -> Result<Option<Vec<u8>>, FragmentRefusal> {
        judge(header, fragment)?;
        let (start, end) = (usize::from(fragment.start), header.total_len());
        let (head, bytes) = (&packet[..start], &packet[start..end]);
        let head = if fragment.offset == 0 { head } else { &[] };
        let key = Key::of(header, fragment);
        let cost = head.len() + PIECE_COST + bytes.len();
        let cost = cost + self.admit(key, fragment, bytes)?;
        self.make_room(key, cost)?;
        if !self.place(now, key, fragment, header.ecn().bits(), head, bytes) {
            return Ok(None);
        }
        let Some(whole) = self.remove(key) else {
            return Ok(None);
        };
        let packet = whole.into_packet()?;
        self.tally.reassembled += 1;
        Ok(Some(packet))
    }

    /// Whether the datagram of a fragment takes it, and what that costs beside the piece. Nothing makes room for what is refused here.
    fn admit(
        &mut self,
        key: Key,
        fragment: &Fragment,
        bytes: &[u8],
    ) -> Result<usize, FragmentRefusal> {
        self.tally.steps += 1;
        let Some(datagram) = self.datagrams.get_mut(&key) else {
            return Ok(DATAGRAM_COST);
        };
        let before = datagram.cost();
        let judged = datagram.judge(fragment, bytes);
        // One that is spoilt keeps nothing but its name.
        let after = datagram.cost();
        self.shares.recharge(Source::of(key.source), before, after);
        judged.map(|()| 0)
    }

    /// Puts a fragment where it belongs; whether its datagram is whole now.
    fn place(
        &mut self,
        now: Instant,
        key: Key,
        fragment: &Fragment,
        ecn: u8,
        head: &[u8],
        bytes: &[u8],
    ) -> bool {
        let source = Source::of(key.source);
        self.tally.steps += 1;
        let (before, datagram) = match self.datagrams.entry(key) {
            Entry::Occupied(entry) => {
                let datagram = entry.into_mut();
                (datagram.cost(), datagram)
            }
            Entry::Vacant(entry) => {
                let age = self.next_age;
                self.next_age += 1;
                self.ages.insert(age, key);
                self.shares.begin(source, age, key);
                (0, entry.insert(Datagram::new(age, now + TIMEOUT)))
            }
        };
        self.tally.steps += datagram.place(fragment, ecn, head, bytes);
        self.shares.recharge(source, before, datagram.cost());
        datagram.is_whole()
    }

    /// When [`Reassembly::expire`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let (_, key) = self.ages.first_key_value()?;
        self.datagrams.get(key).map(|datagram| datagram.expires)
    }

    /// Forgets what has taken too long. Calls `tell` with the first fragment of each of which that has come: its sender is to hear of it
    /// (RFC 1122 §3.3.2, RFC 8200 §4.5).
    pub fn expire(&mut self, now: Instant, mut tell: impl FnMut(&[u8])) {
        while let Some(&key) = self.ages.first_key_value().map(|(_, key)| key) {
            let due = |datagram: &Datagram| datagram.expires <= now;
            if !self.datagrams.get(&key).is_some_and(due) {
                return;
            }
            self.tally.timed_out += 1;
            if let Some(first) = self.remove(key).and_then(Datagram::into_first) {
                tell(&first);
            }
        }
    }

    /// What was counted since the start.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// How many datagrams are not whole.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// What everything held costs, bytes; never more than the limit.
    pub fn cost(&self) -> usize {
        self.shares.total()
    }

    /// Evicts the oldest of the source of `wanted`, then the oldest of all, until `cost` more fits; never the datagram `wanted` itself.
    fn make_room(&mut self, wanted: Key, cost: usize) -> Result<(), FragmentRefusal> {
        let share = self.limit / 4;
        let source = Source::of(wanted.source);
        let own = self.datagrams.get(&wanted).map_or(0, Datagram::cost);
        if own + cost > share {
            return Err(FragmentRefusal::Limit);
        }
        while self.shares.of(source) + cost > share {
            let oldest = self.shares.oldest_of(source, wanted);
            self.evict(oldest)?;
        }
        while self.shares.total() + cost > self.limit {
            let oldest = self.ages.values().find(|key| **key != wanted);
            self.evict(oldest.copied())?;
        }
        Ok(())
    }

    fn evict(&mut self, oldest: Option<Key>) -> Result<(), FragmentRefusal> {
        debug_assert!(oldest.is_some(), "nothing else is held, and it costs");
        let evicted = oldest.and_then(|key| self.remove(key));
        evicted.ok_or(FragmentRefusal::Limit)?;
        self.tally.steps += 1;
        self.tally.evicted += 1;
        Ok(())
    }

    fn remove(&mut self, key: Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(&key)?;
        self.ages.remove(&datagram.age);
        self.shares
            .end(Source::of(key.source), datagram.age, datagram.cost());
        Some(datagram)
    }

    /// That all books agree; for tests.
    ///
    /// # Panics
    /// With the first thing that is not as it must be.
    pub fn assert_invariants(&self) {
        assert!(self.cost() <= self.limit, "{} too much", self.cost());
        assert_eq!(self.ages.len(), self.datagrams.len(), "by age");
        let cost: usize = self.datagrams.values().map(Datagram::cost).sum();
        assert_eq!(self.cost(), cost, "what it all costs");
        self.shares.assert_invariants(self.datagrams.len());
        for (age, key) in &self.ages {
            let datagram = self.datagrams.get(key);
            assert_eq!(datagram.map(|datagram| datagram.age), Some(*age), "{key:?}");
        }
    }
}

/// Refuses what no honest sender makes.
fn judge(header: &IpHeader, fragment: &Fragment) -> Result<(), FragmentRefusal> {
    let length = header.total_len() - usize::from(fragment.start);
    if length == 0 || (fragment.more && !length.is_multiple_of(8)) {
        return Err(FragmentRefusal::Malformed);
    }
    if fragment.offset == 0 && header.payload.len() < least_header(header.protocol) {
        return Err(if header.addresses.is_ipv6() {
            FragmentRefusal::Incomplete
        } else {
            FragmentRefusal::Malformed
        });
    }
    // RFC 3128: an offset of eight bytes puts the TCP flags into the second piece.
    if header.protocol == protocol::TCP && fragment.offset == 8 {
        return Err(FragmentRefusal::Malformed);
    }
    Ok(())
}

/// Bytes that a first fragment has of its protocol's header at least.
fn least_header(number: u8) -> usize {
    match number {
        protocol::TCP => tcp::HEADER_LEN,
        protocol::UDP | protocol::ICMPV4 | protocol::ICMPV6 => 8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
