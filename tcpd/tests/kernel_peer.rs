//! The core's stack on a real TUN, without the daemon around it: the kernel's TCP is the peer.

mod common {
    pub(crate) mod namespace;
    pub(crate) mod rerun;
}

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::namespace::in_namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tcpd::device::{Device, OutPacket, RECEIVE_BUFFER_LEN, Range, RawSlice, Tun, TunOptions};
use tcpd::system::clock;
use tcpd_core::random::Secret;
use tcpd_core::stack::{EndpointId, Event, IpCidr, ListenOptions, Stack, StackConfig};
use tcpd_core::tcp::buffer::{HeapRing, Ring};

const HOST: [&str; 2] = ["198.18.0.1", "fd00:7463:7064::1"];
const STACK: [&str; 2] = ["198.18.0.2", "fd00:7463:7064::2"];
const ECHO: u16 = 7;

/// A stack with an echo service, in a thread of its own.
struct EchoHost {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Tun>>,
}

impl EchoHost {
    fn start(offload: bool, mtu: u16) -> Self {
        let ranges = |addresses: [&str; 2]| {
            addresses.map(|address| {
                (
                    address.parse().unwrap(),
                    if address.contains(':') { 64 } else { 24 },
                )
            })
        };
        let host = ranges(HOST)
            .map(|(address, prefix)| Range { address, prefix })
            .to_vec();
        let tun = Tun::open(&TunOptions {
            host,
            offload,
            mtu: mtu.into(),
            ..TunOptions::default()
        })
        .unwrap();
        let addresses = ranges(STACK)
            .map(|(address, prefix)| IpCidr::new(address, prefix))
            .to_vec();
        let config = StackConfig {
            addresses,
            mtu,
            ..StackConfig::default()
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let now = clock::now();
            let mut stack = Stack::new(config, Secret::new([7; 16]), 1, now);
            let echo = ListenOptions {
                port: ECHO,
                ..ListenOptions::default()
            };
            stack.listen(now, echo).unwrap();
            Loop {
                tun,
                stack,
                unsent: HashMap::new(),
            }
            .run(&stopped)
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends the thread; the device tells what it saw.
    fn stop(mut self) -> Tun {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

struct Loop {
    tun: Tun,
    stack: Stack<HeapRing>,
    unsent: HashMap<EndpointId, Vec<u8>>,
}

impl Loop {
    fn run(mut self, stop: &AtomicBool) -> Tun {
        let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
        while !stop.load(Ordering::Relaxed) {
            self.take_packets(&mut buffer);
            if self
                .stack
                .next_deadline()
                .is_some_and(|deadline| deadline <= clock::now())
            {
                self.stack.on_deadline(clock::now());
            }
            while let Some(event) = self.stack.poll_event() {
                self.serve(event);
            }
            self.give_packets();
            self.wait();
        }
        self.tun
    }

    fn take_packets(&mut self, buffer: &mut [u8]) {
        loop {
            match self.tun.receive(buffer) {
                Ok(received) => {
                    self.stack
                        .receive(clock::now(), &buffer[..received.len], received.meta)
                }
                Err(error) => return assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
    }

    fn give_packets(&mut self) {
        while let Some(transmit) = self.stack.poll_transmit(clock::now()) {
            let mut bytes = Vec::new();
            if let Some(payload) = &transmit.payload {
                bytes.resize(payload.len as usize, 0);
                payload.ring.read_at(payload.position, &mut bytes);
            }
            let packet = OutPacket {
                header: transmit.header,
                payload: [
                    RawSlice {
                        pointer: bytes.as_ptr(),
                        len: bytes.len(),
                    },
                    RawSlice::EMPTY,
                ],
                segment_size: transmit.segment_size,
                checksum: transmit
                    .checksum
                    .map(|partial| (partial.start, partial.offset)),
            };
            self.tun.transmit(&packet).unwrap();
        }
    }

    fn serve(&mut self, event: Event) {
        match event {
            Event::Incoming { listener } => {
                while let Some(endpoint) = self.stack.accept(clock::now(), listener) {
                    self.echo(endpoint);
                }
            }
            Event::Changed { endpoint, .. } => self.echo(endpoint),
        }
    }

    fn echo(&mut self, id: EndpointId) {
        let now = clock::now();
        let unsent = self.unsent.entry(id).or_default();
        let mut buffer = [0; 64 * 1024];
        loop {
            let sent = if unsent.is_empty() {
                0
            } else {
                self.stack.send(now, id, unsent).unwrap_or(0)
            };
            unsent.drain(..sent);
            if !unsent.is_empty() {
                return;
            }
            match self.stack.receive_into(now, id, &mut buffer) {
                Ok(0) => {
                    // The peer has closed its half and has all of its bytes back; ours was closed before if this fails.
                    let _ = self.stack.close(now, id);
                    self.unsent.remove(&id);
                    return;
                }
                Ok(count) => unsent.extend_from_slice(&buffer[..count]),
                Err(_) => return,
            }
        }
    }

    fn wait(&self) {
        let patience = Duration::from_millis(20);
        let deadline = self.stack.next_deadline();
        let left = deadline.map_or(patience, |deadline| {
            deadline.duration_since(clock::now()).min(patience)
        });
        let limit = Timespec::try_from(left).unwrap();
        // SAFETY: the device stays open for the call.
        let fd = unsafe { BorrowedFd::borrow_raw(Device::as_raw_fd(&self.tun)) };
        poll(
            &mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)],
            Some(&limit),
        )
        .unwrap();
    }
}

fn connect(address: &str, port: u16) -> TcpStream {
    let stream = TcpStream::connect_timeout(
        &SocketAddr::new(address.parse().unwrap(), port),
        Duration::from_secs(10),
    )
    .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
}

/// Sends `len` bytes while reading them back, half-closes, and reads to the end.
fn echo_bytes(address: &str, len: usize) {
    let sent: Vec<u8> = (0..len).map(|at| (at % 253) as u8).collect();
    let mut stream = connect(address, ECHO);
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(
        back == sent,
        "{} bytes of {len} came back, or others",
        back.len()
    );
}

fn echo_over_both_families(offload: bool) {
    let host = EchoHost::start(offload, 1500);
    for address in STACK {
        for len in [0, 1, 1460, 100_000, 5_000_000] {
            echo_bytes(address, len);
        }
    }
    let tun = host.stop();
    let statistics = tun.statistics();
    assert_eq!((statistics.malformed, statistics.lost_out), (0, 0));
    let average = statistics.bytes_in / statistics.packets_in;
    assert_eq!(
        average > 1500,
        offload,
        "super-segments with offload, single packets without: {average} bytes a packet"
    );
}

#[test]
fn the_kernel_gets_its_bytes_back_with_offload() {
    in_namespace(|| echo_over_both_families(true));
}

#[test]
fn the_kernel_gets_its_bytes_back_without_offload() {
    in_namespace(|| echo_over_both_families(false));
}

#[test]
fn other_mtus_carry_too() {
    in_namespace(|| {
        for mtu in [1280, 9000, 65_535] {
            let host = EchoHost::start(true, mtu);
            for address in STACK {
                echo_bytes(address, 1_000_000);
            }
            drop(host.stop());
        }
    });
}

#[test]
fn a_closed_port_refuses_the_kernel() {
    in_namespace(|| {
        let host = EchoHost::start(true, 1500);
        for address in STACK {
            let remote = SocketAddr::new(address.parse().unwrap(), 4711);
            let error = TcpStream::connect_timeout(&remote, Duration::from_secs(10)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
        drop(host.stop());
    });
}

/// What the kernel sends in fragments is put together: it hears that nobody listens, by an error that quotes the whole.
#[test]
fn a_large_datagram_of_the_kernels_is_put_together() {
    in_namespace(|| {
        let host = EchoHost::start(true, 1500);
        for (own, address) in HOST.into_iter().zip(STACK) {
            let socket = UdpSocket::bind((own, 0)).unwrap();
            socket.connect((address, 4711)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            for len in [1473, 4000, 60_000] {
                socket.send(&vec![7; len]).unwrap();
                let error = socket.recv(&mut [0; 1]).unwrap_err();
                assert_eq!(
                    error.kind(),
                    ErrorKind::ConnectionRefused,
                    "{address} {len}"
                );
            }
        }
        drop(host.stop());
    });
}

#[test]
fn fifty_connections_at_once_keep_their_bytes_apart() {
    in_namespace(|| {
        let host = EchoHost::start(true, 1500);
        thread::scope(|scope| {
            for number in 0..50 {
                scope.spawn(move || echo_bytes(STACK[number % 2], 1000 + 997 * number));
            }
        });
        drop(host.stop());
    });
}
