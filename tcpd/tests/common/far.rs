//! A daemon in a network of its own, and a kernel in another, with a wire between the two that a test holds in its hands.
//! Needs `mod daemon`, `mod deadline` and `mod host` beside it.
//!
//! ```text
//!   this namespace                the test                  the daemon's namespace
//!   kernel 10.77.0.1 ── TUN ──▶  two queues of packets ──▶  TUN ── kernel, forwarding ── TUN ── tcpd 198.18.0.2
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use tcpd::device::{Device, OutPacket, RECEIVE_BUFFER_LEN, Range, RawSlice, Tun, TunOptions};

use super::daemon::Daemon;
use super::deadline::wait_for;
use super::host::Host;

/// The kernel's address in the test's namespace.
const FAR: &str = "10.77.0.1";
/// Its router, in the daemon's namespace.
const ROUTER: &str = "10.77.0.254";

/// Where the flags stand in a packet of a plain IPv4 header (RFC 9293 §3.1).
const FLAGS: usize = 20 + 13;

/// The kernel's address, far from tcpd, with this port.
pub(crate) fn far(port: u16) -> SocketAddr {
    SocketAddr::new(FAR.parse().expect("an address"), port)
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToKernel,
    ToTcpd,
}

/// One direction of the wire.
#[derive(Default)]
struct Lane {
    held: bool,
    packets: VecDeque<Vec<u8>>,
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
    thread: Option<JoinHandle<()>>,
}

impl Far {
    /// Starts a daemon with these `--set` flags in a namespace of its own, and lays the wire.
    pub(crate) fn start(set: &[&str]) -> Far {
        let host = Host::new();
        host.set("ipv4/ip_forward", "1");
        let daemon = host.inside(|| Daemon::start_with("", set));
        let near = tun("far0", &[(FAR, 24), ("198.18.0.250", 24)]);
        let router = host.inside(|| tun("wire0", &[(ROUTER, 24)]));
        let wire = Arc::new(Wire {
            lanes: Mutex::default(),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("a bell"),
            over: false.into(),
        });
        let carried = Arc::clone(&wire);
        Far {
            daemon,
            host,
            wire,
            thread: Some(std::thread::spawn(move || carried.carry(near, router))),
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
            .retain(|packet| packet[FLAGS] != flags);
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
        packets.filter(|packet| packet[FLAGS] == flags).count()
    }
}

impl Drop for Far {
    fn drop(&mut self) {
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

    fn carry(&self, mut near: Tun, mut router: Tun) {
        let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
        while !self.over.load(std::sync::atomic::Ordering::Acquire) {
            wait(&[descriptor(&near), descriptor(&router), self.bell.as_fd()]);
            // Whether it rang or not.
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
            let mut lanes = self.lanes();
            take(&mut near, &mut buffer, &mut lanes[Way::ToTcpd as usize]);
            take(&mut router, &mut buffer, &mut lanes[Way::ToKernel as usize]);
            give(&mut router, &mut lanes[Way::ToTcpd as usize]);
            give(&mut near, &mut lanes[Way::ToKernel as usize]);
        }
    }
}

/// Only TCP over IPv4: the kernels talk of other things too on a new link.
fn take(tun: &mut Tun, buffer: &mut [u8], lane: &mut Lane) {
    while let Ok(received) = tun.receive(buffer) {
        let packet = &buffer[..received.len];
        if packet[0] == 0x45 && packet[9] == 6 && packet.len() >= 40 {
            lane.packets.push_back(packet.to_vec());
        }
    }
}

fn give(tun: &mut Tun, lane: &mut Lane) {
    if lane.held {
        return;
    }
    for packet in lane.packets.drain(..) {
        let packet = OutPacket {
            header: &packet,
            payload: [RawSlice::EMPTY, RawSlice::EMPTY],
            segment_size: 0,
            checksum: None,
            ipv6: false,
        };
        tun.transmit(&packet).expect("a packet is taken");
    }
}

fn tun(name: &str, addresses: &[(&str, u8)]) -> Tun {
    let range = |(address, prefix): &(&str, u8)| Range {
        address: address.parse().expect("an address"),
        prefix: *prefix,
    };
    let options = TunOptions {
        name: name.to_owned(),
        host: addresses.iter().map(range).collect(),
        offload: false,
        ..TunOptions::default()
    };
    Tun::open(&options).expect("a TUN interface")
}

fn descriptor(tun: &Tun) -> BorrowedFd<'_> {
    // SAFETY: the device keeps its descriptor open, and the borrow lasts no longer than the device's.
    unsafe { BorrowedFd::borrow_raw(tun.as_raw_fd()) }
}

fn wait(descriptors: &[BorrowedFd<'_>]) {
    let mut polled: Vec<_> = descriptors
        .iter()
        .map(|fd| PollFd::new(fd, PollFlags::IN))
        .collect();
    match poll(&mut polled, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => panic!("poll: {error}"),
    }
}
