//! Sessions: how they come and go, and who is looked at.

use super::*;

/// Words of the dirty bitmap (64 slots each) looked at for one session in one turn.
const WORDS_PER_TURN: usize = 4;

impl Bridge {
    /// A client's arena arrives.
    pub(crate) fn session_opened(
        &mut self,
        stack: &mut DaemonStack,
        session: SessionId,
        arena: Arc<Arena>,
        bell: OwnedFd,
        credentials: Credentials,
        worker: bool,
    ) {
        self.sessions.insert(
            session,
            Session {
                arena,
                bell,
                credentials,
                worker,
                slots: Vec::new(),
                free: Vec::new(),
                sweeping: Sweeping::default(),
                listeners: HashSet::new(),
                active: false,
                next_word: 0,
                condemned: false,
                closed: false,
                measured: 0,
            },
        );
        self.session_counts(stack, session);
    }

    /// The bell's descriptor, for the poll.
    pub(crate) fn bell(&self, session: SessionId) -> Option<&OwnedFd> {
        self.sessions.get(&session).map(|session| &session.bell)
    }

    /// The client is gone: its listeners close, its connections close or are reset, its arena goes when the last of
    /// them needs no byte of it.
    pub(crate) fn session_closed(&mut self, stack: &mut DaemonStack, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let listeners: Vec<ListenerId> = session.listeners.drain().collect();
        let owned: Vec<EndpointId> = session.slots.iter().flatten().copied().collect();
        for listener in listeners {
            self.listeners.remove(&listener);
            self.listener_counts(id, false);
            stack.close_listener(now, listener);
        }
        // The last bytes the client wrote before it went. From then on nothing of it is looked at.
        for endpoint in &owned {
            if self.is_served(id)
                && let Err(violation) = self.pull(stack, now, *endpoint)
            {
                self.violation(id, violation);
            }
        }
        let reset = self.sessions.get_mut(&id).is_some_and(|session| {
            session.closed = true;
            session.worker || session.condemned
        });
        self.active.retain(|active| *active != id);
        for endpoint in owned {
            let Some(connection) = self.connections.get_mut(&endpoint) else {
                continue;
            };
            let lingering = connection.lingering.take().is_some();
            connection.connecting = None;
            if !connection.released || lingering {
                connection.released = true;
                // Who lingers has closed it already.
                if reset && !lingering {
                    stack.abort(now, endpoint).ok();
                } else {
                    stack.close(now, endpoint).ok();
                }
            }
            self.settle(stack, now, endpoint);
        }
        self.release_if_empty(id);
    }

    /// A bell rang: the session is looked at from now on.
    pub(crate) fn hear_bell(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if !session.is_served() {
            return;
        }
        self.counts.bells_heard += 1;
        if silence(&session.bell) {
            // Not at once: when the client is gone altogether, its socket says so.
            return self.report(Report::BellClosed { session: id });
        }
        session.arena.doorbells(0).to_daemon.awake();
        if !session.active {
            session.active = true;
            self.active.push(id);
        }
    }

    /// Looks at what active sessions wrote, at most [`WORDS_PER_TURN`] words each. True when there was something.
    pub(crate) fn poll_sessions(&mut self, stack: &mut DaemonStack, now: Instant) -> bool {
        let mut any = false;
        for place in 0..self.active.len() {
            let id = self.active[place];
            for _ in 0..WORDS_PER_TURN {
                let Some(marked) = self.take_marks(id) else {
                    break;
                };
                any = true;
                for slot in marked {
                    let Some(endpoint) = self.endpoint_at(id, slot) else {
                        continue; // A bit for a free slot is a spurious wake-up, nothing more.
                    };
                    if let Err(violation) = self.pull(stack, now, endpoint) {
                        self.violation(id, violation);
                        break;
                    }
                }
            }
        }
        any
    }

    /// The marks of the next word, in turn: the first ones do not starve the last.
    fn take_marks(&mut self, id: SessionId) -> Option<Marked> {
        let session = self.sessions.get_mut(&id).filter(|s| s.is_served())?;
        let doorbell = &session.arena.doorbells(0).to_daemon;
        let marked = doorbell.take_from(session.next_word)?;
        session.next_word = marked.next_word();
        Some(marked)
    }

    /// Declares the thread asleep to every active session, then looks once more. True when it may sleep: nothing was
    /// written in between, and every session will ring.
    pub(crate) fn prepare_sleep(&mut self) -> bool {
        if self.endpoints.is_busy() {
            return false;
        }
        let sessions = &mut self.sessions;
        self.active.retain(|id| {
            let Some(session) = sessions.get_mut(id) else {
                return false;
            };
            session.active =
                session.is_served() && !session.arena.doorbells(0).to_daemon.prepare_sleep();
            session.active
        });
        self.active.is_empty()
    }

    fn endpoint_at(&self, session: SessionId, slot: u32) -> Option<EndpointId> {
        *self.sessions.get(&session)?.slots.get(slot as usize)?
    }

    pub(super) fn is_served(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(Session::is_served)
    }

    /// The first one of a session is reported and ends it; nothing of it is looked at any more.
    pub(super) fn violation(&mut self, id: SessionId, violation: Violation) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut session.condemned, true) {
            return;
        }
        self.counts.violations += 1;
        self.report(Report::Violation {
            session: id,
            what: violation.name(),
        });
    }
}

impl Session {
    /// Whether the client is there and has not lied: only then it is listened to.
    pub(super) fn is_served(&self) -> bool {
        !self.closed && !self.condemned
    }
}

/// Takes from a bell what was rung; true when its other end is closed. One receive of bounded size: what a flood leaves
/// behind rings again with the next byte, and costs nobody else a turn.
fn silence(bell: &OwnedFd) -> bool {
    let mut bytes = [0; 512];
    matches!(
        rustix::net::recv(bell, &mut bytes, RecvFlags::DONTWAIT),
        Ok((_, 0)) | Err(rustix::io::Errno::CONNRESET)
    )
}
