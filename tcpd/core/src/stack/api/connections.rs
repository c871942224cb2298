//! SEND, RECEIVE, CLOSE, ABORT and options of one connection.

use super::*;
use crate::tcp::config::CongestionControl;
use crate::tcp::transmit::Reply;

impl<R: Ring> Stack<R> {
    /// SEND (§3.10.2): copies as much of `bytes` into the send ring as fits; how much, at least 1 unless `bytes` is empty.
    ///
    /// # Errors
    /// [`SendError::Full`] when nothing fits now; see [`SendError`] for the others.
    pub fn send(&mut self, now: Instant, id: EndpointId, bytes: &[u8]) -> Result<usize, SendError> {
        let slot = self
            .endpoints
            .get_mut(id.key())
            .ok_or(SendError::NoSuchConnection)?;
        let count = match slot {
            Slot::Connection(conn) | Slot::TimeWait(_, Some(conn)) => calls::send(conn, bytes)?,
            Slot::SynSent(open) => queue(open, bytes)?,
            Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_) => {
                return Err(SendError::NoSuchConnection);
            }
        };
        self.settle(now, id);
        Ok(count)
    }

    /// SEND with the URGENT flag (RFC 9293 §3.8.5 MUST-30): as [`Stack::send`], and the urgent pointer is set behind what was taken.
    /// Nothing but the peer's user is the sooner for it; new programs should not use it (RFC 6093).
    ///
    /// # Errors
    /// As [`Stack::send`].
    pub fn send_urgent(
        &mut self,
        now: Instant,
        id: EndpointId,
        bytes: &[u8],
    ) -> Result<usize, SendError> {
        let count = match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => {
                calls::send_urgent(conn, bytes)?
            }
            Some(Slot::SynSent(open)) => {
                let count = queue(open, bytes)?;
                open.urgent = Some(open.written).filter(|_| count > 0).or(open.urgent);
                count
            }
            Some(Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_)) | None => {
                return Err(SendError::NoSuchConnection);
            }
        };
        self.settle(now, id);
        Ok(count)
    }

    /// How many bytes lie before the urgent pointer and were not read (RFC 9293 §3.8.5 MUST-33), those that have yet to arrive among
    /// them; 0: nothing is urgent. [`Changes::URGENT`] tells when to ask.
    #[must_use]
    pub fn urgent(&self, id: EndpointId) -> u64 {
        match self.endpoints.get(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => calls::urgent(conn),
            Some(
                Slot::SynSent(_) | Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_),
            )
            | None => 0,
        }
    }

    /// SEND without a copy: the bytes up to position `end` stand in the send ring already.
    ///
    /// # Errors
    /// [`SendError::OutOfRange`] when `end` lies behind what was written, or beyond what the ring holds; see [`SendError`] for the
    /// others. Nothing changes then.
    pub fn committed(&mut self, now: Instant, id: EndpointId, end: u64) -> Result<(), SendError> {
        let slot = self
            .endpoints
            .get_mut(id.key())
            .ok_or(SendError::NoSuchConnection)?;
        match slot {
            Slot::Connection(conn) | Slot::TimeWait(_, Some(conn)) => calls::committed(conn, end)?,
            Slot::SynSent(open) => {
                let room = opening_room(open)? as u64;
                if end < open.written || end - open.written > room {
                    return Err(SendError::OutOfRange);
                }
                open.written = end;
            }
            Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_) => {
                return Err(SendError::NoSuchConnection);
            }
        }
        self.settle(now, id);
        Ok(())
    }

    /// RECEIVE (§3.10.3): copies what has arrived into `out`. `Ok(0)`: the peer has closed, and everything was read.
    ///
    /// # Errors
    /// [`ReceiveError::Empty`] when nothing has arrived yet; [`ReceiveError::Ended`] after everything was read of a connection
    /// that did not end in order.
    pub fn receive_into(
        &mut self,
        now: Instant,
        id: EndpointId,
        out: &mut [u8],
    ) -> Result<usize, ReceiveError> {
        let count = match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => {
                calls::receive_into(conn, out, now)?
            }
            Some(Slot::SynSent(open)) => {
                return Err(open.end.map_or(ReceiveError::Empty, ReceiveError::Ended));
            }
            Some(Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_)) | None => {
                return Err(ReceiveError::NoSuchConnection);
            }
        };
        self.settle(now, id);
        Ok(count)
    }

    /// RECEIVE without a copy: the bytes up to position `up_to` were read from the ring. Frees their space, and may send a
    /// window update.
    ///
    /// # Errors
    /// [`ReceiveError::OutOfRange`] when `up_to` lies behind what was read, or beyond what has arrived: nothing changes then.
    pub fn consumed(
        &mut self,
        now: Instant,
        id: EndpointId,
        up_to: u64,
    ) -> Result<(), ReceiveError> {
        match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => {
                calls::consumed(conn, up_to, now)?
            }
            Some(Slot::SynSent(_)) if up_to == 0 => return Ok(()),
            Some(Slot::SynSent(_)) => return Err(ReceiveError::OutOfRange),
            Some(Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_)) | None => {
                return Err(ReceiveError::NoSuchConnection);
            }
        }
        self.settle(now, id);
        Ok(())
    }

    /// Half a CLOSE (§3.10.4): FIN after what is queued; reading goes on.
    ///
    /// # Errors
    /// [`CloseError::Closing`] when that was done before; see [`CloseError`].
    pub fn shutdown_write(&mut self, now: Instant, id: EndpointId) -> Result<(), CloseError> {
        let (slot, mut cx) = self.at(now, id).ok_or(CloseError::NoSuchConnection)?;
        match slot {
            Slot::Connection(conn) | Slot::TimeWait(_, Some(conn)) => {
                calls::shutdown_write(conn, &mut cx)?
            }
            Slot::SynSent(open) => match open.end {
                Some(reason) => return Err(CloseError::Ended(reason)),
                None if open.fin_queued => return Err(CloseError::Closing),
                None => calls::close_crossed(open, &mut cx),
            },
            Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_) => {
                return Err(CloseError::NoSuchConnection);
            }
        }
        self.settle(now, id);
        Ok(())
    }

    /// The user reads no more: what is unread and what still comes is acknowledged and thrown away, as in Linux.
    ///
    /// # Errors
    /// [`CloseError::NoSuchConnection`].
    pub fn shutdown_read(&mut self, now: Instant, id: EndpointId) -> Result<(), CloseError> {
        match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => {
                calls::shutdown_read(conn)
            }
            Some(Slot::SynSent(open)) => open.reading_closed = true,
            Some(Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_)) | None => {
                return Err(CloseError::NoSuchConnection);
            }
        }
        self.settle(now, id);
        Ok(())
    }

    /// CLOSE (§3.10.4) of both directions, and the user lets go: FIN after what is queued, or RST when something is unread
    /// (RFC 2525 §2.17). The name stays good for looking until the orphan is gone; calls on it fail.
    ///
    /// # Errors
    /// [`CloseError::NoSuchConnection`], also when it was let go before.
    pub fn close(&mut self, now: Instant, id: EndpointId) -> Result<(), CloseError> {
        let (slot, mut cx) = self.at(now, id).ok_or(CloseError::NoSuchConnection)?;
        match slot {
            Slot::Connection(conn) | Slot::TimeWait(_, Some(conn)) => {
                if conn.owner != Owner::User {
                    return Err(CloseError::NoSuchConnection);
                }
                let live = !matches!(conn.state, State::Closed | State::TimeWait);
                calls::close(conn, &mut cx);
                self.release(now, id, live);
            }
            Slot::SynSent(open) if open.released => return Err(CloseError::NoSuchConnection),
            Slot::SynSent(open) if open.crossed.is_some() && open.end.is_none() => {
                calls::close_crossed(open, &mut cx);
                open.released = true;
                // Nobody waits for it any more: bounded as every orphan is.
                open.give_up_at = open.give_up_at.min(now + cx.tcp.orphan_timeout);
                open.retry_at = open.retry_at.min(open.give_up_at);
                self.became_orphan(id);
                self.settle(now, id);
                self.evict_orphans(now);
            }
            Slot::SynSent(_) => self.drop_open(now, id, Cause::CloseCall),
            Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_) => {
                return Err(CloseError::NoSuchConnection);
            }
        }
        Ok(())
    }

    /// ABORT (§3.10.5), and the user lets go: RST, at once. Works on orphans and on what waits in a listener's queue, too.
    ///
    /// # Errors
    /// [`AbortError::NoSuchConnection`].
    pub fn abort(&mut self, now: Instant, id: EndpointId) -> Result<(), AbortError> {
        let (slot, mut cx) = self.at(now, id).ok_or(AbortError::NoSuchConnection)?;
        match slot {
            Slot::Connection(conn) => {
                if matches!(conn.owner, Owner::Listener(_)) {
                    // It keeps its place in the queue; whoever accepts it learns what became of it.
                    calls::abort(conn, &mut cx);
                    self.settle(now, id);
                    return Ok(());
                }
                let becomes_orphan = conn.owner == Owner::User
                    && !matches!(conn.state, State::Closed | State::TimeWait);
                conn.owner = Owner::Nobody;
                calls::abort(conn, &mut cx);
                self.release(now, id, becomes_orphan);
            }
            Slot::SynSent(_) => self.drop_open(now, id, Cause::AbortCall),
            Slot::HalfOpen(half) => {
                // §3.10.5, SYN-RECEIVED: <SEQ=SND.NXT><CTL=RST>.
                cx.replies.push(Reply::reset(half.pair, half.snd_nxt()));
                self.remove_half_open(now, id, State::Closed, Cause::AbortCall);
            }
            Slot::TimeWait(_, rest) => {
                *rest = None;
                self.end_time_wait(now, id, Cause::AbortCall);
            }
            Slot::Listener(_) => return Err(AbortError::NoSuchConnection),
        }
        Ok(())
    }

    /// Lets go of a connection whose owner is nobody from now on. `became_orphan`: it was alive and its user's before.
    pub(super) fn release(&mut self, now: Instant, id: EndpointId, became_orphan: bool) {
        if became_orphan {
            self.became_orphan(id);
        }
        match self.endpoints.get_mut(id.key()) {
            Some(Slot::TimeWait(_, rest)) => *rest = None,
            Some(Slot::Connection(_)) => self.settle(now, id),
            Some(Slot::SynSent(_) | Slot::HalfOpen(_) | Slot::Listener(_)) | None => {}
        }
        self.evict_orphans(now);
    }

    /// §3.10.4, SYN-SENT: "Delete the TCB"; in the SYN-RECEIVED of a simultaneous open the peer is told.
    fn drop_open(&mut self, now: Instant, id: EndpointId, why: Cause) {
        self.reset_crossed(now, id);
        self.fail_open(now, id, EndReason::Aborted, why);
        self.endpoints.remove(id.key());
    }

    /// Why the connection ended, if it has.
    #[must_use]
    pub fn release_error(&self, id: EndpointId) -> Option<EndReason> {
        match self.endpoints.get(id.key())? {
            Slot::Connection(conn) | Slot::TimeWait(_, Some(conn)) => conn.end,
            Slot::SynSent(open) => open.end,
            Slot::TimeWait(_, None) => Some(EndReason::Closed),
            Slot::HalfOpen(_) | Slot::Listener(_) => None,
        }
    }

    /// Sets the owner's cookie. Nothing happens for a name that is none.
    pub fn set_tag(&mut self, id: EndpointId, tag: u64) {
        match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => conn.tag = tag,
            Some(Slot::SynSent(open)) => open.tag = tag,
            Some(Slot::Listener(listener)) => listener.options.tag = tag,
            Some(Slot::HalfOpen(_) | Slot::TimeWait(_, None)) | None => {}
        }
    }

    /// The owner's cookie; 0 for what has none.
    #[must_use]
    pub fn tag(&self, id: EndpointId) -> u64 {
        match self.endpoints.get(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => conn.tag,
            Some(Slot::SynSent(open)) => open.tag,
            Some(Slot::Listener(listener)) => listener.options.tag,
            Some(Slot::HalfOpen(_) | Slot::TimeWait(_, None)) | None => 0,
        }
    }

    /// Exchanges congestion control, from the next acknowledgment on. CWND, SSTHRESH and what is in flight stay as they are.
    ///
    /// # Errors
    /// [`NoSuchConnection`], also for what is not in a synchronised state, or in TIME-WAIT.
    pub fn set_congestion(
        &mut self,
        now: Instant,
        id: EndpointId,
        kind: CongestionControl,
    ) -> Result<(), NoSuchConnection> {
        let (slot, _) = self.at(now, id).ok_or(NoSuchConnection)?;
        match slot {
            Slot::Connection(conn) => {
                conn.options.congestion = Some(kind);
                conn.congestion.switch(kind);
                Ok(())
            }
            Slot::SynSent(_) | Slot::HalfOpen(_) | Slot::TimeWait(..) | Slot::Listener(_) => {
                Err(NoSuchConnection)
            }
        }
    }

    /// Changes what a connection was opened with. Ring sizes and MSS count only at the opening; congestion control stays where none is
    /// named.
    ///
    /// # Errors
    /// [`NoSuchConnection`].
    pub fn set_options(
        &mut self,
        now: Instant,
        id: EndpointId,
        options: ConnectionOptions,
    ) -> Result<(), NoSuchConnection> {
        let (slot, mut cx) = self.at(now, id).ok_or(NoSuchConnection)?;
        match slot {
            Slot::Connection(conn) | Slot::TimeWait(_, Some(conn)) => {
                let before = std::mem::replace(&mut conn.options, options);
                match options.congestion {
                    Some(kind) => conn.congestion.switch(kind),
                    None => conn.options.congestion = before.congestion,
                }
                if !matches!(conn.state, State::Closed | State::TimeWait) {
                    // Only what changed begins anew: saying the same again prolongs nothing.
                    if before.keepalive != options.keepalive {
                        timeouts::start_keep_alive(conn, &mut cx);
                    }
                    if before.user_timeout != options.user_timeout {
                        timeouts::start_user_timeout(conn, &mut cx);
                    }
                    if before.idle_timeout != options.idle_timeout {
                        timeouts::start_idle_timeout(conn, &mut cx);
                    }
                }
            }
            Slot::SynSent(open) => {
                let congestion = options.congestion.or(open.options.congestion);
                open.options = ConnectionOptions {
                    congestion,
                    ..options
                };
            }
            Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_) => {
                return Err(NoSuchConnection);
            }
        }
        self.settle(now, id);
        Ok(())
    }
}

/// SEND before the connection is open (§3.10.2): "queue the data".
fn queue<R: Ring>(open: &mut SynSent<R>, bytes: &[u8]) -> Result<usize, SendError> {
    let count = opening_room(open)?.min(bytes.len());
    if count == 0 && !bytes.is_empty() {
        return Err(SendError::Full);
    }
    open.rings.send.write_at(open.written, &bytes[..count]);
    open.written += count as u64;
    Ok(count)
}

/// How much the user may still write before the connection is open.
fn opening_room<R: Ring>(open: &SynSent<R>) -> Result<usize, SendError> {
    if let Some(reason) = open.end {
        return Err(SendError::Ended(reason));
    }
    if open.fin_queued {
        return Err(SendError::Closing);
    }
    Ok((u64::from(open.rings.send.capacity()) - open.written) as usize)
}
