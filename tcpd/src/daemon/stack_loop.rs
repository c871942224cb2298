//! The stack thread: one device queue, one [`Stack`](tcpd_core::stack::Stack), one bridge to the clients' arenas.
//!
//! One turn of the loop, in this order:
//!
//! 1. orders of the control thread (`carrying_out`);
//! 2. packets from the device, a bounded batch; those that the impairment layer lets arrive now (`impairing`);
//! 3. what active sessions wrote into their rings, a bounded number of slots each; sockets that have bytes or room, a bounded number;
//! 4. deadlines of the stack and of the bridge;
//! 5. events of the stack, published into the arenas;
//! 6. packets to the device, a bounded batch.
//!
//! While there is work, the poll is asked between turns without waiting: the device's readiness and the bells of clients
//! that slept come only from there. When a turn found nothing to do the thread goes to sleep by the protocol of `libtcpclient::shm`: flag, fence,
//! re-check, sleep. Nothing here waits for a client, and no client can make a turn longer than its budget.

mod carrying_out;
mod impairing;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use libtcpclient::shm::RawSlice;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tcpd_core::stack::Transmit;
use tcpd_core::time::Instant;

use super::bridge::{Bridge, BridgeConfig, DaemonStack, is_endpoint};
use super::channel::ReportSender;
use super::clock;
use super::orders::{Order, Report, SessionId};
use super::ring_buffer::ConnectionRing;
use super::sweeper::Sweeper;
use crate::device::impair::{Direction, Impair};
use crate::device::{Device, OutPacket, RECEIVE_BUFFER_LEN};

/// Packets taken from the device in one turn: more than are given to it, so that the answers to many small ones find room in the
/// device's queue.
const RECEIVE_BATCH: usize = 4 * TRANSMIT_BATCH;
/// Beyond so many bytes a turn takes no further packet.
const RECEIVE_BYTES: usize = 2 << 20;
/// Packets or super-segments given to the device in one turn.
const TRANSMIT_BATCH: usize = 64;
/// While there is work, the poll is asked at least this often.
const LOOK_EVERY: Duration = Duration::from_micros(100);
/// During a stop, what is left is counted this often: the count goes through every endpoint.
const COUNT_EVERY: Duration = Duration::from_millis(20);

const DEVICE: Token = Token(0);
const ORDERS: Token = Token(1);
const TIMER: Token = Token(2);
const SWEPT: Token = Token(4);
/// The bell of a session is this plus the session's number.
const FIRST_BELL: usize = 16;

/// What the loop counts of the device.
#[derive(Debug, Default)]
pub(crate) struct LoopCounts {
    /// Packets the device refused for lack of room; TCP sends them again.
    pub(crate) device_full: u64,
    /// Packets the device failed on otherwise.
    pub(crate) device_errors: u64,
    /// Times the thread slept.
    pub(crate) sleeps: u64,
}

impl LoopCounts {
    /// What became of a packet. A refused one is lost, as on any network: TCP sends it again.
    fn count(&mut self, sent: io::Result<()>) {
        match sent {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.device_full += 1,
            Err(error) => {
                self.device_errors += 1;
                tracing::debug!(%error, "the device refused a packet");
            }
        }
    }
}

/// The stack thread's state.
pub(crate) struct StackLoop {
    device: Box<dyn Device>,
    /// Between the device and the stack, while anything is impaired.
    impair: Option<Box<Impair>>,
    /// By direction: more came out of it in the last turn than a turn takes.
    behind: [bool; 2],
    stack: DaemonStack,
    bridge: Bridge,
    orders: Receiver<Order>,
    orders_waiting: OwnedFd,
    poll: Poll,
    timer: OwnedFd,
    /// What the timer is set to.
    timer_at: Option<Instant>,
    counts: LoopCounts,
    /// The device has (or may have) a packet: edge-triggered.
    readable: bool,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
    /// When the poll was asked last.
    looked_at: Instant,
    /// A stop under way.
    stop: Option<Stop>,
}

/// A stop under way.
#[derive(Debug, Clone, Copy)]
struct Stop {
    /// After this the rest is reset.
    at: Instant,
    /// When to count what is left.
    count_at: Instant,
}

impl StackLoop {
    /// Registers the device, the orders' eventfd and the timer.
    ///
    /// # Errors
    /// What the kernel says when one of them cannot be polled.
    pub(crate) fn new(
        device: Box<dyn Device>,
        stack: DaemonStack,
        config: BridgeConfig,
        orders: Receiver<Order>,
        orders_waiting: OwnedFd,
        reports: ReportSender<Report>,
    ) -> io::Result<StackLoop> {
        let poll = Poll::new()?;
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let registry = poll.registry();
        let for_sockets = registry.try_clone()?;
        registry.register(
            &mut SourceFd(&device.as_raw_fd()),
            DEVICE,
            Interest::READABLE,
        )?;
        registry.register(
            &mut SourceFd(&orders_waiting.as_raw_fd()),
            ORDERS,
            Interest::READABLE,
        )?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let sweeper = Sweeper::new()?;
        registry.register(
            &mut SourceFd(&sweeper.as_raw_fd()),
            SWEPT,
            Interest::READABLE,
        )?;
        Ok(StackLoop {
            device,
            impair: None,
            behind: [false; 2],
            stack,
            bridge: Bridge::new(config, reports, for_sockets, sweeper),
            orders,
            orders_waiting,
            poll,
            timer,
            timer_at: None,
            counts: LoopCounts::default(),
            readable: true,
            buffer: vec![0; RECEIVE_BUFFER_LEN],
            scratch: Vec::new(),
            looked_at: Instant::ZERO,
            stop: None,
        })
    }

    /// Runs until [`Order::Stop`] is carried out or the device fails; both are the last report.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let done = match self.turn() {
                Ok(true) => self.look_around(&mut events),
                Ok(false) => self.sleep(&mut events),
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                self.fail(error);
                return;
            }
            if self.stopped() {
                return;
            }
        }
    }

    fn fail(&self, error: io::Error) {
        self.bridge.report(Report::DeviceFailed { error });
    }

    /// One turn; true when there was something to do.
    pub(super) fn turn(&mut self) -> io::Result<bool> {
        let now = clock::now();
        let mut busy = self.take_orders(now);
        busy |= self.receive(now)?;
        // What has entered the impairment layer did so after the turn began.
        let now = self.impair.as_ref().map_or(now, |_| clock::now());
        busy |= self.let_arrive(now);
        busy |= self.bridge.poll_sessions(&mut self.stack, now);
        busy |= self.bridge.pump_sockets(&mut self.stack, now);
        if self.stack.next_deadline().is_some_and(|at| at <= now) {
            self.stack.on_deadline(now);
            busy = true;
        }
        self.bridge.on_deadline(&mut self.stack, now);
        // Publishing first: a client may read while its packets leave.
        busy |= self.publish(now);
        busy |= self.transmit(now)?;
        busy |= self.publish(now);
        Ok(busy)
    }

    fn receive(&mut self, now: Instant) -> io::Result<bool> {
        if !self.readable {
            return Ok(false);
        }
        if self.waits_in_layer(Direction::In) {
            return Ok(true);
        }
        let mut bytes = 0;
        for _ in 0..RECEIVE_BATCH {
            if bytes >= RECEIVE_BYTES {
                return Ok(true);
            }
            match self.device.receive(&mut self.buffer) {
                Ok(received) => {
                    bytes += received.len;
                    let packet = &self.buffer[..received.len];
                    // Its delay begins now: it may have come after the turn began.
                    let enters = |layer: &mut Box<Impair>| {
                        layer.take_in(clock::now(), packet, &received.meta)
                    };
                    if !self.impair.as_mut().is_some_and(enters) {
                        self.stack.receive(now, packet, received.meta);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(true);
                }
                // Counted and dropped by the device.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn publish(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(event) = self.stack.poll_event() {
            any = true;
            self.bridge.on_event(&mut self.stack, now, event);
        }
        any
    }

    fn transmit(&mut self, now: Instant) -> io::Result<bool> {
        if self.waits_in_layer(Direction::Out) {
            self.let_leave();
            return Ok(true);
        }
        let mut busy = true;
        for sent in 0..TRANSMIT_BATCH {
            let Some(transmit) = self.stack.poll_transmit(now) else {
                busy = sent > 0;
                break;
            };
            let packet = out_packet(&transmit, &mut self.scratch);
            let enters = |layer: &mut Box<Impair>| layer.take_out(clock::now(), &packet);
            if !self.impair.as_mut().is_some_and(enters) {
                self.counts.count(self.device.transmit(&packet));
            }
        }
        Ok(self.let_leave() || busy)
    }

    /// Sleeps until something happens, unless something just did.
    fn sleep(&mut self, events: &mut Events) -> io::Result<()> {
        if !self.bridge.prepare_sleep() {
            return self.look_around(events);
        }
        let deadlines = [
            self.stack.next_deadline(),
            self.bridge.next_deadline(),
            self.impair.as_ref().and_then(|layer| layer.next_deadline()),
            self.stop.map(|stop| stop.at.min(stop.count_at)),
        ];
        self.set_timer(deadlines.into_iter().flatten().min())?;
        self.counts.sleeps += 1;
        self.poll(events, None)
    }

    /// There is work, but what only the poll knows must not wait for its end: one client that never rests would keep the
    /// device and everybody who slept waiting.
    fn look_around(&mut self, events: &mut Events) -> io::Result<()> {
        let now = clock::now();
        if now.duration_since(self.looked_at) < LOOK_EVERY {
            return Ok(());
        }
        self.looked_at = now;
        self.poll(events, Some(Duration::ZERO))
    }

    pub(super) fn poll(
        &mut self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        match self.poll.poll(events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        for event in events.iter() {
            match event.token() {
                DEVICE => self.readable = true,
                ORDERS => drain(&self.orders_waiting),
                TIMER => {
                    drain(&self.timer);
                    self.timer_at = None;
                }
                SWEPT => self.bridge.take_swept(&mut self.stack, clock::now()),
                token if is_endpoint(token) => self.bridge.on_socket_event(event),
                Token(bell) => self.bridge.hear_bell((bell - FIRST_BELL) as SessionId),
            }
        }
        Ok(())
    }

    fn set_timer(&mut self, at: Option<Instant>) -> io::Result<()> {
        if at == self.timer_at {
            return Ok(());
        }
        self.timer_at = at;
        let nanos = at.map_or(0, |at| at.as_nanos().max(1));
        let value = Timespec {
            tv_sec: (nanos / 1_000_000_000) as i64,
            tv_nsec: (nanos % 1_000_000_000) as i64,
        };
        let never = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let setting = Itimerspec {
            it_interval: never,
            it_value: value,
        };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &setting)?;
        Ok(())
    }

    /// Whether the stop is complete; then it has been reported.
    fn stopped(&mut self) -> bool {
        let Some(stop) = &mut self.stop else {
            return false;
        };
        let now = clock::now();
        if now < stop.at {
            if now < stop.count_at {
                return false;
            }
            stop.count_at = now + COUNT_EVERY;
            if self.bridge.unfinished(&self.stack) > 0 {
                return false;
            }
        }
        self.end_impairment(now);
        let reset = self.bridge.reset_all(&mut self.stack, now);
        // The resets leave before the device closes.
        while self.transmit(now).is_ok_and(|more| more) {}
        self.publish(now);
        self.bridge.report(Report::Stopped { reset });
        true
    }
}

fn bell_token(session: SessionId) -> Token {
    Token(FIRST_BELL + session as usize)
}

/// Reads a counter descriptor empty.
fn drain(fd: &OwnedFd) {
    let mut counter = [0; 8];
    rustix::io::read(fd, &mut counter).ok();
}

fn out_packet<'a>(
    transmit: &'a Transmit<'a, ConnectionRing>,
    scratch: &mut Vec<u8>,
) -> OutPacket<'a> {
    let payload = match &transmit.payload {
        Some(payload) => payload.ring.slices(payload.position, payload.len, scratch),
        None => [RawSlice::EMPTY; 2],
    };
    OutPacket {
        header: transmit.header,
        payload,
        segment_size: transmit.segment_size,
        checksum: transmit
            .checksum
            .map(|partial| (partial.start, partial.offset)),
    }
}

#[cfg(test)]
pub(super) mod tests;
