//! The sessions open, who has something to read, and how many each user has.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use libtcpclient::protocol::{ErrorCode, Event, Failure, Reply};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use tcpd_core::stack::EndpointId;
use tcpd_core::time::Instant;

use super::super::orders::{ServiceIndex, SessionId};
use super::sockets::{Holder, Sockets};
use super::tally::Tally;
use super::unread::UnreadOfUsers;
use super::waiting::Waiting;
use super::{pidfd_token, socket_token};
use crate::ipc::policy::Kind;
use crate::ipc::session::{EndedBy, MOST_QUEUED, Session};
use crate::services::link::JobId;

/// A worker's right to its connection, until it adopts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) endpoint: EndpointId,
    pub(super) adopted: bool,
    pub(super) service: ServiceIndex,
    pub(super) service_name: String,
    pub(super) job: JobId,
    /// It is a command's, and has not asked for its error stream.
    pub(super) may_have_errors: bool,
}

/// A session and what the loop knows about it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) session: Session,
    /// Requests that wait for their answer, by number.
    pub(super) waiting: HashMap<u32, Waiting>,
    /// A table was asked for and has not come.
    pub(super) waits_for_table: bool,
    /// For a worker's session.
    pub(super) grant: Option<Grant>,
    /// The stack thread knows it.
    pub(super) has_arena: bool,
    /// Its connector has ended: what it said before still counts, then it is over.
    pub(super) connector_gone: bool,
    /// It has closed its bell, and nothing else for [`BELL_GRACE`]: likewise.
    pub(super) bell_closed: bool,
    /// Messages taken since its connector is gone.
    since_gone: u32,
    /// Its user has limits.
    pub(super) limited: bool,
    /// It counts as one of its user's sessions.
    pub(super) counted: bool,
    ready: bool,
}

impl Client {
    /// Whether the message that has come now was said by somebody else, who holds the socket of a process that is gone: what
    /// that process said itself, the kernel's queue has held.
    pub(super) fn is_after_its_end(&mut self) -> bool {
        self.since_gone += u32::from(self.connector_gone);
        self.since_gone > MOST_QUEUED
    }
}

/// Why a session ends, and the last word it hears.
#[derive(Debug)]
pub(super) struct End {
    pub(super) by: EndedBy,
    pub(super) word: Option<Vec<u8>>,
    /// For the log.
    pub(super) detail: String,
}

impl End {
    /// Nobody is there to hear anything.
    pub(super) fn silent(by: EndedBy) -> Self {
        Self {
            by,
            word: None,
            detail: String::new(),
        }
    }

    /// A read said so.
    pub(super) fn of(by: EndedBy) -> Self {
        match by {
            EndedBy::Client | EndedBy::ConnectorGone | EndedBy::SocketError => Self::silent(by),
            _ => Self::because(by, by.help()),
        }
    }

    /// The client is told why, unasked.
    pub(super) fn because(by: EndedBy, detail: &str) -> Self {
        let code = match by {
            EndedBy::Quota => ErrorCode::QuotaExceeded,
            EndedBy::Stopping => ErrorCode::Draining,
            EndedBy::NoHello | EndedBy::HelloTimeout => ErrorCode::HelloExpected,
            EndedBy::UnknownMessage => ErrorCode::UnknownRequest,
            EndedBy::UnreadReplies => ErrorCode::TooManyRequests,
            EndedBy::Daemon => ErrorCode::Internal,
            _ => ErrorCode::BadRequest,
        };
        let failure = Failure {
            code,
            detail: detail.to_owned(),
        };
        Self {
            by,
            word: Some(Event::SessionEnding(failure).encode()),
            detail: detail.to_owned(),
        }
    }

    /// The client is told why in answer to its request.
    pub(super) fn answer(by: EndedBy, number: u32, code: ErrorCode, detail: &str) -> Self {
        Self {
            by,
            word: Some(Reply::error(code, detail).encode(number)),
            detail: detail.to_owned(),
        }
    }
}

/// A client that closes its bell has so long to close its socket too; then that is why its session ends.
const BELL_GRACE: Duration = Duration::from_millis(100);

/// Sessions by their number.
#[derive(Debug)]
pub(super) struct Clients {
    registry: Registry,
    clients: HashMap<SessionId, Client>,
    ready: VecDeque<SessionId>,
    /// Of those that have not said Hello, the oldest first.
    hello_deadlines: VecDeque<(Instant, SessionId)>,
    /// Of those whose bell is closed, the oldest first.
    bell_deadlines: VecDeque<(Instant, SessionId)>,
    /// Sessions of users that have limits, workers not among them.
    per_uid: Tally,
    /// Those of such users that have not said Hello, and may turn out workers.
    greeting: Tally,
    /// Answers that are not read.
    pub(super) unread: UnreadOfUsers,
    /// Connections that have left their sessions.
    sockets: Sockets,
    /// Sessions that are over but count until the stack has released their arena.
    unreleased: HashMap<SessionId, u32>,
    next_id: SessionId,
}

impl Clients {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            clients: HashMap::new(),
            ready: VecDeque::new(),
            hello_deadlines: VecDeque::new(),
            bell_deadlines: VecDeque::new(),
            per_uid: Tally::default(),
            greeting: Tally::default(),
            unread: UnreadOfUsers::default(),
            sockets: Sockets::default(),
            unreleased: HashMap::new(),
            next_id: 1,
        }
    }

    /// The number of the next session.
    pub(super) fn next_id(&mut self) -> SessionId {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Takes a session in and watches its socket and its connector.
    pub(super) fn add(
        &mut self,
        session: Session,
        limited: bool,
        hello_timeout: Duration,
    ) -> io::Result<()> {
        let id = session.id;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry
            .register(&mut SourceFd(&session.as_raw_fd()), socket_token(id), both)?;
        if let Some(pidfd) = session.pidfd() {
            self.registry
                .register(&mut SourceFd(&pidfd), pidfd_token(id), Interest::READABLE)?;
        }
        self.hello_deadlines
            .push_back((session.opened + hello_timeout, id));
        let client = Client {
            session,
            waiting: HashMap::new(),
            waits_for_table: false,
            grant: None,
            has_arena: false,
            connector_gone: false,
            bell_closed: false,
            since_gone: 0,
            limited,
            counted: false,
            ready: false,
        };
        if limited {
            self.greeting.more(client.session.identity.uid);
        }
        self.clients.insert(id, client);
        // It may have written before it was registered.
        self.mark_ready(id);
        Ok(())
    }

    /// Takes a session out; its descriptors are watched no more.
    pub(super) fn remove(&mut self, id: SessionId) -> Option<Client> {
        let client = self.clients.remove(&id)?;
        if client.limited && client.session.kind.is_none() {
            self.greeting.less(client.session.identity.uid, 1);
        }
        // Before they are closed: a duplicate that somebody else holds would keep them registered.
        for descriptor in [Some(client.session.as_raw_fd()), client.session.pidfd()]
            .into_iter()
            .flatten()
        {
            if let Err(error) = self.registry.deregister(&mut SourceFd(&descriptor)) {
                tracing::debug!(session = id, %error, "a descriptor was not watched");
            }
        }
        Some(client)
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Client> {
        self.clients.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Client> {
        self.clients.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }

    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.clients.keys().copied().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.clients.len()
    }

    /// It may have a message.
    pub(super) fn mark_ready(&mut self, id: SessionId) {
        if let Some(client) = self.clients.get_mut(&id)
            && !client.ready
        {
            client.ready = true;
            self.ready.push_back(id);
        }
    }

    /// The next of those that may have a message.
    pub(super) fn next_ready(&mut self) -> Option<SessionId> {
        let id = self.ready.pop_front()?;
        if let Some(client) = self.clients.get_mut(&id) {
            client.ready = false;
        }
        Some(id)
    }

    pub(super) fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// When the oldest session without Hello has had its time.
    pub(super) fn next_hello_deadline(&self) -> Option<Instant> {
        self.hello_deadlines.front().map(|(at, _)| *at)
    }

    /// A session says Hello, and what it is.
    pub(super) fn says_hello(&mut self, id: SessionId, kind: Kind, program: String) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let uid = client.session.identity.uid;
        if client.limited && client.session.kind.is_none() {
            self.greeting.less(uid, 1);
            // A worker is one of its service's `max_workers`, not one of its user's sessions.
            if kind != Kind::Worker {
                client.counted = true;
                self.per_uid.more(uid);
            }
        }
        client.session.kind = Some(kind);
        client.session.program = program;
        self.forget_hellos();
    }

    /// The deadlines of Hellos that were said, or will not be, count no more: the oldest, up to one that is waited for.
    fn forget_hellos(&mut self) {
        let clients = &self.clients;
        let waits = |id: &SessionId| {
            clients
                .get(id)
                .is_some_and(|client| client.session.kind.is_none())
        };
        while self
            .hello_deadlines
            .front()
            .is_some_and(|(_, id)| !waits(id))
        {
            self.hello_deadlines.pop_front();
        }
    }

    /// A session that has not said Hello in its time.
    pub(super) fn hello_overdue(&mut self, now: Instant) -> Option<SessionId> {
        self.forget_hellos();
        let (at, id) = *self.hello_deadlines.front()?;
        (at <= now).then(|| {
            self.hello_deadlines.pop_front();
            id
        })
    }

    /// The client has closed its bell.
    pub(super) fn bell_closed(&mut self, now: Instant, id: SessionId) {
        self.bell_deadlines.push_back((now + BELL_GRACE, id));
    }

    /// When the next client with a closed bell has had its grace.
    pub(super) fn next_bell_deadline(&self) -> Option<Instant> {
        self.bell_deadlines.front().map(|(at, _)| *at)
    }

    /// Those that have had their grace are looked at once more, and then it is over.
    pub(super) fn on_bell_deadline(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.bell_deadlines.front() {
            match self.clients.get_mut(&id) {
                Some(_) if at > now => return,
                Some(client) => client.bell_closed = true,
                None => {}
            }
            self.bell_deadlines.pop_front();
            self.mark_ready(id);
        }
    }

    /// A connection of this session lives in a socket from now on.
    pub(super) fn socket_opened(&mut self, id: SessionId, connection: u64) {
        if let Some(client) = self.clients.get(&id) {
            self.sockets.opened(connection, Holder::of(client));
        }
    }

    /// Nobody holds that socket any more.
    pub(super) fn socket_closed(&mut self, connection: u64) {
        self.sockets.closed(connection);
    }

    /// Who asked for the socket that this connection lives in.
    pub(super) fn holder(&self, connection: u64) -> Option<&Holder> {
        self.sockets.holder(connection)
    }

    /// Sessions of a user that count.
    pub(super) fn of_user(&self, uid: u32) -> u32 {
        self.per_uid.of(uid)
    }

    /// Those of a user with limits that have not said Hello.
    pub(super) fn greeting_of(&self, uid: u32) -> u32 {
        self.greeting.of(uid)
    }

    /// One less.
    pub(super) fn discount_user(&mut self, uid: u32) {
        self.per_uid.less(uid, 1);
    }

    /// A session that is over counts as one of its user's until [`Clients::released`].
    pub(super) fn count_until_released(&mut self, id: SessionId, uid: u32) {
        self.unreleased.insert(id, uid);
    }

    /// The stack needs nothing of that session any more.
    pub(super) fn released(&mut self, id: SessionId) {
        if let Some(uid) = self.unreleased.remove(&id) {
            self.discount_user(uid);
        }
    }
}
