//! Accounts: whose connections are counted together, and how many of them there may be.
//!
//! An account is the stack's owner's word for somebody (tcpd: a user of the machine). A connection belongs to the account of the
//! listener or the active open that made it, until [`Stack::set_account`] moves it. Counted are the connections that somebody holds or
//! will accept, SYN-SENT among them, and apart from them the orphans; not what is half open or in TIME-WAIT, which have limits of
//! their own. Memory is counted as long as there is a byte of it.
//!
//! What is beyond an [`Allowance`]: a SYN is dropped under the name of [`DropReason::AccountLimit`](crate::tcp::drop_reason::DropReason::AccountLimit), an orphan costs the oldest of its
//! account its place. Active opens are the owner's own: it looks at [`Stack::usage`] first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::stack::limits::AgeQueue;
use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::bill::Bill;
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::{Owner, State};

/// What an account may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Connections, those in backlogs among them, orphans not.
    pub connections: u32,
    /// Orphans; beyond them the one let go first is given up.
    pub orphans: u32,
    /// Whether its listeners take new connections at all.
    pub open: bool,
}

impl Default for Allowance {
    /// No limit.
    fn default() -> Self {
        Self {
            connections: u32::MAX,
            orphans: u32::MAX,
            open: true,
        }
    }
}

/// What an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Connections, those in backlogs among them, orphans not.
    pub connections: u32,
    /// Orphans.
    pub orphans: u32,
    /// Bytes of this process that the rings of its connections occupy.
    pub private_bytes: u64,
    /// SYNs and final ACKs of handshakes dropped because it has as many connections as it may.
    pub refused_full: u64,
    /// The same because it takes no new ones.
    pub refused_closed: u64,
}

#[derive(Debug, Default)]
struct Entry {
    allowance: Allowance,
    connections: u32,
    orphans: AgeQueue,
    private_bytes: Arc<AtomicU64>,
    refused_full: u64,
    refused_closed: u64,
}

/// All accounts that have something, or an allowance of their own.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    entries: BTreeMap<u32, Entry>,
    /// Where an orphan too many was let go.
    crowded: Vec<u32>,
}

impl Accounts {
    /// Whether one more connection may come by itself; counted when not.
    pub(crate) fn admits(&mut self, account: u32) -> bool {
        let Some(entry) = self.entries.get_mut(&account) else {
            return true;
        };
        let (open, full) = (
            entry.allowance.open,
            entry.connections >= entry.allowance.connections,
        );
        entry.refused_closed += u64::from(!open);
        entry.refused_full += u64::from(open && full);
        open && !full
    }

    pub(crate) fn opened(&mut self, account: u32) -> Bill {
        let entry = self.entries.entry(account).or_default();
        entry.connections += 1;
        Bill::to(account, &entry.private_bytes)
    }

    fn orphaned(&mut self, account: u32, id: EndpointId, is_alive: impl Fn(EndpointId) -> bool) {
        let entry = self.entries.entry(account).or_default();
        entry.connections -= 1;
        entry.orphans.push(id, is_alive);
        if entry.orphans.len() > entry.allowance.orphans as usize {
            self.crowded.push(account);
        }
    }

    /// A connection is over.
    pub(crate) fn left(&mut self, account: u32, orphan: bool) {
        let Some(entry) = self.entries.get_mut(&account) else {
            return;
        };
        match orphan {
            true => entry.orphans.gone(),
            false => entry.connections -= 1,
        }
        self.tidy(account);
    }

    /// Nothing is kept of one that has nothing and no allowance of its own.
    fn tidy(&mut self, account: u32) {
        let empty = |entry: &Entry| {
            entry.connections == 0
                && entry.orphans.len() == 0
                && entry.private_bytes.load(Relaxed) == 0
                && entry.allowance == Allowance::default()
        };
        if self.entries.get(&account).is_some_and(empty) {
            self.entries.remove(&account);
        }
    }

    /// Connections and orphans of each.
    pub(crate) fn counts(&self) -> BTreeMap<u32, (usize, usize)> {
        let has = |entry: &Entry| (entry.connections as usize, entry.orphans.len());
        let all = self
            .entries
            .iter()
            .map(|(account, entry)| (*account, has(entry)));
        all.filter(|(_, counts)| *counts != (0, 0)).collect()
    }
}

impl Entry {
    fn usage(&self) -> Usage {
        Usage {
            connections: self.connections,
            orphans: u32::try_from(self.orphans.len()).unwrap_or(u32::MAX),
            private_bytes: self.private_bytes.load(Relaxed),
            refused_full: self.refused_full,
            refused_closed: self.refused_closed,
        }
    }
}

impl<R: Ring> Stack<R> {
    /// What `account` may have from now on. What it has stays.
    pub fn set_allowance(&mut self, account: u32, allowance: Allowance) {
        self.accounts.entries.entry(account).or_default().allowance = allowance;
        self.accounts.tidy(account);
    }

    /// What `account` has.
    #[must_use]
    pub fn usage(&self, account: u32) -> Usage {
        let entry = self.accounts.entries.get(&account);
        entry.map_or(Usage::default(), Entry::usage)
    }

    /// Every account that has something or an allowance, and what it has.
    pub fn usages(&self) -> impl Iterator<Item = (u32, Usage)> + '_ {
        let all = self.accounts.entries.iter();
        all.map(|(account, entry)| (*account, entry.usage()))
    }

    /// The connection belongs to `account` from now on, with what its rings occupy. Nothing happens for orphans and for what is over.
    pub fn set_account(&mut self, id: EndpointId, account: u32) {
        let bill = match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn))
                if conn.owner != Owner::Nobody && conn.state != State::Closed =>
            {
                &mut conn.bill
            }
            Some(Slot::SynSent(open)) if !open.released && open.end.is_none() => &mut open.bill,
            _ => return,
        };
        let (before, bytes) = (bill.account(), bill.bytes());
        // Replaced, the old one takes its bytes off.
        *bill = self.accounts.opened(account);
        bill.set(bytes);
        self.accounts.left(before, false);
    }

    /// What the rings of `id` occupy goes on its bill.
    pub(super) fn bill(&mut self, id: EndpointId) {
        if let Some(conn) = self
            .endpoints
            .get_mut(id.key())
            .and_then(Slot::connection_mut)
        {
            let bytes = conn.rings.receive.private_bytes() + conn.rings.send.private_bytes();
            conn.bill.set(bytes);
        }
    }

    /// A connection whose user has just let go is among the orphans of its account.
    pub(super) fn orphan_of_account(&mut self, id: EndpointId) {
        let account = match self.endpoints.get(id.key()) {
            Some(Slot::Connection(conn)) => conn.bill.account(),
            Some(Slot::SynSent(open)) => open.bill.account(),
            _ => return,
        };
        let endpoints = &self.endpoints;
        self.accounts.orphaned(account, id, |id| {
            endpoints
                .get(id.key())
                .is_some_and(super::orphans::is_orphan)
        });
    }

    /// The orphan that has to make way because its account has too many.
    pub(super) fn crowded_out(&mut self) -> Option<EndpointId> {
        while let Some(account) = self.accounts.crowded.last() {
            let entry = self.accounts.entries.get_mut(account);
            let endpoints = &self.endpoints;
            let oldest = entry
                .filter(|entry| entry.orphans.len() > entry.allowance.orphans as usize)
                .and_then(|entry| {
                    entry.orphans.oldest(|id| {
                        endpoints
                            .get(id.key())
                            .is_some_and(super::orphans::is_orphan)
                    })
                });
            if oldest.is_some() {
                return oldest;
            }
            self.accounts.crowded.pop();
        }
        None
    }
}
