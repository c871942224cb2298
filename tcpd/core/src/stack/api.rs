//! The user calls of RFC 9293 §3.10, as the owner of the stack makes them: find the endpoint, make the call, settle what follows.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use slotmap::SlotMap;

use crate::stack::deadlines::Deadlines;
use crate::stack::demux::FlowTable;
use crate::stack::handshakes::{handshake_timeout, offered_shift};
use crate::stack::id::SlotKey;
use crate::stack::listener::{Listener, check_local};
use crate::stack::slot::Slot;
use crate::stack::{
    AbortError, CloseError, ConnectionOptions, EndpointId, ListenOptions, ListenerId,
    ListenerStatus, NoSuchConnection, OpenError, ReceiveError, SendError, Stack,
};
use crate::tcp::buffer::Ring;
use crate::tcp::calls;
use crate::tcp::endpoint::connection::Rings;
use crate::tcp::endpoint::syn_sent::SynSent;
use crate::tcp::endpoint::{Cause, Changes, EndReason, Owner, Pair, State};
use crate::tcp::timeouts;
use crate::time::Instant;

mod connections;
mod rings;

/// How an active OPEN is to be (§3.10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The own address to use; `None`: the stack chooses (MUST-44).
    pub local: Option<IpAddr>,
    /// The own port; 0: an ephemeral one (RFC 6056).
    pub local_port: u16,
    /// The peer.
    pub remote: SocketAddr,
    /// Whether the own port may be one that others have bound, and a pair in TIME-WAIT may be taken over.
    pub reuse: bool,
    /// The owner's cookie, reported back.
    pub tag: u64,
    /// What the connection starts with.
    pub connection: ConnectionOptions,
}

impl ConnectOptions {
    /// To `remote`, everything else by default.
    #[must_use]
    pub fn to(remote: SocketAddr) -> Self {
        Self {
            local: None,
            local_port: 0,
            remote,
            reuse: false,
            tag: 0,
            connection: ConnectionOptions::default(),
        }
    }
}

/// RFC 6191 and Linux's `tcp_tw_reuse`: an own connect takes a pair over that has been in TIME-WAIT this long, when timestamps
/// tell old segments from new ones.
const TIME_WAIT_REUSE_AGE: Duration = Duration::from_secs(1);

impl<R: Ring> Stack<R> {
    /// A passive OPEN (§3.10.1).
    ///
    /// # Errors
    /// [`OpenError::AddressInUse`] as the kernel has it: another listener covers the address and port, or, without
    /// `reuse`, a connection still uses them, be it in TIME-WAIT; [`OpenError::AddressNotAvailable`];
    /// [`OpenError::NoFreePort`] for port 0.
    pub fn listen(
        &mut self,
        now: Instant,
        mut options: ListenOptions,
    ) -> Result<ListenerId, OpenError> {
        let own: Vec<IpAddr> = self.addresses.iter().map(|own| own.addr).collect();
        check_local(&options, &own)?;
        if options.port == 0 {
            options.port = self.free_port_to_listen(&options, &own)?;
        }
        if self.is_taken(&options, &own) {
            return Err(OpenError::AddressInUse);
        }
        let listener = Listener {
            options,
            backlog: options
                .backlog
                .clamp(1, self.config.limits.backlog_max.max(1)),
            queue: std::collections::VecDeque::new(),
            half_open: 0,
            accepted: 0,
            refused: 0,
            event_queued: false,
        };
        let id = EndpointId::from(self.endpoints.insert(Slot::Listener(Box::new(listener))));
        self.listeners.insert(options, id);
        self.transition(now, id, State::Closed, State::Listen, Cause::PassiveOpen);
        Ok(ListenerId(id))
    }

    /// Whether the address and port of a passive OPEN are taken: by a listener in any case, by connections unless both share.
    fn is_taken(&self, options: &ListenOptions, own: &[IpAddr]) -> bool {
        self.listeners.conflicts(options, own)
            || own
                .iter()
                .filter(|&&address| options.covers(address))
                .any(|&address| {
                    let used = self.bound.get(address, options.port);
                    if options.reuse {
                        used.exclusive > 0
                    } else {
                        used.all > 0
                    }
                })
    }

    fn free_port_to_listen(
        &mut self,
        options: &ListenOptions,
        own: &[IpAddr],
    ) -> Result<u16, OpenError> {
        let (listeners, bound) = (&self.listeners, &self.bound);
        let local = options.local;
        let taken = |port: u16| {
            let options = ListenOptions { port, ..*options };
            listeners.conflicts(&options, own)
                || own
                    .iter()
                    .filter(|&&address| options.covers(address))
                    .any(|&a| bound.get(a, port).all > 0)
        };
        self.ports
            .pick(local, None, taken)
            .ok_or(OpenError::NoFreePort)
    }

    /// Counts and reports a transition that happens outside of a connection.
    fn transition(&mut self, now: Instant, id: EndpointId, from: State, to: State, why: Cause) {
        if let Some((_, mut cx)) = self.at(now, id) {
            let mut state = from;
            cx.transition(&mut state, to, why);
        }
    }

    /// Closes a listener; half-open and unaccepted connections of it are reset. Nothing happens for a name that is none.
    pub fn close_listener(&mut self, now: Instant, listener: ListenerId) {
        let Some(Slot::Listener(closing)) = self.endpoints.get_mut(listener.0.key()) else {
            return;
        };
        let port = closing.options.port;
        let waiting = std::mem::take(&mut closing.queue);
        self.listeners.remove(port, listener.0);
        for id in waiting {
            self.discard_unaccepted(now, id);
        }
        let half_open: Vec<EndpointId> = self
            .endpoints
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::HalfOpen(half) if half.listener == listener.0))
            .map(|(key, _)| EndpointId::from(key))
            .collect();
        for id in half_open {
            if let Some((Slot::HalfOpen(half), cx)) = self.at(now, id) {
                cx.replies.push(crate::tcp::transmit::Reply::reset(
                    half.pair,
                    half.snd_nxt(),
                ));
            }
            self.remove_half_open(now, id, State::Closed, Cause::ListenerClosed);
        }
        self.transition(
            now,
            listener.0,
            State::Listen,
            State::Closed,
            Cause::ListenerClosed,
        );
        self.endpoints.remove(listener.0.key());
    }

    fn discard_unaccepted(&mut self, now: Instant, id: EndpointId) {
        let mut orphaned = false;
        if let Some((slot, mut cx)) = self.at(now, id)
            && let Some(conn) = slot.connection_mut()
        {
            orphaned = !matches!(conn.state, State::Closed | State::TimeWait);
            conn.owner = Owner::Nobody;
            conn.changes = Changes::NONE;
            calls::abort(conn, &mut cx);
            conn.changes = Changes::NONE;
        }
        self.release(now, id, orphaned);
    }

    /// Takes the next established connection out of a listener's queue.
    pub fn accept(&mut self, now: Instant, listener: ListenerId) -> Option<EndpointId> {
        let Some(Slot::Listener(waiting)) = self.endpoints.get_mut(listener.0.key()) else {
            return None;
        };
        let id = waiting.queue.pop_front()?;
        waiting.accepted += 1;
        if !waiting.queue.is_empty() && !waiting.event_queued {
            waiting.event_queued = true;
            self.events.push(listener.0);
        }
        if let Some(conn) = self
            .endpoints
            .get_mut(id.key())
            .and_then(Slot::connection_mut)
        {
            conn.owner = Owner::User;
        }
        self.settle(now, id);
        Some(id)
    }

    /// A listener's state; `None` for a name that is none.
    #[must_use]
    pub fn listener_status(&self, listener: ListenerId) -> Option<ListenerStatus> {
        match self.endpoints.get(listener.0.key()) {
            Some(Slot::Listener(found)) => Some(found.status(listener)),
            Some(
                Slot::SynSent(_) | Slot::HalfOpen(_) | Slot::Connection(_) | Slot::TimeWait(..),
            )
            | None => None,
        }
    }

    /// An active OPEN (§3.10.1). CONNECTED or ENDED is told by an event.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn connect(
        &mut self,
        now: Instant,
        options: ConnectOptions,
    ) -> Result<EndpointId, OpenError> {
        let remote = options.remote;
        if remote.port() == 0 || !self.addresses.can_open_to(remote.ip()) {
            return Err(OpenError::RemoteInvalid);
        }
        if self.connections >= self.config.limits.connections {
            return Err(OpenError::InsufficientResources);
        }
        let local = self.local_address(&options)?;
        let mut pair = Pair {
            local,
            remote: remote.ip(),
            local_port: options.local_port,
            remote_port: remote.port(),
        };
        if pair.local_port == 0 {
            pair.local_port = self.free_port_to_connect(now, &pair)?;
        } else {
            self.check_local_port(now, &pair, options.reuse)?;
        }
        Ok(self.open_actively(now, pair, &options))
    }

    fn local_address(&self, options: &ConnectOptions) -> Result<IpAddr, OpenError> {
        match options.local.filter(|local| !local.is_unspecified()) {
            Some(local) if !self.addresses.contains(local) => Err(OpenError::AddressNotAvailable),
            Some(local) if local.is_ipv4() != options.remote.is_ipv4() => Err(OpenError::NoRoute),
            Some(local) => Ok(local),
            None => self
                .addresses
                .source_for(options.remote.ip())
                .ok_or(OpenError::NoRoute),
        }
    }

    /// An ephemeral port whose pair is free; one in TIME-WAIT counts as free when it may be taken over.
    fn free_port_to_connect(&mut self, now: Instant, pair: &Pair) -> Result<u16, OpenError> {
        let pairs = Pairs {
            endpoints: &self.endpoints,
            flows: &self.flows,
            deadlines: &self.deadlines,
            time_wait: self.config.tcp.msl * 2,
        };
        let listeners = &self.listeners;
        let remote = SocketAddr::new(pair.remote, pair.remote_port);
        let taken = |port| {
            listeners.is_taken(pair.local, port)
                || !pairs.is_free(
                    now,
                    &Pair {
                        local_port: port,
                        ..*pair
                    },
                    false,
                )
        };
        self.ports
            .pick(Some(pair.local), Some(remote), taken)
            .ok_or(OpenError::NoFreePort)
    }

    /// A port named by the user: as bind() and connect() have it, the port must be free unless shared, and the pair in any case.
    fn check_local_port(&self, now: Instant, pair: &Pair, reuse: bool) -> Result<(), OpenError> {
        let used = self.bound.get(pair.local, pair.local_port);
        let shared = if reuse {
            used.exclusive == 0
        } else {
            used.all == 0
        };
        let takes_over = reuse && self.time_wait_of(pair).is_some();
        let listening = self.listeners.is_taken(pair.local, pair.local_port);
        if listening || !(shared || takes_over) || !self.pair_is_free(now, pair, reuse) {
            return Err(OpenError::AddressInUse);
        }
        Ok(())
    }

    /// Whether a new connection may have `pair`.
    fn pair_is_free(&self, now: Instant, pair: &Pair, reuse: bool) -> bool {
        let pairs = Pairs {
            endpoints: &self.endpoints,
            flows: &self.flows,
            deadlines: &self.deadlines,
            time_wait: self.config.tcp.msl * 2,
        };
        pairs.is_free(now, pair, reuse)
    }

    fn open_actively(&mut self, now: Instant, pair: Pair, options: &ConnectOptions) -> EndpointId {
        let flow = pair.flow();
        let iss = match self.time_wait_of(&pair) {
            Some((id, old)) => {
                self.counters.time_wait_reused += 1;
                self.end_time_wait(now, id, Cause::Reopened);
                self.initial.isn_after(now, &flow, old.snd_nxt)
            }
            None => self.initial.isn(now, &flow),
        };
        let quiet_until = self.quiet_until(now);
        let starts = quiet_until.unwrap_or(now);
        let patience = options
            .connection
            .open_timeout
            .unwrap_or(self.config.tcp.syn_time);
        let first_timeout = handshake_timeout(0, &self.config.tcp);
        let give_up_at = starts + patience;
        let syn_sent = SynSent {
            pair,
            iss,
            options: options.connection,
            tag: options.tag,
            reuse: options.reuse,
            rings: Rings::private(&options.connection, &self.config),
            written: 0,
            fin_queued: false,
            reading_closed: false,
            shift: offered_shift(&options.connection, &self.config.tcp),
            timestamps: self.config.tcp.timestamps,
            ts_offset: self.initial.timestamp_offset(&flow),
            retransmissions: 0,
            syn_due: quiet_until.is_none(),
            queued: false,
            event_queued: false,
            changes: Changes::NONE,
            quick_retry_done: false,
            created: now,
            sent_at: None,
            retry_at: quiet_until.unwrap_or_else(|| (now + first_timeout).min(give_up_at)),
            give_up_at,
            soft_error: None,
            end: None,
            crossed: None,
        };
        let id = EndpointId::from(self.endpoints.insert(Slot::SynSent(Box::new(syn_sent))));
        self.flows.insert(&self.endpoints, id);
        self.bound.bind(&pair, options.reuse);
        self.connections += 1;
        self.counters.active_opens += 1;
        self.transition(now, id, State::Closed, State::SynSent, Cause::ActiveOpen);
        self.settle(now, id);
        id
    }
}

/// What tells whether a pair is free.
struct Pairs<'a, R> {
    endpoints: &'a SlotMap<SlotKey, Slot<R>>,
    flows: &'a FlowTable,
    deadlines: &'a Deadlines,
    time_wait: Duration,
}

impl<R> Pairs<'_, R> {
    /// Free, or in TIME-WAIT and to be taken over: with `reuse`, or when timestamps tell old segments from new ones.
    fn is_free(&self, now: Instant, pair: &Pair, reuse: bool) -> bool {
        let Some(id) = self.flows.find(self.endpoints, pair) else {
            return true;
        };
        let Some(Slot::TimeWait(old, _)) = self.endpoints.get(id.key()) else {
            return false;
        };
        let entered = self
            .deadlines
            .deadline(id.index())
            .map_or(Instant::ZERO, |ends| ends - self.time_wait);
        reuse || (old.timestamps && now.duration_since(entered) > TIME_WAIT_REUSE_AGE)
    }
}
