//! What the control thread and the stack thread say to each other.
//!
//! [`Order`]s go from the control thread to the stack thread over an mpsc channel and an eventfd
//! that never leaves this process; [`Report`]s come back over an mpsc channel and a `mio::Waker`.
//! Both are plain values: no lock is shared between the two threads.
//!
//! The control thread owns sockets, identities and policy: whatever arrives here has been checked
//! against the policy already, except what only the stack thread can know, namely who owns an
//! endpoint; for that, [`Credentials`] travel along.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use libtcpclient::protocol::{CongestionControl, Listen, Reply, Request, StreamOptions};
use libtcpclient::shm::Arena;
use tcpd_core::impairment::Impairment;
use tcpd_core::stack::{EndpointId, ListenerId, ListenerStatus, Status, Summary, Usage};

use crate::device::impair::{Directions, RuleSpec, RuleStatus};

/// A session's number, unique for the life of the daemon.
pub type SessionId = u64;

pub use crate::services::supervisor::ServiceIndex;

/// Who asks, as the kernel says it (SO_PEERCRED).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// Root or the group `tcpd`: may act on everyone's connections.
    pub all: bool,
}

/// What shall be otherwise with a live connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionChange {
    /// Congestion control.
    pub congestion: CongestionControl,
}

/// From the control thread to the stack thread.
#[derive(Debug)]
pub enum Order {
    /// A session with an arena begins.
    SessionOpened {
        /// Its number.
        session: SessionId,
        /// The rings and doorbells, mapped by the control thread.
        arena: Arc<Arena>,
        /// This end of the doorbell socket of stack thread 0, non-blocking.
        bell: OwnedFd,
        /// Who it is.
        credentials: Credentials,
        /// Whether it was opened by a worker's token: a connection it leaves without closing is reset.
        worker: bool,
    },
    /// A session is over: connections with unread data, and all of a worker's, are reset; the others
    /// send what is left, then FIN.
    SessionClosed {
        /// Its number.
        session: SessionId,
    },
    /// A client's request that concerns the stack, already allowed by the policy: Listen,
    /// CloseListener, Accept, CancelAccept, Connect, Shutdown, Close, Abort, SetOptions,
    /// GrowTransmit, IntoSocket, HandOff. (ConnectionStatus is an inspection.) Answered by [`Report::Reply`], unless the session ends first.
    Request {
        /// Whose.
        session: SessionId,
        /// The number the reply must carry.
        request_id: u32,
        /// What is asked.
        request: Request,
    },
    /// Give a service's accepted connection to a worker's session; answered by [`Report::Reply`] with
    /// `Adopted`.
    Adopt {
        /// The worker's session.
        session: SessionId,
        /// The number the reply must carry.
        request_id: u32,
        /// The connection its token stood for.
        endpoint: EndpointId,
    },
    /// What concerns a service's listeners.
    Service(ServiceIndex, ServiceOrder),
    /// Reset a connection that no session owns (its worker never came).
    AbortUnclaimed {
        /// Which.
        endpoint: EndpointId,
    },
    /// Give a connection that was handed off to a session that brought its token; answered by [`Report::HandoffAdopted`].
    AdoptHandoff {
        /// The session.
        session: SessionId,
        /// The number the reply must carry.
        request_id: u32,
        /// The connection.
        endpoint: EndpointId,
    },
    /// Reset a connection that was handed off, and that nobody has adopted.
    AbortHandoff {
        /// Which.
        endpoint: EndpointId,
    },
    /// What users may have from now on.
    Quotas(Quotas),
    /// Change what a bad network does to packets; answered by [`Report::Inspected`] with [`Inspected::Done`],
    /// [`Inspected::NoSuchEndpoint`] or [`Inspected::Refused`].
    Impair {
        /// Chosen by the asker.
        ticket: u64,
        /// What.
        change: ImpairmentChange,
    },
    /// Look at the impairment layer; answered by [`Report::Inspected`] with [`Inspected::Impairments`].
    InspectImpairments {
        /// Chosen by the asker.
        ticket: u64,
    },
    /// The configured impairments from now on; those that operators have set for other packets stay.
    ConfigureImpairment(Vec<RuleSpec>),
    /// Look at something; answered by [`Report::Inspected`] with the same ticket.
    Inspect {
        /// Chosen by the asker.
        ticket: u64,
        /// At what.
        what: Inspection,
    },
    /// Close (orderly) or reset any connection, as an operator or its owner; answered by
    /// [`Report::Inspected`] with [`Inspected::Done`], [`Inspected::NoSuchEndpoint`] or
    /// [`Inspected::NotPermitted`].
    EndConnection {
        /// Chosen by the asker.
        ticket: u64,
        /// Which.
        endpoint: EndpointId,
        /// Reset instead of close.
        reset: bool,
        /// Who asks.
        credentials: Credentials,
    },
    /// Change a live connection, if the asker may; answered by [`Report::Inspected`].
    SetConnection {
        /// Chosen by the asker.
        ticket: u64,
        /// Which.
        endpoint: EndpointId,
        /// What shall be otherwise.
        change: ConnectionChange,
        /// Who asks.
        credentials: Credentials,
    },
    /// Say that the thread still turns; answered by [`Report::Heartbeat`].
    Heartbeat,
    /// Stop accepting, let what is in flight finish for `grace`, then reset the rest and end the
    /// thread; the last report is [`Report::Stopped`]. A second one shortens the first.
    Stop {
        /// How long what is in flight may take.
        grace: Duration,
    },
}

/// What [`Order::Service`] does.
#[derive(Debug, Clone, PartialEq)]
pub enum ServiceOrder {
    /// Open a listener, where and how a client would say it; answered by [`Report::ServiceListening`].
    Listen(Listen),
    /// Change what holds at each of its listeners from now on.
    Terms {
        /// Connections that may wait to be accepted.
        backlog: u32,
        /// For connections that come from now on.
        options: StreamOptions,
    },
    /// Close a listener: what nobody has accepted is reset, connections go on.
    Unlisten {
        /// As in [`ServiceOrder::Listen`].
        address: Option<IpAddr>,
        /// As in [`ServiceOrder::Listen`].
        port: u16,
    },
    /// A listener is another service's from now on, with everything that waits in it. [`ServiceOrder::Terms`] follows for the new
    /// owner.
    PassTo {
        /// Whose it is.
        to: ServiceIndex,
        /// As in [`ServiceOrder::Listen`].
        address: Option<IpAddr>,
        /// As in [`ServiceOrder::Listen`].
        port: u16,
    },
    /// Take the next waiting connection; answered by [`Report::ServiceAccepted`].
    Accept,
}

/// What [`Order::Impair`] changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ImpairmentChange {
    /// For which packets.
    pub wanted: Impaired,
    /// Which way.
    pub directions: Directions,
    /// What happens to them and the seed that decides it; `None`: nothing any more. Nothing for [`Impaired::Everything`] is nothing for
    /// anybody.
    pub to: Option<(Impairment, u64)>,
}

/// For which packets: a [`Target`](crate::device::impair::Target) of the impairment layer, but a connection is still to be found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Impaired {
    /// All that cross the device.
    Everything,
    /// Those from or to a host in this network.
    Peer(IpAddr, u8),
    /// Those of one connection.
    Connection(EndpointId),
}

/// What users may have, as `[limits]` says: the part that the stack thread watches over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Connections of a user, orphans not counted.
    pub connections: u32,
    /// Orphans of a user.
    pub orphans: u32,
    /// Listeners of a user.
    pub listeners: u32,
    /// Bytes that the rings of a user may occupy.
    pub ring_bytes_per_uid: u64,
    /// Bytes that the rings of all users may occupy.
    pub ring_bytes: u64,
    /// Whether root has limits too.
    pub root: bool,
}

impl Quotas {
    /// Whether limits by user count for this one; `None`: the services, which have limits of their own.
    pub fn bind(&self, account: Option<u32>) -> bool {
        match account {
            Some(0) => self.root,
            Some(_) => true,
            None => false,
        }
    }
}

/// What one user has, as the stack thread knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserUse {
    /// The user; `None`: the services.
    pub account: Option<u32>,
    /// Connections, orphans, private rings, SYNs dropped.
    pub usage: Usage,
    /// Listeners.
    pub listeners: u32,
    /// Bytes in the pairs of its socket endpoints, of the kernel's memory.
    pub pair_bytes: u64,
    /// Bytes that its rings may occupy now.
    pub budget: Option<u64>,
    /// It is near that: windows are held, new connections refused.
    pub pressed: bool,
    /// Whether limits per user count for it.
    pub limited: bool,
}

/// What [`Order::Inspect`] looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inspection {
    /// Every endpoint but listeners.
    Endpoints,
    /// Every listener.
    Listeners,
    /// One endpoint in full.
    Endpoint(EndpointId),
    /// What every user has.
    Users,
    /// Every counter of the stack, the device and the bridge.
    Counters,
}

/// Whose an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A client session holds it.
    Session(SessionId),
    /// Somebody holds it as a socket, which this session asked for.
    Socket {
        /// It may be over.
        session: SessionId,
        /// Its user.
        uid: u32,
    },
    /// A service listens with it, or waits for its worker.
    Service(ServiceIndex),
    /// This user has handed it off; nobody has adopted it yet.
    HandedOff(u32),
    /// Its client has closed it; the stack finishes it.
    Orphan,
    /// The stack alone: half-open, waiting in a backlog, TIME-WAIT.
    Nobody,
}

/// What was seen, or what became of a change.
#[derive(Debug)]
pub enum Inspected {
    /// The endpoints, in no particular order.
    Endpoints(Vec<(Summary, Owner)>),
    /// The listeners, in no particular order.
    Listeners(Vec<(ListenerId, ListenerStatus, Owner)>),
    /// What every user has.
    Users(Vec<UserUse>),
    /// One endpoint.
    Endpoint(Box<Status>, Owner),
    /// Name, help and value of each counter.
    Counters(Vec<(&'static str, &'static str, u64)>),
    /// [`Order::EndConnection`] or [`Order::SetConnection`] did it.
    Done,
    /// It is not in a state in which anything could be set.
    NotOpen,
    /// There is no such endpoint (any more).
    NoSuchEndpoint,
    /// It belongs to another user.
    NotPermitted,
    /// The rules of the impairment layer.
    Impairments(Vec<RuleStatus>),
    /// It cannot be done, and why.
    Refused(String),
}

/// From the stack thread to the control thread.
#[derive(Debug)]
pub enum Report {
    /// An answer for a client.
    Reply {
        /// Whose.
        session: SessionId,
        /// To which request.
        request_id: u32,
        /// The answer.
        reply: Reply,
        /// What [`Reply::Stream`] carries.
        descriptor: Option<OwnedFd>,
    },
    /// A connection has left its session and waits for who adopts it. (When that cannot be, the answer is a [`Report::Reply`].)
    HandedOff {
        /// Who asked.
        session: SessionId,
        /// The number the reply must carry.
        request_id: u32,
        /// The connection.
        endpoint: EndpointId,
        /// The user who may adopt it; `None`: the asker's.
        uid: Option<u32>,
    },
    /// The answer to [`Order::AdoptHandoff`].
    HandoffAdopted {
        /// Who asked.
        session: SessionId,
        /// The number the reply must carry.
        request_id: u32,
        /// The connection.
        endpoint: EndpointId,
        /// `Adopted`, or why not; then the connection waits on, if there is one.
        reply: Reply,
    },
    /// A service's listener is open, or why not.
    ServiceListening {
        /// Which.
        service: ServiceIndex,
        /// The address it got, or the reason in words.
        result: Result<SocketAddr, String>,
    },
    /// Connections wait for this service. Said when the first one comes to wait, and again after each
    /// [`ServiceOrder::Accept`] that leaves more behind.
    ServiceIncoming {
        /// Which.
        service: ServiceIndex,
    },
    /// The connection that [`ServiceOrder::Accept`] took; `None` when none waited.
    ServiceAccepted {
        /// Which.
        service: ServiceIndex,
        /// The connection, its local address and its peer.
        connection: Option<(EndpointId, SocketAddr, SocketAddr)>,
    },
    /// An answer to an inspection.
    Inspected {
        /// The asker's ticket.
        ticket: u64,
        /// What was seen.
        what: Inspected,
    },
    /// Nobody holds the socket of this connection any more ([`Owner::Socket`]); what is left of it is the stack's.
    SocketClosed {
        /// As `Opened` named it.
        connection: u64,
    },
    /// A session wrote something impossible into its arena; the control thread ends it and counts.
    Violation {
        /// Whose.
        session: SessionId,
        /// What, in one word of `libtcpclient::shm::Violation`.
        what: &'static str,
    },
    /// A client has closed its bell: it could never tell of anything again.
    BellClosed {
        /// Whose.
        session: SessionId,
    },
    /// Every connection of a closed session is gone and its arena is unmapped here.
    SessionReleased {
        /// Whose.
        session: SessionId,
    },
    /// The thread still turns.
    Heartbeat,
    /// The thread is at its end.
    Stopped {
        /// Connections that had to be reset.
        reset: u64,
    },
    /// The device failed for good; the daemon must end (exit 71).
    DeviceFailed {
        /// Why.
        error: std::io::Error,
    },
}
