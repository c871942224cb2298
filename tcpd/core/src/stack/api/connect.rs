//! Active OPEN: which local address and port, and what of an old pair in TIME-WAIT.

use super::*;
use crate::tcp::ecn::Offer;

/// RFC 6191 and Linux's `tcp_tw_reuse`: an own connect takes a pair over that has been in TIME-WAIT this long, when timestamps
/// tell old segments from new ones.
const TIME_WAIT_REUSE_AGE: Duration = Duration::from_secs(1);

impl<R: Ring> Stack<R> {
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
            tcp: &self.config.tcp,
        };
        let listeners = &self.listeners;
        let remote = SocketAddr::new(pair.remote, pair.remote_port);
        let taken = |port| {
            // Chance must not connect a socket with itself (RFC 9293 §3.5, MUST-10); who names both ports means it.
            (pair.local == pair.remote && port == pair.remote_port)
                || listeners.is_taken(pair.local, port)
                || !pairs.is_free(
                    now,
                    &Pair {
                        local_port: port,
                        ..*pair
                    },
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
        if listening || !(shared || takes_over) || !self.pair_is_free(now, pair) {
            return Err(OpenError::AddressInUse);
        }
        Ok(())
    }

    /// Whether a new connection may have `pair`.
    fn pair_is_free(&self, now: Instant, pair: &Pair) -> bool {
        let pairs = Pairs {
            endpoints: &self.endpoints,
            flows: &self.flows,
            deadlines: &self.deadlines,
            tcp: &self.config.tcp,
        };
        pairs.is_free(now, pair)
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
            bill: self.accounts.opened(options.account),
            reuse: options.reuse,
            rings: Rings::private(&options.connection, &self.config.tcp),
            written: 0,
            urgent: None,
            fin_queued: false,
            reading_closed: false,
            released: false,
            finishing: false,
            shift: offered_shift(&options.connection, &self.config.tcp),
            timestamps: self.config.tcp.timestamps,
            sack: self.config.tcp.sack,
            ecn: Offer::of(self.config.tcp.ecn),
            ts_offset: self.initial.timestamp_offset(&flow),
            retransmissions: 0,
            syn_due: quiet_until.is_none(),
            fin_due: false,
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
    tcp: &'a TcpConfig,
}

impl<R> Pairs<'_, R> {
    /// Free, or in TIME-WAIT and to be taken over: only where timestamps tell old segments from new ones, and never within a
    /// second (RFC 6191 §2 is about a SYN of the peer; the same reasoning lets our own SYN replace the pair, as Linux has it).
    fn is_free(&self, now: Instant, pair: &Pair) -> bool {
        let Some(id) = self.flows.find(self.endpoints, pair) else {
            return true;
        };
        let Some(Slot::TimeWait(old, _)) = self.endpoints.get(id.key()) else {
            return false;
        };
        let entered = self
            .deadlines
            .deadline(id.index())
            .map_or(now, |ends| ends - self.tcp.msl * 2);
        old.timestamps && self.tcp.timestamps && now.duration_since(entered) > TIME_WAIT_REUSE_AGE
    }
}
