//! One queue of packets behind a descriptor: the reads and writes that the TUN and the in-memory channel share.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::offload::Cutter;
use super::vnet_header::{self, Malformed, VnetHeader};
use super::{OutPacket, Received};

/// Counts since the queue was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets given to the stack, a super-segment counted once.
    pub packets_in: u64,
    /// Bytes of them, IP header included.
    pub bytes_in: u64,
    /// Packets dropped for a malformed offload header.
    pub malformed: u64,
    /// Writes the other side took, a super-segment counted once with offload and per packet without.
    pub packets_out: u64,
    /// Bytes of them.
    pub bytes_out: u64,
    /// Packets the other side refused or had no room for in the middle of a super-segment.
    pub lost_out: u64,
}

/// A nonblocking descriptor that takes and gives one packet, with its offload header, a call.
#[derive(Debug)]
pub(super) struct Queue {
    fd: OwnedFd,
    offload: bool,
    cutter: Cutter,
    statistics: Statistics,
}

impl Queue {
    /// `fd` is nonblocking and speaks with offload headers of [`vnet_header::LEN`] bytes.
    /// Without `offload` every header out is empty, and packets are cut and checksummed before they leave.
    pub(super) fn new(fd: OwnedFd, offload: bool) -> Self {
        Self {
            fd,
            offload,
            cutter: Cutter::default(),
            statistics: Statistics::default(),
        }
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut header = [0; vnet_header::LEN];
        let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)];
        let read = rustix::io::readv(&self.fd, &mut parts)?;
        match accept(&header, buffer, read) {
            Ok(received) => {
                self.statistics.packets_in += 1;
                self.statistics.bytes_in += received.len as u64;
                Ok(received)
            }
            Err(malformed) => {
                self.statistics.malformed += 1;
                Err(io::Error::new(io::ErrorKind::InvalidData, malformed))
            }
        }
    }

    pub(super) fn transmit(&mut self, packet: &OutPacket<'_>) -> io::Result<()> {
        if self.offload {
            let header = VnetHeader::for_packet(packet).encode();
            let written = write_packet(self.fd.as_fd(), &header, packet);
            return self.statistics.count_out(written);
        }
        let Self {
            fd,
            cutter,
            statistics,
            ..
        } = self;
        let mut taken = false;
        let mut outcome = Ok(());
        cutter.for_each_packet(packet, |bytes| {
            let whole = OutPacket::whole(bytes);
            let written = write_packet(fd.as_fd(), &[0; vnet_header::LEN], &whole);
            match statistics.count_out(written) {
                Ok(()) => taken = true,
                // A part of the super-segment is gone: the rest is lost, as in any full queue.
                Err(_) if taken => statistics.lost_out += 1,
                Err(error) => outcome = Err(error),
            }
        });
        if taken { Ok(()) } else { outcome }
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub(super) fn offloads(&self) -> bool {
        self.offload
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.statistics
    }
}

impl Statistics {
    fn count_out(&mut self, written: io::Result<usize>) -> io::Result<()> {
        match written {
            Ok(len) => {
                self.packets_out += 1;
                self.bytes_out += (len - vnet_header::LEN) as u64;
                Ok(())
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.lost_out += 1;
                }
                Err(error)
            }
        }
    }
}

/// Judges one read of `read` bytes, header and packet.
fn accept(
    header: &[u8; vnet_header::LEN],
    buffer: &[u8],
    read: usize,
) -> Result<Received, Malformed> {
    let len = read
        .checked_sub(vnet_header::LEN)
        .ok_or(Malformed::TooShort { len: read })?;
    let meta = VnetHeader::decode(header).verify(&buffer[..len])?;
    Ok(Received { len, meta })
}

/// Writes offload header, headers and both pieces of payload in one call. Gives the bytes written: all of them, or an error.
fn write_packet(
    fd: BorrowedFd<'_>,
    vnet: &[u8; vnet_header::LEN],
    packet: &OutPacket<'_>,
) -> io::Result<usize> {
    let part = |pointer: *const u8, len: usize| libc::iovec {
        iov_base: pointer.cast_mut().cast(),
        iov_len: len,
    };
    let parts = [
        part(vnet.as_ptr(), vnet.len()),
        part(packet.header.as_ptr(), packet.header.len()),
        part(packet.payload[0].pointer, packet.payload[0].len),
        part(packet.payload[1].pointer, packet.payload[1].len),
    ];
    // SAFETY: the first two parts are borrowed for the call; the others are `RawSlice`s, whose contract is that the memory
    // stays mapped while they exist. The kernel only reads, so that another process changing the bytes is no data race of ours.
    let written =
        unsafe { libc::writev(fd.as_raw_fd(), parts.as_ptr(), parts.len() as libc::c_int) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}
