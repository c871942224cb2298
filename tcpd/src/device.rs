//! The device: where packets come from and go to.
//!
//! A [`Device`] carries whole IP packets, without a link layer, and super-segments of up to 64 KiB where it can. Four of its
//! modules make it up: [`tun`] opens and addresses the interface (through [`netlink`]), [`queue`] reads and writes it,
//! [`vnet_header`] says what the kernel did or shall do, [`offload`] does the same in software where the kernel does not.
//! [`impair`] stands between the device and the stack, and does to packets what a bad network does.
//! [`channel`] is the same contract without a kernel interface, for tests.

pub mod channel;
pub mod error;
pub mod impair;
pub mod netlink;
pub mod offload;
pub mod queue;
pub mod tun;
pub mod vnet_header;

use std::io;
use std::os::fd::RawFd;

pub use error::DeviceError;
pub use libtcpclient::shm::RawSlice;
pub use netlink::Range;
pub use queue::Statistics;
pub use tcpd_core::stack::ReceiveMeta;
pub use tun::{Tun, TunOptions};
pub use vnet_header::Malformed;

/// Bytes a receive buffer must have: the longest IP packet, a super-segment included.
pub const RECEIVE_BUFFER_LEN: usize = 65_535;

/// One packet, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the packet, 1 to 65,535.
    pub len: usize,
    /// What is known of it beside its bytes.
    pub meta: ReceiveMeta,
}

/// One packet or super-segment to send: headers, and payload that may lie in two pieces (a ring that wraps).
#[derive(Clone, Copy, Debug)]
pub struct OutPacket<'a> {
    /// The IP header and what follows it up to the payload; the whole packet if there is no payload.
    pub header: &'a [u8],
    /// Memory that may change while it is read (a client's ring); an empty slice has length 0.
    pub payload: [RawSlice; 2],
    /// Payload bytes of each packet to cut; 0 = send as one packet.
    pub segment_size: u16,
    /// `(start, offset)`: a partial checksum stands at `start + offset` and covers everything from `start`; `None` = complete.
    pub checksum: Option<(u16, u16)>,
}

impl<'a> OutPacket<'a> {
    /// A whole packet in one piece, with its checksum.
    pub fn whole(packet: &'a [u8]) -> OutPacket<'a> {
        OutPacket {
            header: packet,
            payload: [RawSlice::EMPTY; 2],
            segment_size: 0,
            checksum: None,
        }
    }

    /// Whether it is IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.header.first().is_some_and(|first| first >> 4 == 6)
    }

    /// Bytes of payload.
    pub fn payload_len(&self) -> usize {
        self.payload[0].len + self.payload[1].len
    }

    /// Whether it must be cut into several packets.
    pub fn is_super_segment(&self) -> bool {
        self.segment_size != 0 && self.payload_len() > usize::from(self.segment_size)
    }
}

/// Carries IP packets; never blocks.
pub trait Device: Send {
    /// Takes the next packet. `buffer` has at least [`RECEIVE_BUFFER_LEN`] bytes.
    ///
    /// Errors: `WouldBlock` when there is none; `InvalidData` (around a [`Malformed`]) for a packet whose offload header
    /// contradicts it, which is dropped and counted: go on reading; anything else means the device is broken.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received>;

    /// Sends one packet or super-segment.
    ///
    /// Errors: `WouldBlock` when nothing of it was taken: try later; otherwise the packet is lost, as on any network.
    fn transmit(&mut self, packet: &OutPacket<'_>) -> io::Result<()>;

    /// What to poll for readability. Edge-triggered users read until `WouldBlock`.
    fn as_raw_fd(&self) -> RawFd;

    /// Bytes of the longest packet the other side takes, cut ones included.
    fn mtu(&self) -> u16;

    /// Whether cutting and checksums are done by the kernel; if not, [`offload`] does them within `transmit`.
    fn offloads(&self) -> bool;

    /// What the device counted since it was opened.
    fn statistics(&self) -> Statistics;
}
