//! Path MTU: what packet-too-big messages taught us about a destination (RFC 1191, RFC 8201).
//!
//! The caller has validated the message (RFC 5927 §7: the quoted sequence number lies in flight). Here:
//! 1. an impossible MTU is refused: below 68 (IPv4) or 1280 (IPv6, RFC 8201 §4);
//! 2. an old router's 0 becomes the next lower plateau of RFC 1191 §7.1;
//! 3. an IPv4 MTU below the floor becomes the floor: 552 by default as in Linux, so that a forged message cannot make packets tiny (the price: a
//!    real path below it does not work, and none is known; `floor_v4` goes down to 68);
//! 4. a message never raises anything (RFC 1191 §3, RFC 8201 §4);
//! 5. what was learnt is forgotten after ten minutes (RFC 1191 §6.3), and then the path is tried with the link's MTU again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::tcp::path_mtu::{AGE, size};
use crate::time::Instant;
use crate::wire::ipv6;

/// The smallest MTU an IPv4 link may have (RFC 791 §3.1).
pub const MINIMUM_V4: u16 = 68;
/// The default of [`PathMtu::new`]'s `floor_v4`.
pub const DEFAULT_FLOOR_V4: u16 = 552;
/// How many destinations are remembered by default.
pub const DEFAULT_CAPACITY: usize = 4096;

/// RFC 1191 §7.1.
const PLATEAUS: [u16; 10] = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];

/// Lowered MTUs by destination.
#[derive(Clone, Debug)]
pub struct PathMtu {
    entries: BTreeMap<IpAddr, Entry>,
    /// The same, the oldest first.
    by_age: BTreeSet<(Instant, IpAddr)>,
    capacity: usize,
    floor_v4: u16,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    mtu: u16,
    expires: Instant,
}

impl PathMtu {
    /// An empty memory for `capacity` destinations; beyond that the oldest is forgotten. `floor_v4` is at least 68.
    pub fn new(capacity: usize, floor_v4: u16) -> PathMtu {
        PathMtu {
            entries: BTreeMap::new(),
            by_age: BTreeSet::new(),
            capacity: capacity.max(1),
            floor_v4: floor_v4.max(MINIMUM_V4),
        }
    }

    /// The MTU to use towards `destination` over a link of `link_mtu`.
    pub fn mtu(&self, now: Instant, destination: IpAddr, link_mtu: u16) -> u16 {
        match self.entries.get(&destination) {
            Some(entry) if now < entry.expires => entry.mtu.min(link_mtu),
            _ => link_mtu,
        }
    }

    /// What a message says: `reported` as it stands there, `quoted_len` the length of the packet it is about. `None`: no link of the family
    /// may have such an MTU, and the message is to be ignored.
    pub fn judge(&self, destination: IpAddr, reported: u32, quoted_len: u32) -> Option<u16> {
        let (least, floor) = match destination {
            IpAddr::V4(_) if reported == 0 => {
                return Some(plateau_below(quoted_len).max(self.floor_v4));
            }
            IpAddr::V4(_) => (u32::from(MINIMUM_V4), self.floor_v4),
            IpAddr::V6(_) => (ipv6::MINIMUM_MTU as u32, 0),
        };
        (reported >= least).then(|| size(reported).max(floor))
    }

    /// Takes in what is believed of the path to `destination`; what is not lower than what is known says nothing.
    pub fn lower(&mut self, now: Instant, destination: IpAddr, mtu: u16, link_mtu: u16) {
        if mtu >= self.mtu(now, destination, link_mtu) {
            return;
        }
        self.expire(now);
        self.forget(destination);
        while self.entries.len() >= self.capacity {
            let Some(&(_, oldest)) = self.by_age.first() else {
                break;
            };
            self.forget(oldest);
        }
        let expires = now + AGE;
        self.entries.insert(destination, Entry { mtu, expires });
        self.by_age.insert((expires, destination));
    }

    /// Forgets what has aged.
    fn expire(&mut self, now: Instant) {
        while let Some(&(expires, destination)) = self.by_age.first()
            && expires <= now
        {
            self.forget(destination);
        }
    }

    /// How many destinations are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no destination is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn forget(&mut self, destination: IpAddr) {
        if let Some(entry) = self.entries.remove(&destination) {
            self.by_age.remove(&(entry.expires, destination));
        }
    }
}

fn plateau_below(length: u32) -> u16 {
    PLATEAUS
        .into_iter()
        .find(|plateau| u32::from(*plateau) < length)
        .unwrap_or(MINIMUM_V4)
}

#[cfg(test)]
mod tests;
