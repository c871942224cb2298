//! What becomes of a request: checked against the policy, then answered here, or handed to the stack thread.

use std::os::fd::OwnedFd;
use std::time::Duration;

use libtcpclient::protocol::{ErrorCode, Failure, Reply, Request};
use tcpd_core::stack::EndpointId;
use tcpd_core::time::Instant;

use super::super::orders::{Credentials, Order, SessionId};
use super::clients::{Client, End};
use super::settings;
use super::tables::Purpose;
use super::waiting::Waiting;
use super::{ControlLoop, Spawner};
use crate::ipc::policy::Kind;

impl<W: Spawner> ControlLoop<W> {
    /// A request of a session that has said Hello.
    pub(super) fn on_request(
        &mut self,
        now: Instant,
        id: SessionId,
        number: u32,
        request: Request,
    ) -> Result<(), End> {
        self.counts.busy_since_memory_check = true;
        match self.admit(id, number, &request) {
            Ok(()) => self.dispatch(now, id, number, request),
            Err(failure) => {
                self.counts.refused += 1;
                self.reply(id, number, Reply::Error(failure))
            }
        }
    }

    /// Policy, limits, and what a stopping daemon still does.
    fn admit(&self, id: SessionId, number: u32, request: &Request) -> Result<(), Failure> {
        let refuse = |code, detail: String| Err(Failure { code, detail });
        let Some(Client {
            session,
            waiting,
            waits_for_table,
            ..
        }) = self.clients.get(id)
        else {
            return Ok(());
        };
        self.policy.check(
            session.administrator,
            session.kind.unwrap_or(Kind::Control),
            request,
        )?;
        if waiting.contains_key(&number) {
            return refuse(
                ErrorCode::BadRequest,
                format!("request {number} is still waiting for its answer"),
            );
        }
        let most = self.config.limits.requests_per_session;
        if waiting.len() >= most as usize {
            let rule =
                format!("rule limits.requests_per_session: {most} requests are waiting already");
            return refuse(ErrorCode::TooManyRequests, rule);
        }
        if is_for_a_table(request) && *waits_for_table {
            let rule = "one list, table or daemon status at a time in a session".to_owned();
            return refuse(ErrorCode::TooManyRequests, rule);
        }
        if self.stop.is_some() && matches!(request, Request::Listen(_) | Request::Connect(_)) {
            return refuse(ErrorCode::Draining, String::new());
        }
        Ok(())
    }

    fn dispatch(
        &mut self,
        now: Instant,
        id: SessionId,
        number: u32,
        request: Request,
    ) -> Result<(), End> {
        match request {
            Request::Ping => {
                let pong = Reply::Pong {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    pid: std::process::id(),
                    uptime_ms: self.uptime_ms(now),
                };
                self.reply(id, number, pong)
            }
            Request::Adopt => self.adopt(id, number),
            Request::List { filter, cursor } => self.list(now, id, number, filter, cursor),
            Request::Listeners { filter, cursor } => {
                self.ask(id, number, Purpose::Listeners { filter, cursor })
            }
            Request::Show { id: name } => {
                self.about(id, number, &name, |endpoint| Purpose::Show { endpoint })
            }
            Request::ConnectionStatus { connection } => {
                let endpoint = EndpointId::from_bits(connection);
                self.ask(id, number, Purpose::ConnectionStatus { endpoint })
            }
            Request::Stats { cursor } => self.ask(id, number, Purpose::Stats { cursor }),
            Request::Services { cursor } => self.ask(id, number, Purpose::Services { cursor }),
            Request::Sessions { cursor } => self.ask(id, number, Purpose::Sessions { cursor }),
            Request::Users { cursor } => self.ask(id, number, Purpose::Users { cursor }),
            Request::Impair(impair) => self.impair(id, number, &impair),
            Request::Impairments { cursor } => {
                self.ask(id, number, Purpose::Impairments { cursor })
            }
            Request::DaemonStatus => self.ask(id, number, Purpose::DaemonStatus),
            Request::ControlClose { id: name } => {
                self.about(id, number, &name, |endpoint| Purpose::End {
                    endpoint,
                    reset: false,
                })
            }
            Request::ControlReset { id: name } => {
                self.about(id, number, &name, |endpoint| Purpose::End {
                    endpoint,
                    reset: true,
                })
            }
            Request::ControlSet { id: name, settings } => match settings::parse(&settings) {
                Ok(change) => self.about(id, number, &name, |endpoint| Purpose::Set {
                    endpoint,
                    change,
                }),
                Err(wrong) => self.reply(id, number, Reply::error(ErrorCode::BadRequest, wrong)),
            },
            Request::Listen(mut listen) => {
                if listen.backlog == 0 {
                    listen.backlog = self.config.limits.backlog;
                }
                self.hand_over(id, number, Request::Listen(listen));
                Ok(())
            }
            Request::Reload => {
                self.ask_to_reload(now, Some((id, number)));
                Ok(())
            }
            Request::Drain { grace_ms } => {
                let grace = grace_ms.map(|ms| Duration::from_millis(ms.into()));
                let reply = self.drain(now, grace);
                self.reply(id, number, reply)
            }
            Request::AdoptHandoff { token } => self.adopt_handoff(now, id, number, token),
            Request::HandOff { .. } => self.hand_off(id, number, request),
            Request::ErrorStream => self.give_error_stream(id, number),
            Request::Hello(_)
            | Request::CloseListener { .. }
            | Request::Accept { .. }
            | Request::CancelAccept { .. }
            | Request::Connect(_)
            | Request::Shutdown { .. }
            | Request::Close { .. }
            | Request::Abort { .. }
            | Request::SetOptions { .. }
            | Request::GrowTransmit { .. }
            | Request::IntoSocket { .. } => {
                self.hand_over(id, number, request);
                Ok(())
            }
        }
    }

    /// The stack thread answers this one.
    pub(super) fn hand_over(&mut self, id: SessionId, number: u32, request: Request) {
        self.wait_for_answer(id, number, Waiting::of(&request));
        self.order(Order::Request {
            session: id,
            request_id: number,
            request,
        });
    }

    /// A worker takes its connection.
    fn adopt(&mut self, id: SessionId, number: u32) -> Result<(), End> {
        let grant = self
            .clients
            .get_mut(id)
            .and_then(|client| client.grant.as_mut());
        match grant {
            Some(grant) if !grant.adopted => {
                grant.adopted = true;
                let endpoint = grant.endpoint;
                self.wait_for_answer(id, number, Waiting::Other);
                self.order(Order::Adopt {
                    session: id,
                    request_id: number,
                    endpoint,
                });
                Ok(())
            }
            _ => self.reply(
                id,
                number,
                Reply::error(
                    ErrorCode::BadToken,
                    "the token's connection was adopted already",
                ),
            ),
        }
    }

    /// A request about the endpoint with this name.
    fn about(
        &mut self,
        id: SessionId,
        number: u32,
        name: &str,
        purpose: impl FnOnce(EndpointId) -> Purpose,
    ) -> Result<(), End> {
        match name.parse() {
            Ok(endpoint) => self.ask(id, number, purpose(endpoint)),
            Err(_) => {
                let detail = format!("{name:?} is not the id of a connection, as in 17.3");
                self.reply(
                    id,
                    number,
                    Reply::error(ErrorCode::NoSuchConnection, detail),
                )
            }
        }
    }

    /// The request waits for a report with its answer.
    pub(super) fn wait_for_answer(&mut self, id: SessionId, number: u32, waiting: Waiting) {
        if let Some(client) = self.clients.get_mut(id) {
            client.waiting.insert(number, waiting);
            client.waits_for_table |= waiting == Waiting::Table;
        }
    }

    /// Answers a request at once.
    pub(super) fn reply(&mut self, id: SessionId, number: u32, reply: Reply) -> Result<(), End> {
        let Some(client) = self.clients.get_mut(id) else {
            return Ok(());
        };
        self.refusals.note(client.session.identity.uid, &reply);
        client.session.send(reply.encode(number)).map_err(End::of)?;
        self.limit_unread(id)
    }

    /// Answers a request that has waited. This is outside of the reading of messages: the session ends here if it must.
    pub(super) fn reply_later(&mut self, id: SessionId, number: u32, reply: Reply) {
        self.reply_later_with(id, number, reply, None);
    }

    /// The same with what [`Reply::Stream`] carries.
    pub(super) fn reply_later_with(
        &mut self,
        id: SessionId,
        number: u32,
        reply: Reply,
        descriptor: Option<OwnedFd>,
    ) {
        self.handoffs.answered(id, number);
        let left = self
            .clients
            .get_mut(id)
            .and_then(|client| client.waiting.remove(&number));
        if let (Some(Waiting::Leaves(connection)), Reply::Stream) = (left, &reply) {
            self.clients.socket_opened(id, connection);
        }
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if left == Some(Waiting::Table) {
            client.waits_for_table = false;
        }
        let uid = client.session.identity.uid;
        self.counts.refused += u64::from(self.refusals.note(uid, &reply));
        let descriptors = descriptor.into_iter().collect();
        let sent = client.session.send_with(reply.encode(number), descriptors);
        if let Err(end) = sent.map_err(End::of).and_then(|()| self.limit_unread(id)) {
            self.end_session(id, end);
        }
    }

    /// Who a session is, for the stack thread.
    pub(super) fn credentials(&self, id: SessionId) -> Credentials {
        let session = self.clients.get(id).map(|client| &client.session);
        session.map_or(
            Credentials {
                uid: u32::MAX,
                all: false,
            },
            |session| Credentials {
                uid: session.identity.uid,
                all: session.administrator,
            },
        )
    }

    pub(super) fn uptime_ms(&self, now: Instant) -> u64 {
        now.duration_since(self.started)
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX)
    }
}

/// Whether the answer is made from a whole table of the stack thread.
fn is_for_a_table(request: &Request) -> bool {
    matches!(
        request,
        Request::List { .. }
            | Request::Listeners { .. }
            | Request::Stats { .. }
            | Request::Services { .. }
            | Request::Sessions { .. }
            | Request::Users { .. }
            | Request::DaemonStatus
    )
}
