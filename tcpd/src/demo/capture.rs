//! What crosses the interface, seen from the kernel's side by a packet socket, as tcpdump does.

use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};
use tcpd_core::time::Instant;
use tcpd_core::wire::ladder::{self, Direction, Line};
use tcpd_core::wire::tcp::Flags;
use tcpd_core::wire::{IpHeader, SequenceNumber, TcpSegment, protocol};

use crate::system::clock;

/// Every protocol; in network byte order where the kernel takes it.
const ETH_P_ALL: u16 = 0x0003;
/// How long a packet may take to be seen.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(2);

/// One TCP packet, as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    at: Instant,
    segment: Vec<u8>,
    /// Whether the kernel sent it; otherwise tcpd did.
    pub(super) from_kernel: bool,
    kernel_port: u16,
    tcpd_port: u16,
    pub(super) flags: Flags,
}

/// Collects packets to and from tcpd's addresses, from its making to the end of the process.
pub(super) struct Capture {
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Capture {
    /// Starts. Needs CAP_NET_RAW, which a sandbox has.
    pub(super) fn start(tcpd: Vec<IpAddr>) -> Result<Self, String> {
        let socket = open().map_err(|error| format!("the capture of the interface: {error}"))?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&seen);
        thread::spawn(move || {
            let mut buffer = vec![0; 70_000];
            while let Ok((len, _)) = recv(&socket, &mut buffer[..], RecvFlags::empty()) {
                if let Some(one) = read(&buffer[..len], &tcpd) {
                    list.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(one);
                }
            }
        });
        Ok(Self { seen })
    }

    /// The packets of one connection, as soon as `enough` of them have been seen.
    pub(super) fn connection(
        &self,
        kernel_port: u16,
        tcpd_port: u16,
        what: &str,
        enough: impl Fn(&[Seen]) -> bool,
    ) -> Result<Vec<Seen>, String> {
        self.wait_for(what, enough, |one| {
            (one.kernel_port, one.tcpd_port) == (kernel_port, tcpd_port)
        })
    }

    /// The same for all packets of one port of tcpd.
    pub(super) fn towards(
        &self,
        tcpd_port: u16,
        what: &str,
        enough: impl Fn(&[Seen]) -> bool,
    ) -> Result<Vec<Seen>, String> {
        self.wait_for(what, enough, |one| one.tcpd_port == tcpd_port)
    }

    fn wait_for(
        &self,
        what: &str,
        enough: impl Fn(&[Seen]) -> bool,
        of_it: impl Fn(&Seen) -> bool,
    ) -> Result<Vec<Seen>, String> {
        let end = clock::now() + PATIENCE;
        loop {
            let all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let found: Vec<_> = all.iter().filter(|one| of_it(one)).cloned().collect();
            drop(all);
            if enough(&found) {
                return Ok(found);
            }
            if clock::now() > end {
                return Err(format!(
                    "{what}: not seen on the interface, only\n{}",
                    draw(&found)
                ));
            }
            thread::sleep(LOOK);
        }
    }
}

/// Whether one side sent a packet with these flags.
pub(super) fn sent(packets: &[Seen], from_kernel: bool, flags: Flags) -> bool {
    packets
        .iter()
        .any(|one| one.from_kernel == from_kernel && one.flags.contains(flags))
}

fn open() -> io::Result<OwnedFd> {
    let all = NonZeroU32::new(u32::from(ETH_P_ALL.to_be())).map(Protocol::from_raw);
    Ok(socket_with(
        AddressFamily::PACKET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        all,
    )?)
}

fn read(packet: &[u8], tcpd: &[IpAddr]) -> Option<Seen> {
    let header = IpHeader::parse(packet).ok()?;
    let from_kernel = tcpd.contains(&header.addresses.destination);
    let concerns_us = from_kernel || tcpd.contains(&header.addresses.source);
    if !concerns_us || header.protocol != protocol::TCP {
        return None;
    }
    let bytes = packet[header.payload.clone()].to_vec();
    let segment = TcpSegment::parse(&bytes).ok()?;
    let (source, destination, flags) =
        (segment.source_port, segment.destination_port, segment.flags);
    let (kernel_port, tcpd_port) = if from_kernel {
        (source, destination)
    } else {
        (destination, source)
    };
    Some(Seen {
        at: clock::now(),
        segment: bytes,
        from_kernel,
        kernel_port,
        tcpd_port,
        flags,
    })
}

/// The ladder of one connection: the kernel left, tcpd right, times and numbers relative to its beginning.
pub(super) fn draw(packets: &[Seen]) -> String {
    let start = packets.first().map_or(Instant::ZERO, |first| first.at);
    let initial = |from_kernel: bool| {
        let syn = packets
            .iter()
            .find(|one| one.from_kernel == from_kernel && one.flags.contains(Flags::SYN));
        syn.and_then(parsed)
            .map_or(SequenceNumber(0), |segment| segment.seq)
    };
    let (kernel, tcpd) = (initial(true), initial(false));
    let texts: Vec<_> = packets
        .iter()
        .map(|one| {
            let (seq, ack) = if one.from_kernel {
                (kernel, tcpd)
            } else {
                (tcpd, kernel)
            };
            let text = parsed(one).map(|segment| ladder::brief(&segment, seq, ack));
            (text.unwrap_or_default(), remark(one))
        })
        .collect();
    let lines: Vec<_> = packets
        .iter()
        .zip(&texts)
        .map(|(one, (packet, right))| Line {
            time: Instant::ZERO + one.at.duration_since(start),
            left: "kernel",
            direction: if one.from_kernel {
                Direction::Right
            } else {
                Direction::Left
            },
            packet,
            arrives: true,
            right,
        })
        .collect();
    ladder::render(&lines)
}

fn parsed(one: &Seen) -> Option<TcpSegment<'_>> {
    TcpSegment::parse(&one.segment).ok()
}

/// What a packet means, in a few words.
fn remark(one: &Seen) -> String {
    let who = if one.from_kernel {
        "the kernel"
    } else {
        "tcpd"
    };
    let payload = parsed(one).map_or(0, |segment| segment.payload.len());
    let what = if one.flags.contains(Flags::RST) {
        "resets"
    } else if one.flags.contains(Flags::SYN) {
        "opens"
    } else if one.flags.contains(Flags::FIN) {
        "closes its half"
    } else if payload > 0 {
        "sends"
    } else {
        return "tcpd".to_owned();
    };
    format!("tcpd   {who} {what}")
}
