//! Ephemeral ports: double-hash selection (RFC 6056 §3.3.4, algorithm 4), with random steps (algorithm 5) on top.
//!
//! ```text
//! offset = F(local, remote, secret1)                   different remote ends start at unrelated ports
//! index  = G(local, remote, secret2) mod table size    and count in (mostly) unrelated counters
//! port   = min + (offset + table[index]) mod range     first one not taken
//! ```
//!
//! 65,536 counters: a table of 256 was small enough to fingerprint a host by its collisions (CVE-2022-32296, CVE-2022-1012).

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crate::random::Secret;

const TABLE_SIZE: usize = 1 << 16;

/// The chooser of local ports.
#[derive(Clone, Debug)]
pub struct Ports {
    offsets: Secret,
    indices: Secret,
    steps: Secret,
    table: Vec<u32>,
    first: u16,
    count: u32,
}

impl Ports {
    /// A chooser within `range`. An empty range has no port to give; port 0 is never given.
    pub fn new(secret: &Secret, range: RangeInclusive<u16>) -> Ports {
        let (first, last) = ((*range.start()).max(1), *range.end());
        Ports {
            offsets: secret.derive("port offsets"),
            indices: secret.derive("port indices"),
            steps: secret.derive("port steps"),
            table: vec![0; TABLE_SIZE],
            first,
            count: (u32::from(last) + 1).saturating_sub(u32::from(first)),
        }
    }

    /// A port for which `taken` says false: to connect from `local` to `remote`, or, without `remote`, to listen on. `None` when every port of
    /// the range is taken; `taken` has been asked for each once then.
    pub fn pick(
        &mut self,
        local: Option<IpAddr>,
        remote: Option<SocketAddr>,
        mut taken: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let pair = (local, remote);
        let offset = self.offsets.hash(pair) % u64::from(self.count.max(1));
        let counter = &mut self.table[self.indices.hash(pair) as usize % TABLE_SIZE];
        for tried in 0..self.count {
            let place = (offset + u64::from(counter.wrapping_add(tried))) % u64::from(self.count);
            let port = self.first + place as u16;
            if !taken(port) {
                let step = 1 + self.steps.hash((pair, *counter)) as u32 % 8;
                *counter = counter.wrapping_add(tried).wrapping_add(step);
                return Some(port);
            }
        }
        None
    }

    /// How many ports there are to choose from.
    pub fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests;
