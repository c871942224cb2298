//! Quotas: what a user may have, and what happens when its rings near the end of what they may occupy.
//!
//! 1. Every connection belongs to an account of the stack, which counts it: a user's ([`tcpd_core::stack::Usage`]), or the services'.
//! 2. What moves through a user's rings is added up. Once it is so much that the rings could be near their budget, and each second
//!    while anything moves, the arenas are asked what they really occupy, and the pairs of socket endpoints what they hold; the stack
//!    knows what its private rings do.
//! 3. A user near its budget is *pressed*: its rings grow no more, its windows are held, it opens no connection and none comes to its
//!    listeners, each with the rule's name. Nothing that it has is harmed. Well below the budget it is let go.
//! 4. When the rings of all users together near `limits.ring_bytes`, each has an equal share of it for a budget, until they do not.
//!
//! A connection hears of either when something next happens on it: then its window is held or let go. So a user with very many
//! connections costs no more than one with few, and one with nothing to say is left alone.

use std::collections::{BTreeMap, BTreeSet};

use tcpd_core::stack::Allowance;

use super::*;
use crate::daemon::orders::{Quotas, UserUse};

/// The account of services and of their workers.
pub(crate) const SERVICES: u32 = u32::MAX;

/// What a held window promises beyond what was read: whoever reads goes on, a page at a time.
pub(super) const HELD_WINDOW: u32 = 4096;
/// Received bytes after which an emptied ring of a pressed user gives its pages back.
const RELIEF: u64 = 64 << 10;

/// How often users are looked at through whose rings something moves, and those that are pressed.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_PRESSED: Duration = Duration::from_millis(100);

/// Where a budget is near its end, and where it is not any more.
fn near(budget: u64) -> u64 {
    budget - budget / 8
}

fn calm(budget: u64) -> u64 {
    budget - budget / 4
}

/// Why a user is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pressed {
    /// By its own budget.
    Own { occupied: u64, budget: u64 },
    /// By its share of what all may occupy.
    Share {
        occupied: u64,
        share: u64,
        limit: u64,
    },
}

/// One account.
#[derive(Debug, Default)]
struct User {
    sessions: BTreeSet<SessionId>,
    listeners: u32,
    /// What its arenas occupied when they were asked last.
    arena_bytes: u64,
    /// Its socket endpoints.
    sockets: u64,
    /// What their pairs held when they were asked last, bytes.
    pair_bytes: u64,
    /// Those that held something; some may be over.
    filled: VecDeque<EndpointId>,
    /// Bytes that have moved through its rings since.
    moved: u64,
    /// Bytes by which its rings were let grow since.
    granted: u64,
    /// When this much has moved it is looked at without delay.
    slack: u64,
    pressed: Option<Pressed>,
    /// The stack knows its allowance.
    allowance: Option<Allowance>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Users {
    quotas: Quotas,
    users: BTreeMap<u32, User>,
    /// What everybody occupied when it was added up last.
    total: u64,
    /// Everybody's budget, while the total is near its limit.
    share: Option<u64>,
    /// How many are pressed.
    pressed: usize,
    /// When everybody is looked at next, if anything moves.
    look_at: Option<Instant>,
    /// Somebody has used up its slack.
    urgent: bool,
}

impl Users {
    pub(super) fn new(quotas: Quotas) -> Users {
        Users {
            quotas,
            users: BTreeMap::new(),
            total: 0,
            share: None,
            pressed: 0,
            look_at: None,
            urgent: false,
        }
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        self.look_at
    }

    fn is_limited(&self, account: u32) -> bool {
        self.quotas.bind((account != SERVICES).then_some(account))
    }

    /// What its rings may occupy by its own rule.
    fn own_budget(&self, account: u32) -> u64 {
        match self.is_limited(account) {
            true => self.quotas.ring_bytes_per_uid,
            false => u64::MAX,
        }
    }

    fn budget(&self, account: u32) -> u64 {
        self.own_budget(account).min(self.share.unwrap_or(u64::MAX))
    }

    pub(super) fn is_pressed(&self, account: u32) -> bool {
        self.pressed > 0 && self.pressed_by(account).is_some()
    }

    fn pressed_by(&self, account: u32) -> Option<&Pressed> {
        self.users.get(&account)?.pressed.as_ref()
    }

    /// Bytes have moved through a ring of `account`.
    pub(super) fn moved(&mut self, now: Instant, account: u32, bytes: u64) {
        let user = self.users.entry(account).or_default();
        user.moved += bytes;
        self.urgent |= user.moved > user.slack && user.pressed.is_none();
        self.look_at.get_or_insert(now + LOOK);
    }

    /// A connection of `account` lives in a socket.
    pub(super) fn socket_opened(&mut self, account: u32) {
        self.users.entry(account).or_default().sockets += 1;
    }

    /// Not any more; what its pair held is gone.
    pub(super) fn socket_closed(&mut self, account: u32, held: u64) {
        if let Some(user) = self.users.get_mut(&account) {
            user.sockets = user.sockets.saturating_sub(1);
            user.pair_bytes = user.pair_bytes.saturating_sub(held);
        }
    }

    /// The sockets of a user that has limits.
    pub(super) fn limited_sockets(&self, account: u32) -> Option<u64> {
        let sockets = self.users.get(&account).map_or(0, |user| user.sockets);
        self.is_limited(account).then_some(sockets)
    }

    /// A pair held so much `before`, and holds so much `now`.
    pub(super) fn pair_holds(&mut self, account: u32, before: u64, now: u64) {
        let user = self.users.entry(account).or_default();
        user.pair_bytes = user.pair_bytes.saturating_sub(before) + now;
    }

    /// That one is to be asked when its user is looked at.
    pub(super) fn pair_is_filled(&mut self, account: u32, endpoint: EndpointId) {
        let user = self.users.entry(account).or_default();
        user.filled.push_back(endpoint);
    }

    /// How many there are.
    pub(super) fn filled_pairs(&self, account: u32) -> usize {
        self.users.get(&account).map_or(0, |user| user.filled.len())
    }

    /// The one that was asked the longest ago; it is not among them any more.
    pub(super) fn next_filled(&mut self, account: u32) -> Option<EndpointId> {
        self.users.get_mut(&account)?.filled.pop_front()
    }

    fn allowance(&self, account: u32) -> Allowance {
        let open = self.pressed_by(account).is_none();
        match self.is_limited(account) {
            true => Allowance {
                connections: self.quotas.connections,
                orphans: self.quotas.orphans,
                open,
            },
            false => Allowance {
                open,
                ..Allowance::default()
            },
        }
    }

    /// Whether this user is pressed now that it occupies so much; with hysteresis, or it would flutter.
    fn judge(&self, account: u32, occupied: u64) -> Option<Pressed> {
        let limit = |budget| match self.is_pressed(account) {
            true => calm(budget),
            false => near(budget),
        };
        let own = self.own_budget(account);
        if occupied >= limit(own) {
            return Some(Pressed::Own {
                occupied,
                budget: own,
            });
        }
        let share = self.share.filter(|share| occupied >= limit(*share))?;
        Some(Pressed::Share {
            occupied,
            share,
            limit: self.quotas.ring_bytes,
        })
    }
}

impl Pressed {
    /// The rule and its figures.
    fn rule(&self) -> String {
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        match *self {
            Pressed::Own { occupied, budget } => format!(
                "rule limits.ring_bytes_per_uid: the rings of this user occupy {} of {}",
                mib(occupied),
                mib(budget)
            ),
            Pressed::Share {
                occupied,
                share,
                limit,
            } => format!(
                "rule limits.ring_bytes: of {} for all the rings of this user occupy {}, its share is {}",
                mib(limit),
                mib(occupied),
                mib(share)
            ),
        }
    }
}

impl Bridge {
    /// Other limits count from now on.
    pub(crate) fn set_quotas(&mut self, stack: &mut DaemonStack, now: Instant, quotas: Quotas) {
        self.users.quotas = quotas;
        self.look_at_users(stack, now, true);
    }

    /// Whose the connections of a session are.
    pub(super) fn account_of(&self, session: SessionId) -> u32 {
        let session = self.sessions.get(&session);
        session.map_or(SERVICES, Session::account)
    }

    pub(super) fn session_counts(&mut self, stack: &mut DaemonStack, session: SessionId) {
        let account = self.account_of(session);
        let user = self.users.users.entry(account).or_default();
        user.sessions.insert(session);
        self.allow(stack, account);
    }

    /// The arena of a session is gone.
    pub(super) fn session_counts_no_more(&mut self, session: &Session, id: SessionId) {
        if let Some(user) = self.users.users.get_mut(&session.account()) {
            user.sessions.remove(&id);
            user.arena_bytes = user.arena_bytes.saturating_sub(session.measured);
        }
    }

    pub(super) fn listener_counts(&mut self, session: SessionId, more: bool) {
        let user = self
            .users
            .users
            .entry(self.account_of(session))
            .or_default();
        user.listeners = match more {
            true => user.listeners + 1,
            false => user.listeners.saturating_sub(1),
        };
    }

    /// Why `session` may open no connection now, if so.
    pub(super) fn refuse_connection(
        &self,
        stack: &DaemonStack,
        session: SessionId,
    ) -> Option<Reply> {
        let account = self.account_of(session);
        if let Some(pressed) = self.users.pressed_by(account) {
            return Some(Reply::error(ErrorCode::QuotaExceeded, pressed.rule()));
        }
        let (most, has) = (
            self.users.quotas.connections,
            stack.usage(account).connections,
        );
        (self.users.is_limited(account) && has >= most).then(|| {
            let rule = format!("rule limits.connections_per_uid: this user has {has} of {most}");
            Reply::error(ErrorCode::QuotaExceeded, rule)
        })
    }

    /// Why `session` may have no listener more, if so.
    pub(super) fn refuse_listener(&self, session: SessionId) -> Option<Reply> {
        let account = self.account_of(session);
        let most = self.users.quotas.listeners;
        let has = self
            .users
            .users
            .get(&account)
            .map_or(0, |user| user.listeners);
        (self.users.is_limited(account) && has >= most).then(|| {
            let rule = format!("rule limits.listeners_per_uid: this user has {has} of {most}");
            Reply::error(ErrorCode::QuotaExceeded, rule)
        })
    }

    /// The largest capacity above `capacity` and up to `wanted`, both powers of two, that a ring of `account` may have now; `None`: as
    /// it is. Who makes use of it says so: [`Bridge::has_grown`].
    pub(super) fn affordable(
        &mut self,
        stack: &DaemonStack,
        account: u32,
        capacity: u32,
        wanted: u32,
    ) -> Option<u32> {
        let (budget, limit) = (self.users.budget(account), self.users.quotas.ring_bytes);
        let user = self.users.users.get(&account)?;
        let private = stack.usage(account).private_bytes;
        let own = near(budget)
            .saturating_sub(user.arena_bytes + user.pair_bytes + private + user.granted);
        let all = near(limit).saturating_sub(self.users.total.saturating_add(user.granted));
        let room = match user.pressed {
            Some(_) => 0,
            None => own.min(all),
        };
        let mut size = wanted;
        while size > capacity && u64::from(size - capacity) > room {
            size /= 2;
        }
        self.counts.growths_refused += u64::from(size <= capacity);
        (size > capacity).then_some(size)
    }

    /// A ring of `account` has grown by so many bytes.
    pub(super) fn has_grown(&mut self, account: u32, by: u32) {
        self.users.users.entry(account).or_default().granted += u64::from(by);
    }

    /// Asks an arena what it occupies.
    pub(super) fn measure(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        // fstat of a memfd that we hold does not fail, and waits for nobody.
        let bytes = session.arena.allocated_bytes().unwrap_or(session.measured);
        let before = std::mem::replace(&mut session.measured, bytes);
        if let Some(user) = self.users.users.get_mut(&session.account()) {
            user.arena_bytes = user.arena_bytes.saturating_sub(before) + bytes;
        }
    }

    /// Looks at users whose time has come: all that move something or are pressed, at once or when one has used up its slack.
    pub(super) fn weigh_users(&mut self, stack: &mut DaemonStack, now: Instant) {
        let due = self.users.look_at.is_some_and(|at| at <= now);
        if due || self.users.urgent {
            self.look_at_users(stack, now, due);
        }
    }

    fn look_at_users(&mut self, stack: &mut DaemonStack, now: Instant, all: bool) {
        self.users.urgent = false;
        let asked = |user: &User| match all {
            true => user.moved > 0 || user.pressed.is_some(),
            false => user.moved > user.slack,
        };
        let users = self.users.users.iter_mut().filter(|(_, user)| asked(user));
        let (mut sessions, mut filled) = (Vec::new(), Vec::new());
        for (account, user) in users {
            (user.moved, user.granted) = (0, 0);
            sessions.extend(user.sessions.iter().copied());
            filled.extend((!user.filled.is_empty()).then_some(*account));
        }
        for account in filled {
            self.weigh_pairs_of(account);
        }
        for session in sessions {
            self.measure(session);
        }
        self.judge_users(stack);
        if all {
            let pause = now + LOOK_PRESSED;
            self.users.look_at = (self.users.pressed > 0).then_some(pause);
        } else if self.users.pressed > 0 {
            let soon = now + LOOK_PRESSED;
            let at = self.users.look_at.map_or(soon, |at| at.min(soon));
            self.users.look_at = Some(at);
        }
    }

    /// Adds up, and decides who is pressed.
    fn judge_users(&mut self, stack: &mut DaemonStack) {
        let private: Vec<(u32, u64)> = stack
            .usages()
            .map(|(account, usage)| (account, usage.private_bytes))
            .collect();
        for (account, _) in &private {
            self.users.users.entry(*account).or_default();
        }
        let mut occupied: BTreeMap<u32, u64> = private.into_iter().collect();
        for (account, user) in &self.users.users {
            *occupied.entry(*account).or_default() += user.arena_bytes + user.pair_bytes;
        }
        let users = &mut self.users;
        users.total = occupied.values().sum();
        let limit = users.quotas.ring_bytes;
        let is_near = match users.share {
            Some(_) => users.total >= calm(limit),
            None => users.total >= near(limit),
        };
        let active = occupied.values().filter(|bytes| **bytes > 0).count().max(1) as u64;
        users.share = is_near.then(|| limit / active);
        let room = near(limit).saturating_sub(users.total) / active;
        for (account, bytes) in &occupied {
            let pressed = users.judge(*account, *bytes);
            let budget = users.budget(*account);
            let left = near(budget).saturating_sub(*bytes).min(room);
            let least = budget.min(limit) / 64;
            if let Some(user) = users.users.get_mut(account) {
                self.counts.pressed += u64::from(pressed.is_some() && user.pressed.is_none());
                user.pressed = pressed;
                user.slack = left.max(least);
            }
        }
        let is_pressed = |user: &&User| user.pressed.is_some();
        users.pressed = users.users.values().filter(is_pressed).count();
        for account in occupied.into_keys() {
            self.allow(stack, account);
        }
    }

    /// Tells the stack what an account may have; forgets one that has nothing.
    fn allow(&mut self, stack: &mut DaemonStack, account: u32) {
        let allowance = self.users.allowance(account);
        let Some(user) = self.users.users.get_mut(&account) else {
            return;
        };
        let usage = stack.usage(account);
        let has_nothing = user.sessions.is_empty()
            && user.listeners == 0
            && user.sockets == 0
            && (usage.connections, usage.orphans, usage.private_bytes) == (0, 0, 0);
        if has_nothing {
            self.users.users.remove(&account);
            return stack.set_allowance(account, Allowance::default());
        }
        if user.allowance.replace(allowance) != Some(allowance) {
            stack.set_allowance(account, allowance);
        }
    }

    /// Holds the window of a connection whose user is pressed, and lets it go when not any more. True when that is news.
    pub(super) fn hold_or_let_go(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(&endpoint) else {
            return false;
        };
        let pressed = self.users.is_pressed(connection.account);
        if pressed == connection.held {
            return false;
        }
        connection.held = pressed;
        connection.relieved_at = connection.received;
        stack.hold_window(now, endpoint, pressed.then_some(HELD_WINDOW));
        true
    }

    /// An emptied receive ring of a pressed user gives its pages back without waiting for a second.
    pub(super) fn relieve(&mut self, stack: &mut DaemonStack, endpoint: EndpointId, read: u64) {
        let Some(connection) = self.connections.get(&endpoint) else {
            return;
        };
        let due = read >= connection.relieved_at + RELIEF || !connection.relieved;
        let here = connection.aside.is_none();
        let session = connection.session;
        if connection.held && due && here && self.is_bare(stack, endpoint) {
            self.sweep(stack, session, &[endpoint]);
            if let Some(connection) = self.connections.get_mut(&endpoint) {
                (connection.relieved_at, connection.relieved) = (read, true);
            }
        }
    }

    /// What every account has, for `tcpctl users`.
    pub(super) fn user_uses(&self, stack: &DaemonStack) -> Vec<UserUse> {
        let accounts: BTreeSet<u32> = stack
            .usages()
            .map(|(account, _)| account)
            .chain(self.users.users.keys().copied())
            .collect();
        let use_of = |account: u32| {
            let user = self.users.users.get(&account);
            UserUse {
                account: (account != SERVICES).then_some(account),
                usage: stack.usage(account),
                listeners: user.map_or(0, |user| user.listeners),
                pair_bytes: user.map_or(0, |user| user.pair_bytes),
                budget: Some(self.users.budget(account)).filter(|budget| *budget != u64::MAX),
                pressed: user.is_some_and(|user| user.pressed.is_some()),
                limited: self.users.is_limited(account),
            }
        };
        accounts.into_iter().map(use_of).collect()
    }
}

impl Session {
    /// Whose its connections are.
    pub(super) fn account(&self) -> u32 {
        match self.worker {
            true => SERVICES,
            false => self.credentials.uid,
        }
    }
}
