//! A wire between two network namespaces that treats each TCP connection as a network of its own would: two TUN interfaces, and a
//! thread that carries packets from one to the other through a seeded [`Pipe`] each way.
//!
//! ```text
//!   near namespace             one thread                     far namespace
//!   kernel 198.19.0.1 ── TUN ──▶ port 10000: a Pipe each way ──▶ TUN ── kernel 198.19.0.2, or forwarded to tcpd
//!                      cut to    port 10001: a Pipe each way
//!                      the MTU   …
//! ```
//!
//! A turn of the thread: take what the kernels have sent, stamped with the time it was read; give what is due; sleep until the next packet
//! is due or another comes. Times on the wire are reckoned, not measured, so that a late turn shifts one packet and not the rate.
//! How late packets were given is counted ([`Lateness`]).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tcpd::device::{RECEIVE_BUFFER_LEN, Tun};
use tcpd::system::clock;
use tcpd_core::impairment::{Counters, Impairment, Pipe};
use tcpd_core::time::Instant;

use super::host::Host;
use super::wire_end;

/// The kernel's address in the namespace the relay was made in.
pub(crate) const NEAR: &str = "198.19.0.1";
/// The kernel's address in the other.
pub(crate) const FAR: &str = "198.19.0.2";
/// The interface in the one.
pub(crate) const NEAR_INTERFACE: &str = "near0";
/// And in the other.
pub(crate) const FAR_INTERFACE: &str = "far0";

/// Packets taken from one side before the other has its turn and what is due is given.
const BATCH: usize = 32;

/// Which way a packet goes; the index of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    ToFar,
    ToNear,
}

/// What became of a connection's packets.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    /// [`Way`] is the index.
    pub(crate) counters: [Counters; 2],
    /// How late they were given.
    pub(crate) lateness: Lateness,
}

/// How much later than reckoned packets were given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lateness {
    /// Packets by lateness: up to 2^n microseconds, the last bucket without a limit.
    buckets: [u64; 20],
    /// The worst.
    pub(crate) most: Duration,
}

/// The relay. Its interfaces and its thread go with it.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Rung when the thread shall end.
    bell: OwnedFd,
    over: AtomicBool,
}

#[derive(Default)]
struct State {
    /// By the port of the near end.
    lanes: HashMap<u16, Lane>,
    /// When which pipe has something to give: the last entry of each is the one that its lane knows of.
    due: BinaryHeap<Reverse<(Instant, u16, Way)>>,
    lateness: Lateness,
}

struct Lane {
    /// [`Way`] is the index.
    pipes: [Pipe; 2],
    /// For when each of them stands in [`State::due`].
    awaited: [Option<Instant>; 2],
    lateness: Lateness,
}

impl Relay {
    /// Lays the wire from the calling thread's namespace to `far`, and starts to carry. Packets of connections without a lane are dropped.
    pub(crate) fn start(far: &Host) -> Relay {
        let near = wire_end::tun(NEAR_INTERFACE, &[(NEAR, 24)]);
        let far = far.inside(|| wire_end::tun(FAR_INTERFACE, &[(FAR, 24)]));
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("a bell"),
            over: AtomicBool::new(false),
        });
        let carried = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || {
                be_prompt();
                carried.carry([near, far]);
            })
            .expect("a thread");
        Relay {
            shared,
            thread: Some(thread),
        }
    }

    /// From now on packets of connections with this port at the near end are carried, each way through one of `paths` ([`Way`] is the
    /// index).
    pub(crate) fn lay(&self, port: u16, paths: [Impairment; 2], seed: u64) {
        let [there, back] = paths;
        let lane = Lane {
            pipes: [Pipe::new(there, seed), Pipe::new(back, !seed)],
            awaited: [None; 2],
            lateness: Lateness::default(),
        };
        self.shared.state().lanes.insert(port, lane);
    }

    /// From now on nothing is lost there by chance any more.
    pub(crate) fn lose_no_more(&self, port: u16) {
        if let Some(lane) = self.shared.state().lanes.get_mut(&port) {
            for pipe in &mut lane.pipes {
                let lossless = Impairment {
                    loss: 0.0,
                    burst: None,
                    ..pipe.impairment().clone()
                };
                pipe.reconfigure(lossless);
            }
        }
    }

    /// What became of these packets so far.
    pub(crate) fn carried(&self, port: u16) -> Carried {
        let state = self.shared.state();
        let lane = state.lanes.get(&port).expect("a lane");
        Carried {
            counters: [0, 1].map(|way: usize| *lane.pipes[way].counters()),
            lateness: lane.lateness,
        }
    }

    /// How late packets were given, of all connections together.
    pub(crate) fn lateness(&self) -> Lateness {
        self.shared.state().lateness
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        rustix::io::write(&self.shared.bell, &1u64.to_ne_bytes()).expect("ring");
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the relay broke");
        }
    }
}

impl Lateness {
    fn count(&mut self, late: Duration) {
        let bits = u64::BITS - (late.as_micros() as u64).leading_zeros();
        let bucket = (bits as usize).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
        self.most = self.most.max(late);
    }

    /// Packets given.
    pub(crate) fn packets(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Less than this were late all but `share` of the packets: a power of two of microseconds.
    pub(crate) fn all_but(&self, share: f64) -> Duration {
        let most = (self.packets() as f64 * share) as u64;
        let mut beyond = 0;
        for (bucket, packets) in self.buckets.iter().enumerate().rev() {
            beyond += packets;
            if beyond > most {
                return Duration::from_micros(1 << bucket);
            }
        }
        Duration::ZERO
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// `ends` are near and far.
    fn carry(&self, mut ends: [Tun; 2]) {
        let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
        while !self.over.load(Ordering::Acquire) {
            let mut state = self.state();
            let [near, far] = &mut ends;
            let mut more = state.take(near, Way::ToFar, &mut buffer);
            more |= state.take(far, Way::ToNear, &mut buffer);
            let next = state.give(&mut ends);
            drop(state);
            if !more {
                let [near, far] = ends.each_ref().map(wire_end::descriptor);
                wire_end::wait(&[near, far, self.bell.as_fd()], next);
            }
        }
    }
}

impl Lane {
    /// When something is due this way, if that is sooner than what is awaited already.
    fn next_event(&mut self, way: Way) -> Option<Instant> {
        let next = self.pipes[way as usize].next_arrival()?;
        let awaited = &mut self.awaited[way as usize];
        if awaited.is_some_and(|awaited| awaited <= next) {
            return None;
        }
        *awaited = Some(next);
        Some(next)
    }
}

impl State {
    /// Takes packets from one side; true when there may be more.
    fn take(&mut self, from: &mut Tun, way: Way, buffer: &mut [u8]) -> bool {
        for _ in 0..BATCH {
            let Some(len) = wire_end::take(from, buffer) else {
                return false;
            };
            let packet = &buffer[..len];
            let Some(port) = near_port(packet, way) else {
                continue;
            };
            if let Some(lane) = self.lanes.get_mut(&port) {
                lane.pipes[way as usize].send(clock::now(), packet.to_vec(), ());
                let next = lane.next_event(way);
                self.due.extend(next.map(|at| Reverse((at, port, way))));
            }
        }
        true
    }

    /// Gives what is due and says when the next packet is.
    fn give(&mut self, ends: &mut [Tun; 2]) -> Option<Instant> {
        while let Some(&Reverse((at, port, way))) = self.due.peek() {
            let now = clock::now();
            if at > now {
                return Some(at);
            }
            self.due.pop();
            let lane = self.lanes.get_mut(&port).expect("a lane stays");
            if lane.awaited[way as usize] != Some(at) {
                // An earlier one has come since.
                continue;
            }
            lane.awaited[way as usize] = None;
            let to = &mut ends[1 - way as usize];
            let pipe = &mut lane.pipes[way as usize];
            while let Some(due) = pipe.next_arrival().filter(|due| *due <= now) {
                let (packet, ()) = pipe.receive(now).expect("it has arrived");
                let late = now.duration_since(due);
                lane.lateness.count(late);
                self.lateness.count(late);
                wire_end::give(to, &packet);
            }
            let next = lane.next_event(way);
            self.due.extend(next.map(|at| Reverse((at, port, way))));
        }
        None
    }
}

/// The near end's port, if this is TCP over a plain IPv4 header: the kernels talk of other things too on a new link.
fn near_port(packet: &[u8], way: Way) -> Option<u16> {
    if packet.len() < 40 || packet[0] != 0x45 || packet[9] != 6 {
        return None;
    }
    let at = match way {
        Way::ToFar => 20,
        Way::ToNear => 22,
    };
    Some(u16::from_be_bytes([packet[at], packet[at + 1]]))
}

/// Before every other thread where we may; and its timers are not put together with others'.
fn be_prompt() {
    let parameters = libc::sched_param { sched_priority: 10 };
    // SAFETY: both calls read their arguments and change nothing but how the kernel schedules this thread.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters);
        libc::prctl(libc::PR_SET_TIMERSLACK, 1);
    }
}
