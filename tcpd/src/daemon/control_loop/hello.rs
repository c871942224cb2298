//! How a session begins and ends.
//!
//! 1. When it connects its user must not have too many that have not said Hello.
//! 2. Its first message must be a Hello of our version.
//! 3. A token makes it a worker's; otherwise it is a client's, or (without arena) one that only looks, and one more of its user's.
//! 4. It gets its arena and bells, and the stack thread hears of it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use libtcpclient::protocol::{ErrorCode, Header, Hello, Reply, Request, VERSION, Welcome};
use libtcpclient::shm::Layout;
use libtcpclient::socket::Seqpacket;
use tcpd_core::stack::EndpointId;
use tcpd_core::time::Instant;

use super::super::orders::{Credentials, Order, SessionId};
use super::clients::{End, Grant};
use super::{ControlLoop, Spawner};
use crate::ipc::arena;
use crate::ipc::credentials::{Identity, command_name};
use crate::ipc::policy::Kind;
use crate::ipc::session::{EndedBy, Session};

/// Kind of Hello on the wire; with the version after the header, it will stay so in every version.
const HELLO: u16 = 0x0001;

impl<W: Spawner> ControlLoop<W> {
    /// A client has connected.
    pub(super) fn welcome(
        &mut self,
        now: Instant,
        socket: Seqpacket,
        identity: Identity,
        pidfd: Option<OwnedFd>,
    ) {
        let (id, uid) = (self.clients.next_id(), identity.uid);
        let administrator = self.policy.is_administrator(&identity);
        let unread = self.clients.unread.of(uid);
        let unread = unread.limited_to(self.config.limits.unread_bytes_per_session);
        let session = Session::new(id, identity, administrator, socket, pidfd, unread, now);
        self.counts.sessions += 1;
        let limited = self.is_limited(uid);
        let most = self.config.limits.sessions_per_uid;
        if limited && self.clients.greeting_of(uid) >= most {
            let rule = format!(
                "rule limits.sessions_per_uid: {most} sessions of this user have not said Hello"
            );
            self.refusals.note_detail(uid, &rule);
            let end = End::because(EndedBy::Quota, &rule);
            *self.counts.ended.entry(end.by).or_insert(0) += 1;
            return session.end(end.word);
        }
        let hello_timeout = self.config.control.hello_timeout;
        if let Err(error) = self.clients.add(session, limited, hello_timeout) {
            self.counts.complain(
                now,
                || tracing::error!(%error, "a client cannot be watched"),
            );
            self.end_session(id, End::silent(EndedBy::Daemon));
        }
    }

    /// The first message of a session, `length` bytes in the buffer: Hello, or the end.
    pub(super) fn on_first_message(
        &mut self,
        now: Instant,
        id: SessionId,
        length: usize,
    ) -> Result<(), End> {
        let message = &self.buffer[..length];
        let header = Header::peek(message);
        if let Some(header) = header.filter(|header| header.kind == HELLO)
            && let Some(version) = message
                .get(8..10)
                .map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
            && version != VERSION
        {
            let detail =
                format!("the daemon speaks version {VERSION}, the client version {version}");
            return Err(End::answer(
                EndedBy::Version,
                header.request,
                ErrorCode::VersionMismatch,
                &detail,
            ));
        }
        match Request::decode(message) {
            Ok((number, Request::Hello(hello))) => self.on_hello(now, id, number, hello),
            Ok(_) => Err(End::because(
                EndedBy::NoHello,
                "a session begins with Hello",
            )),
            Err(error) => Err(End::because(error.into(), &error.to_string())),
        }
    }

    fn on_hello(
        &mut self,
        now: Instant,
        id: SessionId,
        number: u32,
        hello: Hello,
    ) -> Result<(), End> {
        let kind = match (hello.token, hello.arena) {
            (Some(_), true) => Kind::Worker,
            (Some(_), false) => {
                let detail = "a token is for a session with an arena";
                return Err(End::answer(
                    EndedBy::Token,
                    number,
                    ErrorCode::BadRequest,
                    detail,
                ));
            }
            (None, true) => Kind::Client,
            (None, false) => Kind::Control,
        };
        if self.stop.is_some() && kind == Kind::Client {
            return Err(End::answer(
                EndedBy::Stopping,
                number,
                ErrorCode::Draining,
                "the daemon is stopping",
            ));
        }
        let Some(client) = self.clients.get_mut(id) else {
            return Ok(());
        };
        let (uid, pid) = (client.session.identity.uid, client.session.identity.pid);
        let limited = client.limited;
        let grant = hello.token.map(|token| {
            let pid = i32::try_from(pid).unwrap_or(0);
            let failed = &mut self.failed_tokens;
            let adopted = self.services.hello_with_token(now, token, uid, pid, failed);
            adopted.map_err(|refusal| {
                End::answer(
                    EndedBy::Token,
                    number,
                    ErrorCode::BadToken,
                    &refusal.to_string(),
                )
            })
        });
        let most = self.config.limits.sessions_per_uid;
        if grant.is_none() && limited && self.clients.of_user(uid) >= most {
            let rule =
                format!("rule limits.sessions_per_uid: this user has {most} sessions already");
            let code = ErrorCode::QuotaExceeded;
            return Err(End::answer(EndedBy::Quota, number, code, &rule));
        }
        let Some(client) = self.clients.get_mut(id) else {
            return Ok(());
        };
        client.grant = grant.transpose()?.map(|adopted| Grant {
            endpoint: EndpointId::from_bits(adopted.connection),
            adopted: false,
            service: adopted.service,
            service_name: adopted.name,
            job: adopted.job,
            may_have_errors: adopted.command,
        });
        let program = match hello.program {
            name if name.is_empty() => command_name(pid).unwrap_or_default(),
            name => name,
        };
        self.clients.says_hello(id, kind, program);
        self.open_session(now, id, number, kind)
    }

    /// Answers Hello, with an arena if it is to have connections.
    fn open_session(
        &mut self,
        now: Instant,
        id: SessionId,
        number: u32,
        kind: Kind,
    ) -> Result<(), End> {
        let mut welcome = Welcome {
            version: VERSION,
            stack_threads: 0,
            slots: 0,
            ring_maximum: 0,
            session: id,
            daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut descriptors = Vec::new();
        if kind != Kind::Control {
            let layout = self.layout_for(kind);
            (welcome.stack_threads, welcome.slots, welcome.ring_maximum) = (
                layout.stack_threads(),
                layout.slots(),
                layout.ring_maximum(),
            );
            descriptors = self.give_arena(now, id, number, kind, layout)?;
        }
        let Some(client) = self.clients.get_mut(id) else {
            return Ok(());
        };
        client
            .session
            .send_with(Reply::Welcome(welcome).encode(number), descriptors)
            .map_err(End::silent)
    }

    /// A worker has one connection and needs no more room than that.
    fn layout_for(&self, kind: Kind) -> Layout {
        let one = || Layout::new(self.layout.stack_threads(), 1, self.layout.ring_maximum()).ok();
        match kind {
            Kind::Worker => one().unwrap_or(self.layout),
            Kind::Client | Kind::Control => self.layout,
        }
    }

    fn give_arena(
        &mut self,
        now: Instant,
        id: SessionId,
        number: u32,
        kind: Kind,
        layout: Layout,
    ) -> Result<Vec<OwnedFd>, End> {
        let made = arena::make(layout).map_err(|error| {
            self.counts
                .complain(now, || tracing::error!(%error, "no arena for a session"));
            End::answer(
                EndedBy::Daemon,
                number,
                ErrorCode::InsufficientResources,
                &error.to_string(),
            )
        })?;
        let Some(client) = self.clients.get_mut(id) else {
            return Ok(Vec::new());
        };
        client.has_arena = true;
        let credentials = Credentials {
            uid: client.session.identity.uid,
            all: client.session.administrator,
        };
        let account = (kind != Kind::Worker).then_some(credentials.uid);
        self.memory.add(id, account, Arc::clone(&made.arena));
        if self.memory_check.is_none() {
            self.schedule_memory_check(now);
        }
        // One stack thread in this version, so one bell.
        for bell in made.bells {
            let (arena, worker) = (Arc::clone(&made.arena), kind == Kind::Worker);
            self.order(Order::SessionOpened {
                session: id,
                arena,
                bell,
                credentials,
                worker,
            });
        }
        Ok(made.for_client)
    }

    /// The end of a session, for whatever reason: the client hears the last word, the stack thread settles its
    /// connections, a worker's connection that it did not adopt is reset.
    pub(super) fn end_session(&mut self, id: SessionId, end: End) {
        let Some(client) = self.clients.remove(id) else {
            return;
        };
        *self.counts.ended.entry(end.by).or_insert(0) += 1;
        self.inspections.forget(id);
        self.handoffs.forget(id);
        let identity = &client.session.identity;
        self.refusals.note_detail(identity.uid, &end.detail);
        let (pid, uid, program) = (identity.pid, identity.uid, client.session.program.as_str());
        match end.by {
            EndedBy::Client | EndedBy::ConnectorGone | EndedBy::Stopping => {
                tracing::debug!(
                    session = id,
                    pid,
                    uid,
                    program,
                    why = end.by.name(),
                    "a session has ended"
                );
            }
            by => self.counts.complain(super::clock::now(), || {
                tracing::warn!(
                    session = id,
                    pid,
                    uid,
                    program,
                    why = by.name(),
                    detail = end.detail,
                    "a session was ended"
                );
            }),
        }
        if let Some(grant) = client.grant.as_ref().filter(|grant| !grant.adopted) {
            self.order(Order::AbortUnclaimed {
                endpoint: grant.endpoint,
            });
        }
        if client.has_arena {
            self.order(Order::SessionClosed { session: id });
        }
        // With an arena it counts until the stack has released that.
        match (client.counted, client.has_arena) {
            (true, true) => self.clients.count_until_released(id, uid),
            (true, false) => self.clients.discount_user(uid),
            (false, _) => {}
        }
        client.session.end(end.word);
    }
}
