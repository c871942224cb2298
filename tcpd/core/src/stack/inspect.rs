//! Looking at endpoints: [`View`] for the owner at every event, [`Summary`] for lists, [`Status`] for everything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack, Status};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::half_open::HalfOpen;
use crate::tcp::endpoint::syn_sent::SynSent;
use crate::tcp::endpoint::time_wait::TimeWait;
use crate::tcp::endpoint::{EndReason, State};
use crate::tcp::timers::Timer;
use crate::time::Instant;

/// What the owner of a connection needs at every event. Positions count bytes of the stream from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Its state.
    pub state: State,
    /// The sending direction.
    pub send: SendView,
    /// The receiving direction.
    pub receive: ReceiveView,
    /// Why it ended, if it has. Unread bytes can still be read.
    pub end: Option<EndReason>,
    /// The own address and port.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// Whether the handshake was ever completed.
    pub connected: bool,
    /// Whether the peer acknowledged our FIN, and thus everything.
    pub fin_acknowledged: bool,
}

/// The sending direction of a [`View`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendView {
    /// Bytes up to here were acknowledged: their space is free.
    pub acknowledged: u64,
    /// Bytes up to here were sent, once or more often.
    pub sent: u64,
    /// Bytes up to here were written.
    pub written: u64,
    /// Bytes the ring holds.
    pub capacity: u32,
    /// Bytes it should hold: twice CWND, four times in slow start. A power of two; may be less than it holds.
    pub wanted: u32,
}

/// The receiving direction of a [`View`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveView {
    /// Bytes up to here were read.
    pub read: u64,
    /// Bytes up to here have arrived in order.
    pub next: u64,
    /// Bytes the ring holds.
    pub capacity: u32,
    /// Bytes it should hold: twice what was read in a round trip, and more while that grows. A power of two, never less than it holds.
    pub wanted: u32,
    /// How far beyond `read` new windows reach: `capacity`, or less while the window is held.
    pub offered: u32,
    /// Whether the peer's FIN was reached: nothing follows `next`.
    pub fin_received: bool,
}

/// A line of a list of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub id: EndpointId,
    /// Its state.
    pub state: State,
    /// The own address and port.
    pub local: SocketAddr,
    /// The peer's; unspecified for a listener.
    pub remote: SocketAddr,
    /// Bytes unread; for a listener connections to accept.
    pub recv_q: u32,
    /// Bytes unacknowledged; for a listener its backlog.
    pub send_q: u32,
    /// The timer that goes off next.
    pub timer: Option<(Timer, Instant)>,
    /// The owner's cookie; 0 for what has none.
    pub tag: u64,
}

impl<R: Ring> Stack<R> {
    /// The state of `id`; `None` for a name that is none.
    #[must_use]
    pub fn state(&self, id: EndpointId) -> Option<State> {
        self.endpoints.get(id.key()).map(Slot::state)
    }

    /// What the owner of a connection needs. `None` for a name that is none, for listeners and for the compact shapes, which have no
    /// user.
    #[must_use]
    pub fn view(&self, id: EndpointId) -> Option<View> {
        match self.endpoints.get(id.key())? {
            Slot::Connection(conn) | Slot::TimeWait(_, Some(conn)) => Some(view_of(conn)),
            Slot::SynSent(open) => Some(View {
                state: open.state(),
                send: SendView {
                    acknowledged: 0,
                    sent: 0,
                    written: open.written,
                    capacity: open.rings.send.capacity(),
                    wanted: 0,
                },
                receive: ReceiveView {
                    read: 0,
                    next: 0,
                    capacity: open.rings.receive.capacity(),
                    wanted: open.rings.receive.capacity(),
                    offered: open.rings.receive.capacity(),
                    fin_received: false,
                },
                end: open.end,
                local: open.pair.local_socket(),
                remote: open.pair.remote_socket(),
                connected: false,
                fin_acknowledged: false,
            }),
            Slot::HalfOpen(_) | Slot::TimeWait(_, None) | Slot::Listener(_) => None,
        }
    }

    /// Everything about `id` (§3.10.6); `None` for a name that is none.
    #[must_use]
    pub fn status(&self, id: EndpointId) -> Option<Status> {
        Some(match self.endpoints.get(id.key())? {
            Slot::Connection(conn) => Status::of(id, conn),
            Slot::TimeWait(old, Some(conn)) => Status {
                timers: self.time_wait_timer(id),
                ..status_of_time_wait(id, old, Status::of(id, conn))
            },
            Slot::TimeWait(old, None) => {
                let pair = self.addresses.expand(&old.pair);
                let (local, remote) = (pair.local_socket(), pair.remote_socket());
                let empty = Status::empty(id, State::TimeWait, local, remote);
                Status {
                    timers: self.time_wait_timer(id),
                    ..status_of_time_wait(id, old, empty)
                }
            }
            Slot::SynSent(open) => status_of_open(id, open),
            Slot::HalfOpen(half) => Status {
                timers: self.handshake_timer(id),
                ..status_of_half_open(id, half)
            },
            Slot::Listener(listener) => {
                let local = listener.status(crate::stack::ListenerId(id)).local;
                let mut status = Status::empty(id, State::Listen, local, unspecified(local));
                status.tag = listener.options.tag;
                status.recv_q = listener.queue.len() as u32;
                status.send_q = listener.backlog;
                status.options = listener.options.connection;
                status
            }
        })
    }

    /// Every endpoint: listeners, half-open entries and TIME-WAIT included. In no particular order.
    pub fn endpoints(&self) -> impl Iterator<Item = Summary> + '_ {
        self.endpoints
            .iter()
            .map(|(key, slot)| self.summary_of(EndpointId::from(key), slot))
    }

    fn summary_of(&self, id: EndpointId, slot: &Slot<R>) -> Summary {
        let unspecified_socket = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let (local, remote) = match slot.pair(&self.addresses) {
            Some(pair) => (pair.local_socket(), pair.remote_socket()),
            None => (unspecified_socket, unspecified_socket),
        };
        let mut summary = Summary {
            id,
            state: slot.state(),
            local,
            remote,
            recv_q: 0,
            send_q: 0,
            timer: None,
            tag: 0,
        };
        match slot {
            Slot::Connection(conn) => {
                fill_queues(&mut summary, conn);
                summary.timer = conn.timers.earliest();
            }
            Slot::TimeWait(_, rest) => {
                if let Some(conn) = rest {
                    fill_queues(&mut summary, conn);
                }
                summary.timer = self.time_wait_timer(id).pop();
            }
            Slot::SynSent(open) => {
                summary.send_q = u32::try_from(open.written).unwrap_or(u32::MAX);
                summary.timer = open
                    .end
                    .is_none()
                    .then_some((Timer::Handshake, open.retry_at));
                summary.tag = open.tag;
            }
            Slot::HalfOpen(_) => summary.timer = self.handshake_timer(id).pop(),
            Slot::Listener(listener) => {
                summary.local = listener.status(crate::stack::ListenerId(id)).local;
                summary.remote = unspecified(summary.local);
                summary.recv_q = listener.queue.len() as u32;
                summary.send_q = listener.backlog;
                summary.tag = listener.options.tag;
            }
        }
        summary
    }

    fn time_wait_timer(&self, id: EndpointId) -> Vec<(Timer, Instant)> {
        self.deadlines
            .deadline(id.index())
            .map(|at| (Timer::TimeWait, at))
            .into_iter()
            .collect()
    }

    fn handshake_timer(&self, id: EndpointId) -> Vec<(Timer, Instant)> {
        self.deadlines
            .deadline(id.index())
            .map(|at| (Timer::Handshake, at))
            .into_iter()
            .collect()
    }
}

fn unspecified(like: SocketAddr) -> SocketAddr {
    let address = if like.is_ipv6() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    };
    SocketAddr::new(address, 0)
}

fn fill_queues<R: Ring>(summary: &mut Summary, conn: &Connection<R>) {
    summary.recv_q = u32::try_from(conn.receive.unread()).unwrap_or(u32::MAX);
    let unacknowledged = conn.send.written - conn.send.una.min(conn.send.written);
    summary.send_q = u32::try_from(unacknowledged).unwrap_or(u32::MAX);
    summary.tag = conn.tag;
}

fn view_of<R: Ring>(conn: &Connection<R>) -> View {
    View {
        state: conn.state,
        send: SendView {
            acknowledged: conn.send.una.min(conn.send.written),
            sent: conn.send.nxt.min(conn.send.written),
            written: conn.send.written,
            capacity: conn.rings.send.capacity(),
            wanted: conn.send_wanted(),
        },
        receive: ReceiveView {
            read: conn.receive.read,
            next: conn.receive.data_end(),
            capacity: conn.rings.receive.capacity(),
            wanted: conn.receive.wanted(),
            offered: conn.receive.offered(),
            fin_received: conn.receive.is_finished(),
        },
        end: conn.end,
        local: conn.pair.local_socket(),
        remote: conn.pair.remote_socket(),
        connected: true,
        fin_acknowledged: conn.send.fin_acknowledged(),
    }
}

fn status_of_time_wait(id: EndpointId, old: &TimeWait, status: Status) -> Status {
    Status {
        id,
        state: State::TimeWait,
        snd_una: old.snd_nxt,
        snd_nxt: old.snd_nxt,
        rcv_nxt: old.rcv_nxt,
        timestamps: old.timestamps,
        ts_recent: old.ts_recent,
        end: Some(EndReason::Closed),
        ..status
    }
}

fn status_of_open<R: Ring>(id: EndpointId, open: &SynSent<R>) -> Status {
    let empty = Status::empty(
        id,
        open.state(),
        open.pair.local_socket(),
        open.pair.remote_socket(),
    );
    Status {
        passive: Some(false),
        tag: open.tag,
        end: open.end,
        soft_error: open.soft_error,
        iss: open.iss,
        snd_una: open.iss,
        snd_nxt: open.iss + 1 + u32::from(open.fin_sent()),
        send_q: u32::try_from(open.written).unwrap_or(u32::MAX),
        receive_capacity: open.rings.receive.capacity(),
        send_capacity: open.rings.send.capacity(),
        retries: open.retransmissions,
        timers: open
            .end
            .is_none()
            .then_some((Timer::Handshake, open.retry_at))
            .into_iter()
            .collect(),
        fin_queued: open.fin_queued,
        options: open.options,
        created: open.created,
        last_sent: open.sent_at.unwrap_or(open.created),
        irs: open.crossed.map_or(empty.irs, |half| half.irs),
        rcv_nxt: open.crossed.map_or(empty.rcv_nxt, |half| half.rcv_nxt()),
        ..empty
    }
}

fn status_of_half_open(id: EndpointId, half: &HalfOpen) -> Status {
    let empty = Status::empty(
        id,
        State::SynReceived,
        half.pair.local_socket(),
        half.pair.remote_socket(),
    );
    Status {
        passive: Some(true),
        iss: half.iss,
        snd_una: half.iss,
        snd_nxt: half.snd_nxt(),
        snd_wnd: u32::from(half.window),
        irs: half.irs,
        rcv_nxt: half.rcv_nxt(),
        retries: half.retransmissions,
        mss_peer: half.peer_mss,
        window_scale_peer: half.agreed.send_shift,
        window_scale_own: half.agreed.send_shift.map(|_| half.agreed.receive_shift),
        timestamps: half.agreed.timestamps,
        sack: half.agreed.sack,
        ts_recent: half.ts_recent,
        created: half.sent_at,
        last_sent: half.sent_at,
        ..empty
    }
}
