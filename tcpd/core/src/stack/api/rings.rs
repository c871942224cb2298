//! The rings of a connection: looking at them, exchanging them, growing them.

use super::*;

impl<R: Ring> Stack<R> {
    /// Moves what is occupied (unread, out of order, unacknowledged) into new stores, at the same positions, and uses those from
    /// now on. The new ones must be at least as large as the old ones: the window was promised.
    ///
    /// # Errors
    /// [`NoSuchConnection`], also when a new ring is smaller than what it has to hold.
    pub fn attach(
        &mut self,
        now: Instant,
        id: EndpointId,
        receive: R,
        send: R,
    ) -> Result<(), NoSuchConnection> {
        let rings = Rings { receive, send };
        match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => {
                // What is promised: up to RCV.ADV. An orphan, or one whose peer has closed, promises no more than it holds.
                let held = conn
                    .receive
                    .adv
                    .max(conn.receive.out_of_order.end().unwrap_or(0))
                    - conn.receive.read;
                let finished = conn.receive.is_finished() || conn.is_orphan() || conn.end.is_some();
                let needed = if finished {
                    conn.receive.unread()
                } else {
                    held
                };
                let written = conn.send.written - conn.send.una.min(conn.send.written);
                if needed > u64::from(rings.receive.capacity())
                    || written > u64::from(rings.send.capacity())
                {
                    return Err(NoSuchConnection);
                }
                conn.receive.resize(rings.receive.capacity());
                move_bytes(
                    &mut conn.rings,
                    rings,
                    conn.send.una,
                    conn.send.written,
                    &conn.receive,
                );
            }
            Some(Slot::SynSent(open)) => {
                if open.written > u64::from(rings.send.capacity())
                    || rings.receive.capacity() < open.rings.receive.capacity()
                {
                    return Err(NoSuchConnection);
                }
                let old = std::mem::replace(&mut open.rings, rings);
                copy(&old.send, &mut open.rings.send, 0, open.written);
            }
            Some(Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_)) | None => {
                return Err(NoSuchConnection);
            }
        }
        self.settle(now, id);
        Ok(())
    }

    /// Moves what was received and not read into another store of the same capacity, at the same positions, and uses that from now
    /// on. Gives the old one back, or `None` and no change for what has no such ring.
    pub fn exchange_receive(&mut self, id: EndpointId, new: R) -> Option<R> {
        let conn = match self.endpoints.get_mut(id.key())? {
            Slot::Connection(conn) | Slot::TimeWait(_, Some(conn)) => conn,
            Slot::SynSent(_) | Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_) => {
                return None;
            }
        };
        if new.capacity() != conn.rings.receive.capacity() {
            return None;
        }
        let old = std::mem::replace(&mut conn.rings.receive, new);
        move_received(&old, &mut conn.rings.receive, &conn.receive);
        self.bill(id);
        Some(old)
    }

    /// The ring that received bytes stand in.
    #[must_use]
    pub fn receive_ring(&self, id: EndpointId) -> Option<&R> {
        self.rings(id).map(|rings| &rings.receive)
    }

    /// The ring that bytes to send stand in.
    #[must_use]
    pub fn send_ring(&self, id: EndpointId) -> Option<&R> {
        self.rings(id).map(|rings| &rings.send)
    }

    fn rings(&self, id: EndpointId) -> Option<&Rings<R>> {
        match self.endpoints.get(id.key())? {
            Slot::Connection(conn) | Slot::TimeWait(_, Some(conn)) => Some(&conn.rings),
            Slot::SynSent(open) => Some(&open.rings),
            Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_) => None,
        }
    }

    /// Grows the receive ring to `capacity` bytes, a power of two; the window follows. False when its store cannot now.
    pub fn grow_receive(&mut self, now: Instant, id: EndpointId, capacity: u32) -> bool {
        let grown = match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => {
                let end = conn
                    .receive
                    .out_of_order
                    .end()
                    .unwrap_or(0)
                    .max(conn.receive.data_end());
                let grown = conn.rings.receive.grow(capacity, conn.receive.read, end);
                conn.receive.capacity = conn.rings.receive.capacity();
                if grown && conn.state.may_receive() && conn.receive.wants_window_update() {
                    conn.intents.ack = true;
                }
                grown
            }
            Some(Slot::SynSent(open)) => open.rings.receive.grow(capacity, 0, 0),
            Some(Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_)) | None => false,
        };
        self.settle(now, id);
        grown
    }

    /// Grows both rings as far as [`View`](crate::stack::View) says that they should, up to their configured maxima: for an owner
    /// without a budget, after it has read or written. True when one has grown.
    pub fn tune_rings(&mut self, now: Instant, id: EndpointId) -> bool {
        let Some(view) = self.view(id) else {
            return false;
        };
        let tcp = &self.config.tcp;
        let own = match self.endpoints.get(id.key()) {
            Some(Slot::Connection(conn)) => conn.options.receive_ring_max,
            _ => 0,
        };
        let most = if own == 0 { tcp.receive_ring_max } else { own };
        let receive = view.receive.wanted.min(most);
        let send = view.send.wanted.min(tcp.send_ring_max);
        let receive = receive > view.receive.capacity && self.grow_receive(now, id, receive);
        let send = send > view.send.capacity && self.grow_send(now, id, send);
        receive || send
    }

    /// Holds the window: from now on it promises at most `most` bytes beyond what was read, however much the ring holds; `None`: as much as that
    /// again. What was promised stays so (RFC 9293 §3.8.6 SHLD-14): the window shrinks by what arrives, never from the right. For an owner
    /// who is short of memory. Nothing happens for what has no receive window.
    pub fn hold_window(&mut self, now: Instant, id: EndpointId, most: Option<u32>) {
        if let Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) =
            self.endpoints.get_mut(id.key())
        {
            conn.receive.held = most.unwrap_or(u32::MAX);
            if conn.state.may_receive() && conn.receive.wants_window_update() {
                conn.intents.ack = true;
            }
            self.settle(now, id);
        }
    }

    /// Grows the send ring to `capacity` bytes, a power of two. False when its store cannot now.
    pub fn grow_send(&mut self, now: Instant, id: EndpointId, capacity: u32) -> bool {
        let grown = match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => {
                let start = conn.send.una.min(conn.send.written);
                conn.rings.send.grow(capacity, start, conn.send.written)
            }
            Some(Slot::SynSent(open)) => open.rings.send.grow(capacity, 0, open.written),
            Some(Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_)) | None => false,
        };
        self.settle(now, id);
        grown
    }
}

fn move_bytes<R: Ring>(
    rings: &mut Rings<R>,
    new: Rings<R>,
    una: u64,
    written: u64,
    receive: &crate::tcp::receive_space::ReceiveSpace,
) {
    let old = std::mem::replace(rings, new);
    move_received(&old.receive, &mut rings.receive, receive);
    copy(&old.send, &mut rings.send, una.min(written), written);
}

fn move_received<R: Ring>(from: &R, to: &mut R, receive: &crate::tcp::receive_space::ReceiveSpace) {
    copy(from, to, receive.read, receive.data_end());
    for range in receive.out_of_order.as_slice() {
        copy(from, to, range.start, range.end);
    }
}

fn copy<R: Ring>(from: &R, to: &mut R, start: u64, end: u64) {
    let mut piece = [0; 4096];
    let mut position = start;
    while position < end {
        let count = (end - position).min(piece.len() as u64) as usize;
        from.read_at(position, &mut piece[..count]);
        to.write_at(position, &piece[..count]);
        position += count as u64;
    }
}
