//! Socket endpoints: a connection as one end of an ordinary stream socketpair, for programs that know nothing of rings.
//!
//! 1. [`Bridge::give_socket`]: a connection leaves its session's slot; its bytes move into rings of this process ([`store`]).
//! 2. [`pump`]: bytes go from the pair into the transmit ring as far as it has room, and from the receive ring into the pair as
//!    far as the holder makes room. Neither side gets more than it takes, so both windows close as they should.
//! 3. [`limits`]: what lies in pairs counts for who asked for them, and descriptors stay for others.
//! 4. The end: the holder's last descriptor, the peer, a time limit or an operator ([`Bridge::end_of_socket`]).
//!
//! | the holder | the peer sees |
//! |---|---|
//! | `shutdown(SHUT_WR)` | FIN after what was written |
//! | `shutdown(SHUT_RD)` | nothing: what it sends is acknowledged and thrown away, as in Linux |
//! | closes (also `SHUT_RDWR`) | FIN after what was written; RST if bytes were unread, here or in the pair |
//!
//! | the peer | the holder sees |
//! |---|---|
//! | FIN | end of file after what came |
//! | RST, or silence that takes too long | what came, then ECONNRESET if bytes that the holder wrote still stood in the pair, else the end of file; EPIPE when it writes |
//!
//! A socketpair can say ECONNRESET only to one whose own bytes are thrown away with it. The life of the connection is the
//! descriptor's: it outlives the session.

use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Token};

use self::pair::Pair;
use self::store::{Place, Store};
use super::exchange::receive_growth;
use super::slots::detach;
use super::*;

mod idle;
mod limits;
mod pair;
mod pump;
mod store;

/// Tokens from here on are socket endpoints', by number.
const FIRST_ENDPOINT: usize = 1 << 62;
/// Endpoints that are pumped in one turn, and bytes moved after which the turn ends.
const PUMPED_PER_TURN: usize = 64;
const BYTES_PER_TURN: usize = 2 << 20;

/// Every socket endpoint.
#[derive(Debug)]
pub(super) struct Endpoints {
    registry: mio::Registry,
    store: Store,
    all: HashMap<EndpointId, Endpoint>,
    /// By token, those whose pair is open.
    numbers: HashMap<usize, EndpointId>,
    next_number: usize,
    /// To be pumped.
    ready: VecDeque<EndpointId>,
    /// Those that worked lately, and when to look whether their rings can go; the earliest first.
    looks: VecDeque<(Instant, EndpointId)>,
}

/// One connection that lives in a socketpair.
#[derive(Debug)]
struct Endpoint {
    /// Who asked for it.
    session: SessionId,
    uid: u32,
    /// Of the stack; whose quotas it counts for.
    account: u32,
    /// `None` once it is over for the holder; what is left is the stack's.
    pair: Option<Pair>,
    number: usize,
    place: Place,
    /// The pair may have bytes for us: edge-triggered.
    readable: bool,
    /// The pair may have room.
    writable: bool,
    /// The poll is asked to tell of room.
    asks_for_room: bool,
    /// The holder has not ended its writing, and nobody else has.
    input: bool,
    /// The holder gets what comes.
    output: bool,
    /// The poll has said that the holder writes no more: what is in the pair is the last.
    ends: bool,
    /// The holder's end is closed.
    hung_up: bool,
    /// It stands in [`Endpoints::ready`].
    queued: bool,
    receive_maximum: u32,
    transmit_maximum: u32,
    /// The receive ring may be let grow once so much was read.
    grow_from: u64,
    /// Pages of its rings may be allocated.
    touched: bool,
    /// It stands in [`Endpoints::looks`].
    watched: bool,
    /// Bytes moved since the last look.
    moved: bool,
    /// Its window is held: [`quotas`].
    held: bool,
    /// What the pair held when it was asked last, bytes.
    in_pair: u64,
    /// It stands among those of its user that hold something.
    filled: bool,
}

/// How the stack is told of the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// CLOSE: FIN after what is queued, RST when something is unread.
    Close,
    /// ABORT: RST.
    Abort,
}

impl Endpoints {
    pub(super) fn new(registry: mio::Registry, ring_maximum: u32) -> Endpoints {
        Endpoints {
            registry,
            store: Store::new(ring_maximum),
            all: HashMap::new(),
            numbers: HashMap::new(),
            next_number: FIRST_ENDPOINT,
            ready: VecDeque::new(),
            looks: VecDeque::new(),
        }
    }

    /// Who holds `endpoint`: the session that asked, and its user. `None` when it has no socket (any more).
    pub(super) fn holder(&self, endpoint: EndpointId) -> Option<(SessionId, u32)> {
        let entry = self.all.get(&endpoint)?;
        entry.pair.as_ref()?;
        Some((entry.session, entry.uid))
    }

    /// How many have a holder.
    pub(super) fn count(&self) -> u64 {
        self.numbers.len() as u64
    }

    /// Memory really allocated to the rings of all of them, in bytes.
    pub(super) fn allocated_bytes(&self) -> u64 {
        self.store.allocated_bytes()
    }

    /// Whether it came here, and has something left here.
    pub(super) fn has(&self, endpoint: EndpointId) -> bool {
        self.all.contains_key(&endpoint)
    }

    /// Whether there is something to do before the thread may sleep.
    pub(super) fn is_busy(&self) -> bool {
        !self.ready.is_empty()
    }

    fn enqueue(&mut self, endpoint: EndpointId) {
        if let Some(entry) = self.all.get_mut(&endpoint)
            && !entry.queued
        {
            entry.queued = true;
            self.ready.push_back(endpoint);
        }
    }
}

/// Whether a token of the poll is a socket endpoint's.
pub(crate) fn is_endpoint(token: Token) -> bool {
    token.0 >= FIRST_ENDPOINT
}

impl Bridge {
    /// The connection leaves its slot and lives on a socketpair, whose other end is the answer.
    pub(super) fn give_socket(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        request_id: u32,
        connection: u64,
    ) -> Option<Reply> {
        let endpoint = match self.own(session, connection) {
            Ok(endpoint) => endpoint,
            Err(reply) => return Some(reply),
        };
        if let Some(reply) = self.pull_or_violate(stack, now, session, endpoint) {
            return Some(reply);
        }
        let theirs = match self.make_socket(stack, now, session, endpoint) {
            Ok(theirs) => theirs,
            Err(refusal) => return Some(refusal.into()),
        };
        self.leave_slot(now, endpoint);
        self.report(Report::Reply {
            session,
            request_id,
            reply: Reply::Stream,
            descriptor: Some(theirs),
        });
        self.pump(stack, now, endpoint);
        None
    }

    /// Makes the pair and moves the bytes. On an error nothing has changed.
    fn make_socket(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        endpoint: EndpointId,
    ) -> Result<OwnedFd, NoSocket> {
        let gone = || std::io::Error::other("it is gone");
        let uid = self
            .sessions
            .get(&session)
            .ok_or_else(gone)?
            .credentials
            .uid;
        let view = stack.view(endpoint).ok_or_else(gone)?;
        let held = self.connections.get(&endpoint).ok_or_else(gone)?;
        let (receive_maximum, transmit_maximum) = (held.receive_maximum, held.transmit_maximum);
        let reads = !held.reading_closed;
        let account = held.account;
        let (pair, theirs) = Pair::open()?;
        self.leaves_descriptors(&pair, account)?;
        let number = self.endpoints.next_number;
        self.endpoints.registry.register(
            &mut SourceFd(&pair.as_fd().as_raw_fd()),
            Token(number),
            Interest::READABLE,
        )?;
        let place = self.endpoints.store.take()?;
        let maximum = (receive_maximum, transmit_maximum);
        let rings = rings_at(&place, self.config, maximum, &view);
        let moved =
            rings.is_some_and(|(receive, send)| stack.attach(now, endpoint, receive, send).is_ok());
        if !moved {
            self.endpoints.store.give_back(place);
            return Err(std::io::Error::other("no ring of that size").into());
        }
        if !reads {
            pair.end_output();
        }
        self.endpoints.next_number += 1;
        self.endpoints.numbers.insert(number, endpoint);
        let holds =
            view.receive.next > view.receive.read || view.send.written > view.send.acknowledged;
        self.endpoints.all.insert(
            endpoint,
            Endpoint {
                session,
                uid,
                account,
                pair: Some(pair),
                number,
                place,
                readable: false,
                writable: true,
                asks_for_room: false,
                input: true,
                output: reads,
                ends: false,
                hung_up: false,
                queued: false,
                receive_maximum,
                transmit_maximum,
                grow_from: 0,
                touched: holds,
                watched: false,
                moved: false,
                held: false,
                in_pair: 0,
                filled: false,
            },
        );
        self.users.socket_opened(account);
        Ok(theirs)
    }

    /// The poll has news of a pair.
    pub(crate) fn on_socket_event(&mut self, event: &mio::event::Event) {
        let endpoints = &mut self.endpoints;
        let Some(&endpoint) = endpoints.numbers.get(&event.token().0) else {
            return;
        };
        if let Some(entry) = endpoints.all.get_mut(&endpoint) {
            entry.readable |= event.is_readable() || event.is_read_closed();
            entry.writable |= event.is_writable();
            entry.ends |= event.is_read_closed();
            entry.hung_up |= event.is_write_closed();
            endpoints.enqueue(endpoint);
        }
    }

    /// Pumps those that have something to do, a bounded number; true when there was one.
    pub(crate) fn pump_sockets(&mut self, stack: &mut DaemonStack, now: Instant) -> bool {
        let turn = self.endpoints.ready.len().min(PUMPED_PER_TURN);
        let mut moved = 0;
        for _ in 0..turn {
            if moved >= BYTES_PER_TURN {
                break;
            }
            if let Some(endpoint) = self.endpoints.ready.pop_front() {
                if let Some(entry) = self.endpoints.all.get_mut(&endpoint) {
                    entry.queued = false;
                }
                moved += self.pump(stack, now, endpoint);
            }
        }
        turn > 0
    }

    /// The holder's end closes, and the stack is told so.
    fn end_of_socket(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
        end: End,
    ) {
        let Some(entry) = self.endpoints.all.get_mut(&endpoint) else {
            return;
        };
        // Closing is all it takes: nobody has a duplicate of our end, so the poll forgets it.
        if entry.pair.take().is_none() {
            return;
        }
        let (account, in_pair) = (entry.account, std::mem::take(&mut entry.in_pair));
        self.endpoints.numbers.remove(&entry.number);
        self.users.socket_closed(account, in_pair);
        match end {
            End::Close => stack.close(now, endpoint).ok(),
            End::Abort => stack.abort(now, endpoint).ok(),
        };
        self.report(Report::SocketClosed {
            connection: endpoint.to_bits(),
        });
        self.settle_socket(stack, now, endpoint);
    }

    /// The stack has forgotten a connection that a holder has: it is over there too.
    pub(super) fn socket_vanished(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) {
        self.end_of_socket(stack, now, endpoint, End::Close);
        self.settle_socket(stack, now, endpoint);
    }

    /// Gives the rings back once the holder is gone and the stack needs none of their bytes.
    pub(super) fn settle_socket(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) {
        let Some(entry) = self.endpoints.all.get(&endpoint) else {
            return;
        };
        let view = stack.view(endpoint);
        let over = view.is_none_or(|view| view.end.is_some());
        let drained = view.is_none_or(|view| view.send.acknowledged == view.send.written);
        if entry.pair.is_some() || !(over || drained) {
            return;
        }
        if let Some(view) = view.filter(|_| !over) {
            detach(stack, now, endpoint, &view);
        } else {
            stack.close(now, endpoint).ok();
        }
        if let Some(entry) = self.endpoints.all.remove(&endpoint) {
            if entry.touched {
                self.counts.punched += entry.place.punch_both();
            }
            self.endpoints.store.give_back(entry.place);
        }
    }
}

/// Why a connection cannot live in a socket.
#[derive(Debug)]
enum NoSocket {
    /// By a rule, which is named.
    Refused(String),
    Failed(std::io::Error),
}

impl From<std::io::Error> for NoSocket {
    fn from(error: std::io::Error) -> Self {
        NoSocket::Failed(error)
    }
}

impl From<NoSocket> for Reply {
    fn from(refusal: NoSocket) -> Self {
        match refusal {
            NoSocket::Refused(rule) => Reply::error(ErrorCode::QuotaExceeded, rule),
            NoSocket::Failed(error) => {
                let detail = format!("no socket for the connection: {error}");
                Reply::error(ErrorCode::InsufficientResources, detail)
            }
        }
    }
}

/// Rings at `place` for a connection that looks like this.
fn rings_at(
    place: &Place,
    config: BridgeConfig,
    (receive_maximum, transmit_maximum): (u32, u32),
    view: &View,
) -> Option<(ConnectionRing, ConnectionRing)> {
    let ring = |direction, held: u32, sizes: RingSizes, base| {
        let capacity = held.max(sizes.initial.min(sizes.maximum));
        let arena = Arc::clone(place.arena());
        let ring = SharedRing::new(arena, place.slot(), direction, capacity, base)?;
        Some(ConnectionRing::own(ring, sizes.maximum))
    };
    let receive = RingSizes {
        maximum: receive_maximum,
        ..config.receive
    };
    let transmit = RingSizes {
        maximum: transmit_maximum,
        ..config.transmit
    };
    Some((
        ring(
            Direction::Receive,
            view.receive.capacity,
            receive,
            view.receive.read,
        )?,
        ring(
            Direction::Transmit,
            view.send.capacity,
            transmit,
            view.send.acknowledged,
        )?,
    ))
}
