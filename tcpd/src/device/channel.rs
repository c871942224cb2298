//! Two devices joined in memory: what one sends the other receives, with the offload headers a TUN would have.
//!
//! For tests, and for stacks that talk without a kernel interface between them. Behind each end is a descriptor that can be
//! polled like a TUN's; the room between them is a socket buffer (some packets), beyond which `transmit` says `WouldBlock`.

use std::io;
use std::os::fd::RawFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::queue::{Queue, Statistics};
use super::{Device, OutPacket, Received};

/// One end.
#[derive(Debug)]
pub struct Channel {
    queue: Queue,
    mtu: u16,
}

/// Makes two ends. `mtu` is only told to the user, in bytes; with `offload` super-segments cross whole.
pub fn channel(mtu: u16, offload: bool) -> io::Result<(Channel, Channel)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (a, b) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let end = |fd| Channel {
        queue: Queue::new(fd, offload),
        mtu,
    };
    Ok((end(a), end(b)))
}

impl Device for Channel {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.queue.receive(buffer)
    }

    fn transmit(&mut self, packet: &OutPacket<'_>) -> io::Result<()> {
        self.queue.transmit(packet)
    }

    fn as_raw_fd(&self) -> RawFd {
        self.queue.as_raw_fd()
    }

    fn mtu(&self) -> u16 {
        self.mtu
    }

    fn offloads(&self) -> bool {
        self.queue.offloads()
    }

    fn statistics(&self) -> Statistics {
        self.queue.statistics()
    }
}

#[cfg(test)]
mod tests;
