//! Connections on their way from one program to another: who may take them, and until when.
//!
//! 1. A program hands a connection off; the stack thread takes it out of its slot.
//! 2. The program gets a token for it, good once, for one user, for `control.handoff_timeout`.
//! 3. Another session brings the token, and the stack thread gives it the connection. When that has no room for it the token
//!    stays good.
//! 4. A connection whose token nobody has brought in time is reset.

use std::collections::{HashMap, HashSet};

use libtcpclient::protocol::{ErrorCode, Failure, Reply, Request};
use tcpd_core::stack::EndpointId;
use tcpd_core::time::Instant;

use super::super::orders::{Order, SessionId};
use super::clients::End;
use super::tally::Tally;
use super::waiting::Waiting;
use super::{ControlLoop, Spawner};
use crate::ipc::session::EndedBy;
use crate::tokens::{Refusal, Tokens};

/// Hand-offs under way.
#[derive(Debug, Default)]
pub(super) struct Handoffs {
    tokens: Tokens<EndpointId>,
    waiting: HashMap<EndpointId, Given>,
    /// Asked for, and not answered by the stack thread: by session, its user and the requests.
    begun: HashMap<SessionId, (u32, HashSet<u32>)>,
    /// Both together, by who gave them away.
    of_user: Tally,
    pub(super) counts: HandoffCounts,
}

/// A connection that waits.
#[derive(Debug, Clone, Copy)]
struct Given {
    /// Who gave it away.
    giver: u32,
    /// Who may take it.
    taker: u32,
    token: [u8; 16],
    end: Instant,
}

/// What becomes of hand-offs.
#[derive(Debug, Default)]
pub(super) struct HandoffCounts {
    pub(super) begun: u64,
    pub(super) adopted: u64,
    pub(super) expired: u64,
}

impl Handoffs {
    /// Connections that wait.
    pub(super) fn count(&self) -> usize {
        self.waiting.len()
    }

    /// Tokens that are good now.
    pub(super) fn tokens(&self) -> usize {
        self.tokens.count()
    }

    /// When the next one has waited for too long.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.tokens.next_deadline()
    }

    /// The session is over: nobody waits for its answers.
    pub(super) fn forget(&mut self, session: SessionId) {
        if let Some((uid, requests)) = self.begun.remove(&session) {
            self.of_user.less(uid, requests.len() as u32);
        }
    }

    fn begin(&mut self, session: SessionId, number: u32, uid: u32) {
        let (_, requests) = self
            .begun
            .entry(session)
            .or_insert_with(|| (uid, HashSet::new()));
        if requests.insert(number) {
            self.of_user.more(uid);
        }
    }

    /// That request is answered.
    pub(super) fn answered(&mut self, session: SessionId, number: u32) {
        if let Some((uid, requests)) = self.begun.get_mut(&session) {
            if requests.remove(&number) {
                self.of_user.less(*uid, 1);
            }
            if requests.is_empty() {
                self.begun.remove(&session);
            }
        }
    }

    fn waits(&mut self, endpoint: EndpointId, given: Given) {
        self.of_user.more(given.giver);
        self.waiting.insert(endpoint, given);
    }

    fn waits_no_more(&mut self, endpoint: EndpointId) {
        if let Some(given) = self.waiting.remove(&endpoint) {
            self.of_user.less(given.giver, 1);
        }
    }

    /// What a user has given away that waits, or will.
    pub(super) fn of_user(&self, uid: u32) -> u32 {
        self.of_user.of(uid)
    }
}

impl<W: Spawner> ControlLoop<W> {
    /// A program gives a connection away.
    pub(super) fn hand_off(
        &mut self,
        id: SessionId,
        number: u32,
        request: Request,
    ) -> Result<(), End> {
        let Some(client) = self.clients.get(id) else {
            return Ok(());
        };
        let uid = client.session.identity.uid;
        let most = self.config.limits.handoffs_per_uid;
        if self.is_limited(uid) && self.handoffs.of_user(uid) >= most {
            self.counts.refused += 1;
            let detail = format!("rule limits.handoffs_per_uid: this user has {most} already");
            return self.reply(id, number, Reply::error(ErrorCode::QuotaExceeded, detail));
        }
        self.handoffs.begin(id, number, uid);
        self.hand_over(id, number, request);
        Ok(())
    }

    /// The stack thread has taken it out of its slot.
    pub(super) fn on_handed_off(
        &mut self,
        now: Instant,
        id: SessionId,
        number: u32,
        endpoint: EndpointId,
        taker: Option<u32>,
    ) {
        let life = self.config.control.handoff_timeout;
        let giver = self
            .clients
            .get(id)
            .map(|client| client.session.identity.uid);
        let Some(giver) = giver else {
            // Nobody is there to pass the token on.
            return self.order(Order::AbortHandoff { endpoint });
        };
        let (taker, end) = (taker.unwrap_or(giver), now + life);
        let reply = match self.handoffs.tokens.issue(end, endpoint, taker) {
            Ok(token) => {
                let given = Given {
                    giver,
                    taker,
                    token,
                    end,
                };
                self.handoffs.waits(endpoint, given);
                self.handoffs.counts.begun += 1;
                let life_ms = u32::try_from(life.as_millis()).unwrap_or(u32::MAX);
                Reply::HandedOff { token, life_ms }
            }
            Err(error) => {
                self.order(Order::AbortHandoff { endpoint });
                Reply::error(ErrorCode::Internal, format!("no token: {error}"))
            }
        };
        self.reply_later(id, number, reply);
    }

    /// A program comes for a connection.
    pub(super) fn adopt_handoff(
        &mut self,
        now: Instant,
        id: SessionId,
        number: u32,
        token: [u8; 16],
    ) -> Result<(), End> {
        let Some(client) = self.clients.get(id) else {
            return Ok(());
        };
        let uid = client.session.identity.uid;
        let redeemed = self
            .handoffs
            .tokens
            .redeem(now, token, uid, &mut self.failed_tokens);
        match redeemed {
            Ok(endpoint) => {
                self.wait_for_answer(id, number, Waiting::Other);
                self.order(Order::AdoptHandoff {
                    session: id,
                    request_id: number,
                    endpoint,
                });
                Ok(())
            }
            Err(refusal @ Refusal::TooManyFailures) => Err(End::answer(
                EndedBy::Token,
                number,
                ErrorCode::BadToken,
                &refusal.to_string(),
            )),
            Err(refusal) => {
                self.counts.refused += 1;
                let reply = Reply::error(ErrorCode::BadToken, refusal.to_string());
                self.reply(id, number, reply)
            }
        }
    }

    /// The stack thread has given it to that session, or could not.
    pub(super) fn on_handoff_adopted(
        &mut self,
        id: SessionId,
        number: u32,
        endpoint: EndpointId,
        reply: Reply,
    ) {
        let handoffs = &mut self.handoffs;
        match &reply {
            Reply::Adopted(_) => {
                handoffs.waits_no_more(endpoint);
                handoffs.counts.adopted += 1;
            }
            Reply::Error(Failure {
                code: ErrorCode::NoSuchConnection,
                ..
            }) => handoffs.waits_no_more(endpoint),
            // It has no room for it, or is gone: another may come while there is time.
            _ => {
                if let Some(given) = handoffs.waiting.get(&endpoint) {
                    let Given { token, end, .. } = *given;
                    handoffs.tokens.put(token, end, endpoint, given.taker);
                }
            }
        }
        self.reply_later(id, number, reply);
    }

    /// Resets what nobody has adopted in time.
    pub(super) fn expire_handoffs(&mut self, now: Instant) {
        while let Some(endpoint) = self.handoffs.tokens.expire(now) {
            self.handoffs.waits_no_more(endpoint);
            self.handoffs.counts.expired += 1;
            self.order(Order::AbortHandoff { endpoint });
        }
    }
}
