//! What a connection in TIME-WAIT costs, by the allocator's own count. `cargo xtask soak` does the same with a million.
//!
//! An entry is 48 bytes in its slot, 56 with the slot's generation, where everything about it stands: the pair with the own address as
//! an index, SND.NXT, RCV.NXT, TS.Recent, the window. What every endpoint costs in the tables comes on top: a node of the timer
//! wheel (24) and whose it is (8), a place in the flow table (9, at most 7/8 full), a place in the queue by age (8).

#![expect(
    unsafe_code,
    reason = "to count what is allocated one has to be the allocator"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tcpd_core::random::Secret;
use tcpd_core::stack::{
    EndpointId, IpCidr, ListenOptions, ListenerId, OpenError, ReceiveMeta, Stack, StackConfig,
    State,
};
use tcpd_core::tcp::buffer::HeapRing;
use tcpd_core::time::Instant;
use tcpd_core::wire::{Flags, IpAddresses, IpHeader, SequenceNumber, TcpSegment};

#[path = "common"]
mod common {
    pub(crate) mod packets;
}

use common::packets::segment_packet;

/// Bytes allocated and not yet freed.
static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes on to the system's allocator with the arguments it came with; the counter touches no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `pointer` came from `alloc` above with this layout, and thus from the system.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many in an ordinary run: little of what the tables have room for stays empty, as with a million.
const ENTRIES: u32 = 28_000;
/// What an entry may cost in all, bytes.
const MOST: f64 = 128.0;
const MSL: Duration = Duration::from_secs(30);
const OWN_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x7463, 0x7064, 0, 0, 0, 0, 2);

/// One stack, and as many peers as one likes.
struct Server {
    stack: Stack<HeapRing>,
    listener: ListenerId,
    now: Instant,
}

/// The addresses of peer `number` towards the server, and its port: families in turn, 16,384 ports each.
fn peer(number: u32) -> (IpAddresses, u16) {
    let host = number >> 15;
    let addresses = if number.is_multiple_of(2) {
        IpAddresses {
            source: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0001 + host)),
            destination: OWN_V4.into(),
        }
    } else {
        IpAddresses {
            source: IpAddr::V6(Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, host as u16 + 1)),
            destination: OWN_V6.into(),
        }
    };
    (addresses, 40_000 + (number >> 1) as u16 % 16_384)
}

impl Server {
    fn new(entries: u32) -> Server {
        let own = [IpAddr::from(OWN_V4), IpAddr::from(OWN_V6)];
        let mut config = StackConfig {
            addresses: own.map(|own| IpCidr::new(own, 24)).to_vec(),
            ..StackConfig::default()
        };
        config.limits.time_wait = entries as usize;
        config.tcp.msl = MSL;
        let now = Instant::from_secs(1_000);
        let mut stack = Stack::new(config, Secret::new([9; 16]), 1, now);
        let listener = stack.listen(now, port_80()).expect("listen");
        Server {
            stack,
            listener,
            now,
        }
    }

    fn tell(&mut self, number: u32, flags: Flags, seq: u32, ack: SequenceNumber) {
        let (addresses, source_port) = peer(number);
        let segment = TcpSegment {
            source_port,
            destination_port: 80,
            seq: SequenceNumber(seq),
            ack,
            flags,
            window: 65_535,
            ..TcpSegment::default()
        };
        let packet = segment_packet(addresses, &segment);
        self.stack
            .receive(self.now, &packet, ReceiveMeta::default());
    }

    /// Flags and number of the one segment that the server sends now.
    fn answer(&mut self) -> (Flags, SequenceNumber) {
        let mut found = None;
        while let Some(transmit) = self.stack.poll_transmit(self.now) {
            let header = IpHeader::parse(transmit.header).expect("a header");
            let bytes = &transmit.header[header.payload.start..];
            let segment = TcpSegment::parse(bytes).expect("a segment");
            assert!(found.is_none(), "one segment");
            found = Some((segment.flags, segment.seq));
        }
        while self.stack.poll_event().is_some() {}
        found.expect("an answer")
    }

    /// A connection of peer `number`, which the server closes first.
    fn serve(&mut self, number: u32) -> EndpointId {
        self.tell(number, Flags::SYN, 0, SequenceNumber(0));
        let (flags, iss) = self.answer();
        assert_eq!(flags, Flags::SYN | Flags::ACK);
        self.tell(number, Flags::ACK, 1, iss + 1);
        let id = self.stack.accept(self.now, self.listener);
        let id = id.expect("established");
        self.stack.close(self.now, id).expect("close");
        assert_eq!(self.answer().0, Flags::FIN | Flags::ACK);
        self.tell(number, Flags::FIN | Flags::ACK, 1, iss + 2);
        assert_eq!(self.answer().0, Flags::ACK);
        id
    }

    fn waiting(&self) -> usize {
        let endpoints = self.stack.endpoints();
        endpoints
            .filter(|line| line.state == State::TimeWait)
            .count()
    }

    /// Lets time pass up to `to`.
    fn run(&mut self, to: Instant) {
        while let Some(at) = self.stack.next_deadline().filter(|at| *at <= to) {
            self.now = self.now.max(at);
            self.stack.on_deadline(self.now);
        }
        self.now = to;
    }
}

fn port_80() -> ListenOptions {
    ListenOptions {
        port: 80,
        ..ListenOptions::default()
    }
}

#[test]
fn time_wait_costs_little_and_all_of_it_ends_in_time() {
    let entries = match std::env::var("TCPD_TIME_WAITS") {
        Ok(entries) => entries.parse().expect("TCPD_TIME_WAITS is a number"),
        Err(_) => ENTRIES,
    };
    let mut server = Server::new(entries);
    // What is allocated once: tables of fixed size, scratch space.
    server.serve(1 << 30);
    server.run(server.now + 2 * MSL);
    assert_eq!(server.waiting(), 0);

    let before = LIVE.load(Ordering::Relaxed);
    let first = server.now;
    for number in 0..entries {
        server.serve(number);
        server.now += Duration::from_micros(1);
    }
    let each = (LIVE.load(Ordering::Relaxed) - before) as f64 / f64::from(entries);
    println!(
        "{entries} in TIME-WAIT: {each:.1} bytes each, 56 of them its slot, the rest its place in the tables"
    );
    assert!((56.0..=MOST).contains(&each), "{each} bytes each");
    assert_eq!(
        server.waiting(),
        entries as usize,
        "none was refused or evicted"
    );

    // One after the other, each at its time: the first, and all but the last.
    server.run(first + 2 * MSL - Duration::from_nanos(1));
    assert_eq!(server.waiting(), entries as usize);
    server.run(first + 2 * MSL);
    assert_eq!(server.waiting(), entries as usize - 1);
    let last = first + Duration::from_micros(u64::from(entries) - 1);
    server.run(last + 2 * MSL - Duration::from_nanos(1));
    assert_eq!(server.waiting(), 1);
    server.stack.close_listener(server.now, server.listener);
    let listen = |server: &mut Server| server.stack.listen(server.now, port_80());
    assert_eq!(listen(&mut server), Err(OpenError::AddressInUse));
    server.run(last + 2 * MSL);
    assert_eq!(server.stack.endpoints().count(), 0);
    assert_eq!(server.stack.next_deadline(), None);
    listen(&mut server).expect("the port is free again");
    let ended = server
        .stack
        .counters()
        .transitions(State::TimeWait, State::Closed);
    assert_eq!(ended, u64::from(entries) + 1);
    server.stack.assert_invariants();
}
