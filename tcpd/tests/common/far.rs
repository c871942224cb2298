//! A daemon in a network of its own, and a kernel in another, with a wire between the two that a test holds in its hands.
//! Needs `mod daemon`, `mod deadline`, `mod host`, `mod packet` and `mod wire_end` beside it.
//!
//! ```text
//!   this namespace                the test                  the daemon's namespace
//!   kernel 10.77.0.1 ── TUN ──▶  two queues of packets ──▶  TUN ── kernel, forwarding ── TUN ── tcpd 198.18.0.2
//!          fd00:77::1                                                                                fd00:7463:7064::2
//! ```
//!
//! Each packet on the wire is one of a link with an MTU of 1500 bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tcpd::device::{RECEIVE_BUFFER_LEN, Tun};
use tcpd::system::clock;
use tcpd_core::time::Instant;

use super::daemon::Daemon;
use super::deadline::wait_for;
use super::host::Host;
use super::packet::{Seen, is_for_many};
use super::wire_end;

/// The kernel's addresses in the test's namespace.
pub(crate) const FAR_V4: &str = "10.77.0.1";
/// The same for IPv6.
pub(crate) const FAR_V6: &str = "fd00:77::1";
/// Its router, in the daemon's namespace.
const ROUTER_V4: &str = "10.77.0.254";
const ROUTER_V6: &str = "fd00:77::fe";

/// The two ends of the wire.
const NEAR: &str = "far0";
const ROUTER: &str = "wire0";

/// The kernel's address, far from tcpd, with this port.
pub(crate) fn far(port: u16) -> SocketAddr {
    SocketAddr::new(FAR_V4.parse().expect("an address"), port)
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    ToKernel,
    ToTcpd,
}

/// What the wire does to each packet by itself: it may change it; false: it is lost.
pub(crate) type Treatment = Box<dyn FnMut(Way, &mut Vec<u8>) -> bool + Send>;

/// One direction of the wire.
#[derive(Default)]
struct Lane {
    held: bool,
    /// Each with the time when it arrives.
    packets: VecDeque<(Instant, Vec<u8>)>,
}

struct Wire {
    /// [`Way`] is the index.
    lanes: Mutex<[Lane; 2]>,
    /// Rung when the thread shall look at `lanes`, or end.
    bell: OwnedFd,
    over: std::sync::atomic::AtomicBool,
}

/// The daemon and the wire. Both end with it.
pub(crate) struct Far {
    pub(crate) daemon: Daemon,
    /// Where the daemon is.
    pub(crate) host: Host,
    wire: Arc<Wire>,
    /// What its ends had dropped before it was laid: a kernel talks as soon as it has an interface.
    dropped: [u64; 2],
    thread: Option<JoinHandle<()>>,
}

impl Far {
    /// Starts a daemon with these `--set` flags in a namespace of its own, and lays the wire.
    pub(crate) fn start(set: &[&str]) -> Far {
        Far::start_over(set, Duration::ZERO, Box::new(|_, _| true))
    }

    /// The same over a wire that takes so long each way, and that treats each packet so.
    pub(crate) fn start_over(set: &[&str], delay: Duration, treat: Treatment) -> Far {
        let host = Host::new();
        host.set("ipv4/ip_forward", "1");
        host.set("ipv6/conf/all/forwarding", "1");
        let daemon = host.inside(|| Daemon::start_with("", set));
        host.ip(&format!("link set tcpd0 txqueuelen {}", wire_end::QUEUE));
        let near = wire_end::tun(
            NEAR,
            &[
                (FAR_V4, 24),
                ("198.18.0.250", 24),
                (FAR_V6, 64),
                ("fd00:7463:7064::fa", 64),
            ],
        );
        let router = host.inside(|| wire_end::tun(ROUTER, &[(ROUTER_V4, 24), (ROUTER_V6, 64)]));
        let wire = Arc::new(Wire {
            lanes: Mutex::default(),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("a bell"),
            over: false.into(),
        });
        let carried = Arc::clone(&wire);
        Far {
            daemon,
            dropped: dropped(&host),
            host,
            wire,
            thread: Some(std::thread::spawn(move || {
                let line = Line { delay, treat };
                carried.carry(line, near, router);
            })),
        }
    }

    /// From now on packets that go this way wait.
    pub(crate) fn hold(&self, way: Way) {
        self.wire.lanes()[way as usize].held = true;
    }

    /// Those that wait go on, and so does what comes.
    pub(crate) fn release(&self, way: Way) {
        self.wire.lanes()[way as usize].held = false;
        self.wire.ring();
    }

    /// Segments with exactly these flags that wait are lost; what comes waits as before.
    pub(crate) fn lose(&self, way: Way, flags: u8) {
        let mut lanes = self.wire.lanes();
        lanes[way as usize]
            .packets
            .retain(|(_, packet)| !has_flags(packet, flags));
    }

    /// Puts a packet on the wire that neither end has sent, behind those that wait.
    pub(crate) fn inject(&self, way: Way, packet: Vec<u8>) {
        let packets = &mut self.wire.lanes()[way as usize].packets;
        packets.push_back((clock::now(), packet));
        self.wire.ring();
    }

    /// A copy of what waits to go this way.
    pub(crate) fn waiting(&self, way: Way) -> Vec<Vec<u8>> {
        let lanes = self.wire.lanes();
        let packets = lanes[way as usize].packets.iter();
        packets.map(|(_, packet)| packet.clone()).collect()
    }

    /// Waits until a segment with exactly these flags (RFC 9293 §3.1) waits to go this way.
    pub(crate) fn await_held(&self, way: Way, flags: u8) {
        wait_for("segment on the wire", 20, || {
            (self.held(way, flags) > 0).then_some(())
        });
    }

    /// Segments with exactly these flags that wait to go this way.
    pub(crate) fn held(&self, way: Way, flags: u8) -> usize {
        let lanes = self.wire.lanes();
        let packets = lanes[way as usize].packets.iter();
        packets
            .filter(|(_, packet)| has_flags(packet, flags))
            .count()
    }
}

/// What the two ends have dropped; one is in this namespace, the other in the daemon's.
fn dropped(host: &Host) -> [u64; 2] {
    [Host::here().dropped(NEAR), host.dropped(ROUTER)]
}

impl Drop for Far {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let dropped = dropped(&self.host);
            assert_eq!(dropped, self.dropped, "an end had no room for packets");
        }
        self.wire
            .over
            .store(true, std::sync::atomic::Ordering::Release);
        self.wire.ring();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the wire broke");
        }
    }
}

impl Wire {
    fn lanes(&self) -> MutexGuard<'_, [Lane; 2]> {
        self.lanes.lock().expect("no panic")
    }

    fn ring(&self) {
        rustix::io::write(&self.bell, &1u64.to_ne_bytes()).expect("ring");
    }

    fn carry(&self, mut line: Line, mut near: Tun, mut router: Tun) {
        let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
        let mut next = None;
        while !self.over.load(std::sync::atomic::Ordering::Acquire) {
            let [near_end, router_end] = [&near, &router].map(wire_end::descriptor);
            wire_end::wait(&[near_end, router_end, self.bell.as_fd()], next);
            // Whether it rang or not.
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
            let mut lanes = self.lanes();
            let [to_kernel, to_tcpd] = &mut *lanes;
            line.take(&mut near, &mut buffer, Way::ToTcpd, to_tcpd);
            line.take(&mut router, &mut buffer, Way::ToKernel, to_kernel);
            let due = [give(&mut router, to_tcpd), give(&mut near, to_kernel)];
            next = due.into_iter().flatten().min();
        }
    }
}

/// What the wire does by itself.
struct Line {
    delay: Duration,
    treat: Treatment,
}

impl Line {
    /// All but what is for many hosts: the kernels talk of other things too on a new link.
    fn take(&mut self, tun: &mut Tun, buffer: &mut [u8], way: Way, lane: &mut Lane) {
        while let Some(len) = wire_end::take(tun, buffer) {
            let mut packet = buffer[..len].to_vec();
            if !is_for_many(&packet) && (self.treat)(way, &mut packet) {
                lane.packets.push_back((clock::now() + self.delay, packet));
            }
        }
    }
}

/// Gives what has arrived; when the next packet does.
fn give(tun: &mut Tun, lane: &mut Lane) -> Option<Instant> {
    if lane.held {
        return None;
    }
    while let Some((at, _)) = lane.packets.front() {
        if *at > clock::now() {
            return Some(*at);
        }
        let (_, packet) = lane.packets.pop_front()?;
        wire_end::give(tun, &packet);
    }
    None
}

fn has_flags(packet: &[u8], flags: u8) -> bool {
    Seen::of(packet).is_some_and(|seen| seen.flags.0 == flags)
}
