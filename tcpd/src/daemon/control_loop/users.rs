//! `tcpctl users`: what every user has against what it may have, and what it was refused by which rule.

use std::collections::{BTreeMap, BTreeSet};

use libtcpclient::protocol::Reply;
use libtcpclient::protocol::status::{UserKind, UserRow};

use super::super::orders::{Quotas, SessionId, UserUse};
use super::super::stack_config;
use super::answers::page;
use super::refusals::add;
use super::{ControlLoop, Spawner};

impl<W: Spawner> ControlLoop<W> {
    /// Whether the limits of a user count for `uid`: root has none unless it is said, nor has our own user, whose workers are limited
    /// by their services.
    pub(super) fn is_limited(&self, uid: u32) -> bool {
        let is_own = uid == self.own_uid && uid != 0;
        !is_own && self.quotas().bind(Some(uid))
    }

    /// What the stack thread is told of limits by user.
    pub(super) fn quotas(&self) -> Quotas {
        stack_config::quotas(&self.config)
    }

    /// A user sees itself; an administrator every user, the services and the whole.
    pub(super) fn page_of_users(&self, id: SessionId, cursor: u64, uses: &[UserUse]) -> Reply {
        let Some(asker) = self.clients.get(id) else {
            return page::<UserRow>(0, &[]);
        };
        let (own, all) = (asker.session.identity.uid, asker.session.administrator);
        let mut sessions: BTreeMap<u32, u32> = BTreeMap::new();
        for client in self.clients.iter() {
            *sessions.entry(client.session.identity.uid).or_insert(0) += 1;
        }
        let users: BTreeSet<u32> = uses
            .iter()
            .filter_map(|user| user.account)
            .chain(sessions.keys().copied())
            .chain(self.refusals.users())
            .filter(|uid| all || *uid == own)
            .collect();
        let find = |account| uses.iter().find(|user| user.account == account);
        let mut rows: Vec<UserRow> = users
            .into_iter()
            .map(|uid| {
                let has = sessions.get(&uid).copied().unwrap_or(0);
                self.row_of_user(uid, has, find(Some(uid)))
            })
            .collect();
        if all {
            let services = find(None).map(|services| self.row_of_account(None, Some(services)));
            rows.extend(services);
            rows.push(self.row_of_all(uses));
        }
        page(cursor, &rows)
    }

    fn row_of_user(&self, uid: u32, sessions: u32, found: Option<&UserUse>) -> UserRow {
        let limits = &self.config.limits;
        let limit = |limit: u32| self.is_limited(uid).then_some(limit);
        let mut row = UserRow {
            kind: UserKind::User,
            uid: Some(uid),
            sessions,
            sessions_limit: limit(limits.sessions_per_uid),
            handoffs: self.handoffs.of_user(uid),
            handoffs_limit: limit(limits.handoffs_per_uid),
            ..self.row_of_account(Some(uid), found)
        };
        for (rule, count) in self.refusals.of_user(uid) {
            add(&mut row.refused, &rule, count);
        }
        row
    }

    fn row_of_account(&self, account: Option<u32>, found: Option<&UserUse>) -> UserRow {
        let limits = &self.config.limits;
        let limited = self.quotas().bind(account);
        let limit = |limit: u32| limited.then_some(limit);
        let mut row = UserRow {
            kind: UserKind::Services,
            connections_limit: limit(limits.connections_per_uid),
            orphans_limit: limit(limits.orphans_per_uid),
            listeners_limit: limit(limits.listeners_per_uid),
            ring_bytes: self.memory.of_account(account),
            ring_bytes_limit: limited.then_some(limits.ring_bytes_per_uid),
            ..UserRow::default()
        };
        if let Some(found) = found {
            row.connections = found.usage.connections;
            row.orphans = found.usage.orphans;
            row.listeners = found.listeners;
            row.private_ring_bytes = found.usage.private_bytes;
            row.socket_bytes = found.pair_bytes;
            row.ring_bytes += row.private_ring_bytes + row.socket_bytes;
            row.ring_bytes_limit = found.budget;
            row.pressed = found.pressed;
            let usage = &found.usage;
            add(
                &mut row.refused,
                "limits.connections_per_uid",
                usage.refused_full,
            );
            add(
                &mut row.refused,
                "limits.ring_bytes_per_uid",
                usage.refused_closed,
            );
        }
        row
    }

    fn row_of_all(&self, uses: &[UserUse]) -> UserRow {
        let limits = &self.config.limits;
        let sum = |of: fn(&UserUse) -> u64| uses.iter().map(of).sum::<u64>();
        let count = |of: fn(&UserUse) -> u64| u32::try_from(sum(of)).unwrap_or(u32::MAX);
        let private_ring_bytes = sum(|user| user.usage.private_bytes);
        let socket_bytes = sum(|user| user.pair_bytes);
        let mut row = UserRow {
            kind: UserKind::All,
            sessions: u32::try_from(self.clients.count()).unwrap_or(u32::MAX),
            connections: count(|user| user.usage.connections.into()),
            connections_limit: Some(limits.connections),
            orphans: count(|user| user.usage.orphans.into()),
            orphans_limit: Some(limits.orphans),
            listeners: count(|user| user.listeners.into()),
            handoffs: u32::try_from(self.handoffs.count()).unwrap_or(u32::MAX),
            private_ring_bytes,
            socket_bytes,
            ring_bytes: private_ring_bytes + socket_bytes + self.memory.of_all(),
            ring_bytes_limit: Some(limits.ring_bytes),
            pressed: uses.iter().any(|user| user.pressed),
            refused: self.refusals.of_all(),
            ..UserRow::default()
        };
        let full = sum(|user| user.usage.refused_full);
        let closed = sum(|user| user.usage.refused_closed);
        add(&mut row.refused, "limits.connections_per_uid", full);
        add(&mut row.refused, "limits.ring_bytes_per_uid", closed);
        row
    }
}
