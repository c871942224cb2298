//! The ends of a wire that a test carries packets over: TUN interfaces without offload, so that kernels cut and checksum what they put there.

use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tcpd::device::{Device, OutPacket, Range, Tun, TunOptions};
use tcpd::system::clock;
use tcpd_core::time::Instant;

/// Packets that a kernel keeps until they are taken: far more than a sender has under way here, so that only the wire loses any.
pub(crate) const QUEUE: u32 = 20_000;

/// An interface in the calling thread's namespace, with these addresses and prefix lengths.
pub(crate) fn tun(name: &str, addresses: &[(&str, u8)]) -> Tun {
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
    let tun = Tun::open(&options).expect("a TUN interface");
    let mut command = Command::new("ip");
    command.args(["link", "set", name, "txqueuelen", &QUEUE.to_string()]);
    let status = command.status().expect("ip is installed (iproute2)");
    assert!(status.success(), "ip link set {name} txqueuelen");
    tun
}

/// The next packet that the kernel has put there: its length, or nothing for now.
pub(crate) fn take(tun: &mut Tun, buffer: &mut [u8]) -> Option<usize> {
    match tun.receive(buffer) {
        Ok(received) => Some(received.len),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("receive: {error}"),
    }
}

/// Gives a packet to the kernel.
pub(crate) fn give(tun: &mut Tun, packet: &[u8]) {
    let packet = OutPacket::whole(packet);
    tun.transmit(&packet).expect("a packet is taken");
}

/// What to wait for at this end.
pub(crate) fn descriptor(tun: &Tun) -> BorrowedFd<'_> {
    // SAFETY: the device keeps its descriptor open, and the borrow lasts no longer than the device's.
    unsafe { BorrowedFd::borrow_raw(tun.as_raw_fd()) }
}

/// Waits until one of these can be read, or until then.
pub(crate) fn wait(descriptors: &[BorrowedFd<'_>], until: Option<Instant>) {
    let left = until.map(|until| {
        let left = until.duration_since(clock::now());
        Timespec::try_from(left).expect("it fits")
    });
    let mut polled: Vec<_> = descriptors
        .iter()
        .map(|fd| PollFd::new(fd, PollFlags::IN))
        .collect();
    match poll(&mut polled, left.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => panic!("poll: {error}"),
    }
}
