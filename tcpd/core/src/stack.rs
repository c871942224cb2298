//! The stack: IP, ICMP and TCP of one set of addresses, owned by one thread, without any I/O.
//!
//! * [`Stack::receive`] takes a packet in; the user calls ([`Stack::connect`], [`Stack::send`], …) and
//!   [`Stack::on_deadline`] change connections.
//! * All of them leave intents, which [`Stack::poll_transmit`] turns into packets, and changes, which [`Stack::poll_event`]
//!   tells the owner.
//!
//! Nothing else ever happens: the owner polls until `None` after each of the former, and calls `on_deadline` when
//! [`Stack::next_deadline`] says so.
//!
//! The cost of a segment does not depend on the number of connections: one hash, one slot, one node in the wheel of deadlines.

use std::collections::{BTreeMap, VecDeque};

use slotmap::SlotMap;

use crate::random::{Generator, Secret};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::half_open::HalfOpen;
use crate::tcp::id::SlotKey;
use crate::tcp::transmit::Replies;
use crate::time::Instant;

mod accounts;
mod api;
mod config;
pub mod deadlines;
mod demux;
mod establish;
mod events;
pub mod fragments;
mod handshakes;
pub mod icmp;
pub mod initial_sequence;
mod input;
mod inspect;
mod invariants;
pub mod ip_input;
pub mod ip_output;
mod limits;
mod listener;
mod orphans;
mod output;
pub mod path_mtu;
pub mod ports;
mod settle;
mod slot;
mod syn_cookies;
mod time_wait;
mod timeouts;
pub mod token_bucket;

pub use accounts::{Allowance, Usage};
pub use api::ConnectOptions;
pub use config::StackConfig;
pub use events::Event;
pub use input::ReceiveMeta;
pub use inspect::{ReceiveView, SendView, Summary, View};
pub use ip_input::IpCidr;
pub use listener::{ListenOptions, ListenerStatus};
pub use output::{Payload, Transmit};

pub use crate::tcp::calls::status::Status;
pub use crate::tcp::calls::{
    AbortError, CloseError, NoSuchConnection, OpenError, ReceiveError, SendError,
};
pub use crate::tcp::config::{
    BacklogFull, CongestionControl, ConnectionOptions, EcnPolicy, KeepAlive, Limits, MtuProbing,
    Nagle, TcpConfig,
};
pub use crate::tcp::counters::Counters;
pub use crate::tcp::endpoint::{Cause, Changes, EndReason, State};
pub use crate::tcp::id::{EndpointId, ListenerId, ParseIdError};
pub use crate::tcp::observer::{Observer, Silent};
pub use crate::tcp::timers::Timer;
pub use crate::tcp::transmit::limit::SendLimit;
pub use crate::wire::PartialChecksum;

use accounts::Accounts;
use deadlines::Deadlines;
use demux::{BoundPorts, FlowTable};
use events::EventQueue;
use fragments::Reassembly;
use icmp::Icmp;
use initial_sequence::InitialSequence;
use ip_input::OwnAddresses;
use ip_output::FragmentIds;
use limits::{AgeQueue, ResetLimiter};
use listener::ListenerTable;
use output::Output;
use path_mtu::PathMtu;
use ports::Ports;
use slot::Slot;
use syn_cookies::SynCookies;
use time_wait::SetAside;

/// A TCP/IP stack. See the module's text for how it is driven.
pub struct Stack<R> {
    config: StackConfig,
    addresses: OwnAddresses,
    started: Instant,
    endpoints: SlotMap<SlotKey, Slot<R>>,
    flows: FlowTable,
    listeners: ListenerTable,
    bound: BoundPorts,
    deadlines: Deadlines,
    /// Which endpoint armed the deadline of each slot's index.
    deadline_owners: Vec<EndpointId>,
    /// Endpoints that may have something to send, in turn.
    sendable: VecDeque<EndpointId>,
    events: EventQueue,
    replies: Replies,
    output: Output,
    counters: Counters,
    observer: Box<dyn Observer>,
    random: Generator,
    chance: Secret,
    initial: InitialSequence,
    cookies: SynCookies,
    ports: Ports,
    path_mtu: PathMtu,
    fragments: Reassembly,
    icmp: Icmp,
    resets: ResetLimiter,
    flow_labels: Secret,
    fragment_ids: FragmentIds,
    half_open: AgeQueue,
    /// Room for half-open entries to come: none is allocated for a SYN of a flood.
    #[expect(clippy::vec_box, reason = "the boxes go back into slots as they are")]
    spare_half_open: Vec<Box<HalfOpen>>,
    time_wait: AgeQueue,
    /// TIME-WAIT entries whose pair a half-open entry has for now.
    set_aside: BTreeMap<EndpointId, SetAside>,
    /// SYN-SENT and synchronised ones without TIME-WAIT.
    connections: usize,
    /// Those of them whose user has let go.
    orphans: AgeQueue,
    /// Whose they are.
    accounts: Accounts,
    /// Events until the invariants are checked again, and from then on, where assertions are compiled in.
    until_check: usize,
    check_interval: usize,
}

impl<R: Ring> Stack<R> {
    /// A stack without any endpoint. `secret` must be 128 bits that nobody can guess; `seed` decides jitter only.
    #[must_use]
    pub fn new(config: StackConfig, secret: Secret, seed: u64, now: Instant) -> Self {
        Self {
            addresses: OwnAddresses::new(config.addresses.clone()),
            started: now,
            endpoints: SlotMap::with_key(),
            flows: FlowTable::new(&secret, OwnAddresses::new(config.addresses.clone())),
            listeners: ListenerTable::default(),
            bound: BoundPorts::default(),
            deadlines: Deadlines::new(now),
            deadline_owners: Vec::new(),
            sendable: VecDeque::new(),
            events: EventQueue::default(),
            replies: Replies::default(),
            output: Output::default(),
            counters: Counters::new(),
            observer: Box::new(Silent),
            random: Generator::from_seed(seed),
            chance: secret.derive("jitter"),
            initial: InitialSequence::new(&secret),
            cookies: SynCookies::new(&secret),
            ports: Ports::new(&secret, config.ports.clone()),
            path_mtu: PathMtu::new(path_mtu::DEFAULT_CAPACITY, path_mtu::DEFAULT_FLOOR_V4),
            fragments: Reassembly::new(config.limits.fragment_bytes),
            icmp: Icmp::new(config.icmp),
            resets: ResetLimiter::default(),
            flow_labels: secret.derive("flow labels"),
            fragment_ids: FragmentIds::new(&secret),
            half_open: AgeQueue::default(),
            spare_half_open: Vec::new(),
            time_wait: AgeQueue::default(),
            set_aside: BTreeMap::new(),
            connections: 0,
            orphans: AgeQueue::default(),
            accounts: Accounts::default(),
            until_check: 0,
            check_interval: invariants::INTERVAL,
            config,
        }
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &StackConfig {
        &self.config
    }

    /// Everything that was counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Tells `observer` of everything from now on.
    pub fn set_observer(&mut self, observer: Box<dyn Observer>) {
        self.observer = observer;
    }

    /// When [`Stack::on_deadline`] is to be called next, at the latest. It may be earlier than anything that is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.output.is_in_a_hurry() {
            Some(Instant::ZERO)
        } else {
            let reassembly = self.fragments.next_deadline();
            let endpoints = self.deadlines.next_deadline();
            endpoints.into_iter().chain(reassembly).min()
        }
    }

    /// The endpoint `id` and what surrounds an event about it.
    fn at(&mut self, now: Instant, id: EndpointId) -> Option<(&mut Slot<R>, Context<'_>)> {
        let slot = self.endpoints.get_mut(id.key())?;
        let context = Context {
            now,
            id,
            tcp: &self.config.tcp,
            limits: &self.config.limits,
            gso_max: self.config.gso_max,
            counters: &mut self.counters,
            observer: &mut *self.observer,
            chance: &self.chance,
            replies: &mut self.replies,
        };
        Some((slot, context))
    }

    /// The path to `remote` carries `mtu` and no more.
    fn learn_path_mtu(&mut self, now: Instant, remote: std::net::IpAddr, mtu: u16) {
        self.path_mtu.lower(now, remote, mtu, self.config.mtu);
    }

    /// The IP MTU towards `remote`.
    fn mtu_towards(&self, now: Instant, remote: std::net::IpAddr) -> u16 {
        self.path_mtu.mtu(now, remote, self.config.mtu)
    }
}

impl<R> std::fmt::Debug for Stack<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack")
            .field("endpoints", &self.endpoints.len())
            .finish_non_exhaustive()
    }
}
