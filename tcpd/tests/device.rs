//! The device over a real TUN in a private namespace: the kernel's own UDP and TCP on the other side.

mod common {
    pub(crate) mod deadline;
    pub(crate) mod namespace;
    pub(crate) mod rerun;
}

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use common::deadline::wait_for;
use common::namespace::in_namespace;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use tcpd::device::netlink::Netlink;
use tcpd::device::{
    Device, DeviceError, OutPacket, RECEIVE_BUFFER_LEN, Range, RawSlice, ReceiveMeta, Tun,
    TunOptions,
};
use tcpd_core::wire::IpAddresses;
use tcpd_core::wire::checksum;

const HOST: [&str; 2] = ["198.18.0.1", "fd00:7463:7064::1"];
const STACK: [&str; 2] = ["198.18.0.2", "fd00:7463:7064::2"];

fn options(offload: bool) -> TunOptions {
    let range = |address: &str, prefix| Range {
        address: address.parse().unwrap(),
        prefix,
    };
    TunOptions {
        host: vec![range(HOST[0], 24), range(HOST[1], 64)],
        offload,
        ..TunOptions::default()
    }
}

fn address(text: &str, port: u16) -> SocketAddr {
    SocketAddr::new(text.parse().unwrap(), port)
}

/// The next packet `wanted` takes; others (the kernel's own chatter on a new link) are passed over.
fn receive_matching(
    tun: &mut Tun,
    what: &str,
    wanted: impl Fn(&SlicedPacket) -> bool,
) -> (Vec<u8>, ReceiveMeta) {
    let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
    wait_for(what, 10, || match tun.receive(&mut buffer) {
        Ok(received) => {
            let packet = &buffer[..received.len];
            let sliced = SlicedPacket::from_ip(packet).expect("the kernel sends whole packets");
            wanted(&sliced).then(|| (packet.to_vec(), received.meta))
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            None
        }
    })
}

fn is_udp(packet: &SlicedPacket) -> bool {
    matches!(packet.transport, Some(TransportSlice::Udp(_)))
}

fn is_tcp_to(packet: &SlicedPacket, port: u16) -> bool {
    matches!(&packet.transport, Some(TransportSlice::Tcp(tcp)) if tcp.destination_port() == port)
}

#[test]
fn the_interface_has_its_addresses_its_mtu_and_is_up() {
    in_namespace(|| {
        let tun = Tun::open(&TunOptions {
            mtu: 1400,
            name: "mine".into(),
            ..options(true)
        })
        .unwrap();
        assert_eq!(
            (tun.name(), tun.mtu(), tun.offloads()),
            ("mine", 1400, true)
        );
        let mut netlink = Netlink::open().unwrap();
        let link = netlink.link("mine").unwrap().unwrap();
        assert_eq!((link.mtu, link.up, link.index), (1400, true, tun.index()));
        let mut addresses = netlink.addresses(link.index).unwrap();
        addresses.sort_by_key(|range| range.address);
        assert_eq!(addresses, options(true).host);
        drop(tun);
        assert_eq!(
            netlink.link("mine").unwrap(),
            None,
            "it goes with its last descriptor"
        );
    });
}

#[test]
fn ipv6_is_usable_at_once() {
    in_namespace(|| {
        let mut tun = Tun::open(&options(true)).unwrap();
        let listener = TcpListener::bind(address(HOST[1], 0)).unwrap();
        let mut peer = HandMade::new(STACK[1], listener.local_addr().unwrap());
        peer.send(&mut tun, SYN, &[]);
        peer.receive(&mut tun);
    });
}

#[test]
fn the_kernels_udp_arrives_with_a_partial_checksum_when_offloaded() {
    in_namespace(|| {
        let mut tun = Tun::open(&options(true)).unwrap();
        for (host, stack) in HOST.iter().zip(STACK) {
            let socket = UdpSocket::bind(address(host, 0)).unwrap();
            socket.send_to(b"hello", address(stack, 4000)).unwrap();
            let (packet, meta) = receive_matching(&mut tun, "UDP", is_udp);
            assert_eq!(
                meta,
                ReceiveMeta {
                    checksum_trusted: true,
                    segment_size: None
                }
            );
            assert!(packet.ends_with(b"hello"));
        }
    });
}

#[test]
fn the_kernels_udp_arrives_with_a_complete_checksum_without_offload() {
    in_namespace(|| {
        let mut tun = Tun::open(&options(false)).unwrap();
        assert!(!tun.offloads());
        for (host, stack) in HOST.iter().zip(STACK) {
            let socket = UdpSocket::bind(address(host, 0)).unwrap();
            socket.send_to(b"hello", address(stack, 4000)).unwrap();
            let (packet, meta) = receive_matching(&mut tun, "UDP", is_udp);
            assert_eq!(
                meta,
                ReceiveMeta {
                    checksum_trusted: false,
                    segment_size: None
                }
            );
            assert!(transport_checksum_is_right(&packet));
        }
    });
}

#[test]
fn kernel_tcp_and_the_device_carry_super_segments_with_offload() {
    in_namespace(|| converse(true));
}

#[test]
fn kernel_tcp_and_the_device_carry_single_packets_without_offload() {
    in_namespace(|| converse(false));
}

/// A connection to a kernel listener, our side by hand: 40,000 bytes to the kernel in one transmit, 50,000 back.
fn converse(offload: bool) {
    let mut tun = Tun::open(&options(offload)).unwrap();
    for (host, stack) in HOST.iter().zip(STACK) {
        let listener = TcpListener::bind(address(host, 0)).unwrap();
        let mut peer = HandMade::new(stack, listener.local_addr().unwrap());
        peer.send(&mut tun, SYN, &[]);
        peer.receive(&mut tun);
        peer.send(&mut tun, ACK, &[]);
        let (mut stream, from) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        assert_eq!(from, address(stack, peer.port));

        let sent: Vec<u8> = (0..40_000u32).map(|at| (at % 251) as u8).collect();
        peer.send(&mut tun, ACK | PSH, &sent);
        let mut arrived = vec![0; sent.len()];
        stream.read_exact(&mut arrived).unwrap();
        assert!(arrived == sent, "what the kernel delivered differs");

        stream.write_all(&sent).unwrap();
        let mut longest = None;
        while peer.received.len() < sent.len() {
            let meta = peer.receive(&mut tun);
            assert_eq!(meta.checksum_trusted, offload);
            longest = longest.max(meta.segment_size);
            peer.send(&mut tun, ACK, &[]);
        }
        assert!(peer.received == sent, "what the kernel sent differs");
        // No MSS option went out, so the kernel's segments have the default size (RFC 9293 §3.7.1).
        let default_mss = if peer.local.is_ipv6() { 1220 } else { 536 };
        assert_eq!(longest, offload.then_some(default_mss));
    }
    assert_eq!(tun.statistics().malformed, 0);
    assert_eq!(tun.statistics().lost_out, 0);
}

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const ECE: u8 = 0x40;
const CWR: u8 = 0x80;

/// Just enough TCP to be believed by the kernel over a lossless link.
struct HandMade {
    local: IpAddr,
    remote: SocketAddr,
    port: u16,
    seq: u32,
    ack: u32,
    received: Vec<u8>,
    /// Of the last segment: ECE and CWR.
    congestion: (bool, bool),
}

impl HandMade {
    fn new(local: &str, remote: SocketAddr) -> Self {
        Self {
            local: local.parse().unwrap(),
            remote,
            port: if local.contains(':') { 5556 } else { 5555 },
            seq: 1000,
            ack: 0,
            received: Vec::new(),
            congestion: (false, false),
        }
    }

    fn ip_header(&self) -> usize {
        if self.local.is_ipv6() { 40 } else { 20 }
    }

    fn send(&mut self, tun: &mut Tun, flags: u8, payload: &[u8]) {
        let header = self.header(flags, payload.len());
        let (first, second) = payload.split_at(payload.len() / 3);
        let piece = |bytes: &[u8]| RawSlice {
            pointer: bytes.as_ptr(),
            len: bytes.len(),
        };
        let packet = OutPacket {
            header: &header,
            payload: [piece(first), piece(second)],
            segment_size: (1500 - header.len()) as u16,
            checksum: Some((self.ip_header() as u16, 16)),
        };
        tun.transmit(&packet).unwrap();
        self.seq = self
            .seq
            .wrapping_add(payload.len() as u32 + u32::from(flags & SYN != 0));
    }

    fn header(&self, flags: u8, payload: usize) -> Vec<u8> {
        let length = (20 + payload) as u16;
        let mut header = match (self.local, self.remote.ip()) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                let mut ip = etherparse::Ipv4Header::new(
                    length,
                    64,
                    etherparse::IpNumber::TCP,
                    local.octets(),
                    remote.octets(),
                )
                .unwrap();
                ip.header_checksum = ip.calc_header_checksum();
                ip.to_bytes().to_vec()
            }
            (IpAddr::V6(local), IpAddr::V6(remote)) => {
                let ip = etherparse::Ipv6Header {
                    payload_length: length,
                    next_header: etherparse::IpNumber::TCP,
                    hop_limit: 64,
                    source: local.octets(),
                    destination: remote.octets(),
                    ..Default::default()
                };
                ip.to_bytes().to_vec()
            }
            _ => unreachable!("both of one family"),
        };
        let mut tcp = etherparse::TcpHeader::new(self.port, self.remote.port(), self.seq, u16::MAX);
        (tcp.syn, tcp.psh, tcp.ack) = (flags & SYN != 0, flags & PSH != 0, flags & ACK != 0);
        tcp.rst = flags & RST != 0;
        (tcp.ece, tcp.cwr) = (flags & ECE != 0, flags & CWR != 0);
        tcp.acknowledgment_number = self.ack;
        let addresses = IpAddresses {
            source: self.local,
            destination: self.remote.ip(),
        };
        tcp.checksum = checksum::pseudo_header(&addresses, 6, u32::from(length)).fold();
        header.extend_from_slice(&tcp.to_bytes());
        header
    }

    /// Takes the next TCP segment of the kernel, which must be the next in order.
    fn receive(&mut self, tun: &mut Tun) -> ReceiveMeta {
        let (packet, meta) =
            receive_matching(tun, "TCP segment", |packet| is_tcp_to(packet, self.port));
        if !meta.checksum_trusted {
            assert!(transport_checksum_is_right(&packet));
        }
        let sliced = SlicedPacket::from_ip(&packet).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
            unreachable!()
        };
        assert!(!tcp.rst(), "the kernel reset the connection");
        self.congestion = (tcp.ece(), tcp.cwr());
        if tcp.syn() {
            self.ack = tcp.sequence_number().wrapping_add(1);
        } else if tcp.sequence_number() == self.ack {
            self.received.extend_from_slice(tcp.payload());
            self.ack = self.ack.wrapping_add(tcp.payload().len() as u32);
        }
        meta
    }
}

/// RFC 3168 §6.1.2: once is enough. A receiver that sees CWR twice could miss a mark between the two.
#[test]
fn a_super_segment_with_cwr_leaves_with_cwr_on_its_first_packet_alone() {
    in_namespace(|| {
        for offload in [true, false] {
            forwards_a_super_segment_with_cwr(offload);
        }
    });
}

/// The kernel forwards it to an interface that takes single packets only.
fn forwards_a_super_segment_with_cwr(offload: bool) {
    for key in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        std::fs::write(format!("/proc/sys/net/{key}"), "1").unwrap();
    }
    let mut tun = Tun::open(&options(offload)).unwrap();
    let mut beyond = Tun::open(&TunOptions {
        name: "beyond0".to_owned(),
        host: [("203.0.113.1", 24), ("2001:db8:9::1", 64)]
            .map(|(address, prefix)| Range {
                address: address.parse().unwrap(),
                prefix,
            })
            .to_vec(),
        offload: false,
        ..TunOptions::default()
    })
    .unwrap();
    for (stack, far) in STACK.into_iter().zip(["203.0.113.2", "2001:db8:9::2"]) {
        let mut sender = HandMade::new(stack, address(far, 9));
        sender.send(&mut tun, ACK | PSH | CWR, &vec![7; 20_000]);
        let (mut left, mut flags) = (20_000, Vec::new());
        while left > 0 {
            let (packet, _) = receive_matching(&mut beyond, "segment", |packet| {
                is_tcp_to(packet, sender.remote.port())
            });
            let sliced = SlicedPacket::from_ip(&packet).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
                unreachable!()
            };
            assert!(transport_checksum_is_right(&packet));
            flags.push((tcp.cwr(), tcp.psh()));
            left -= tcp.payload().len();
        }
        let last = flags.len() - 1;
        assert!(last > 10, "{flags:?}");
        let wanted: Vec<_> = (0..=last).map(|at| (at == 0, at == last)).collect();
        assert_eq!(flags, wanted, "{far}, offload {offload}");
    }
}

/// A super-segment in which the kernel says that its window was reduced comes whole (TUN_F_TSO_ECN).
#[test]
fn the_kernel_says_cwr_in_super_segments() {
    in_namespace(|| {
        let control = "/proc/sys/net/ipv4/tcp_congestion_control";
        std::fs::write(control, "reno").unwrap();
        let mut tun = Tun::open(&options(true)).unwrap();
        for (host, stack) in HOST.iter().zip(STACK) {
            let listener = TcpListener::bind(address(host, 0)).unwrap();
            let mut peer = HandMade::new(stack, listener.local_addr().unwrap());
            peer.send(&mut tun, SYN | ECE | CWR, &[]);
            peer.receive(&mut tun);
            assert_eq!(peer.congestion, (true, false), "the kernel agrees");
            peer.send(&mut tun, ACK, &[]);
            let (mut stream, _) = listener.accept().unwrap();
            // It ends when the connection is reset.
            let writing =
                std::thread::spawn(move || while stream.write_all(&[7; 1 << 16]).is_ok() {});
            let mut whole = None;
            for round in 1.. {
                assert!(round < 10_000, "{stack}: no CWR in a super-segment");
                let meta = peer.receive(&mut tun);
                let (_, cwr) = peer.congestion;
                if cwr && meta.segment_size.is_some() {
                    whole = meta.segment_size;
                    break;
                }
                // The window grows for a while, then a mark is echoed once.
                let echo = if round % 64 == 0 { ECE } else { 0 };
                peer.send(&mut tun, ACK | echo, &[]);
            }
            let default_mss = if peer.local.is_ipv6() { 1220 } else { 536 };
            assert_eq!(whole, Some(default_mss));
            peer.send(&mut tun, RST, &[]);
            writing.join().unwrap();
        }
    });
}

fn transport_checksum_is_right(packet: &[u8]) -> bool {
    let sliced = SlicedPacket::from_ip(packet).unwrap();
    let (source, destination, at) = match sliced.net {
        Some(NetSlice::Ipv4(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
            usize::from(ip.header().ihl()) * 4,
        ),
        Some(NetSlice::Ipv6(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
            40,
        ),
        _ => unreachable!(),
    };
    let protocol = if is_udp(&SlicedPacket::from_ip(packet).unwrap()) {
        17
    } else {
        6
    };
    checksum::verify_transport(
        &IpAddresses {
            source,
            destination,
        },
        protocol,
        &packet[at..],
    )
}

#[test]
fn a_second_user_of_an_interface_is_told_that_it_is_busy() {
    in_namespace(|| {
        let _first = Tun::open(&options(true)).unwrap();
        let error = Tun::open(&options(true)).unwrap_err();
        assert!(matches!(error, DeviceError::Busy { .. }), "{error}");
        assert_eq!(error.exit_code(), 73);
    });
}

#[test]
fn an_interface_that_is_no_tun_is_left_alone() {
    in_namespace(|| {
        let error = Tun::open(&TunOptions {
            name: "lo".into(),
            ..options(true)
        })
        .unwrap_err();
        assert!(matches!(error, DeviceError::NameTaken { .. }), "{error}");
    });
}

#[test]
fn a_range_routed_elsewhere_is_not_shadowed() {
    in_namespace(|| {
        let _first = Tun::open(&options(true)).unwrap();
        let range = Range {
            address: "198.18.0.129".parse().unwrap(),
            prefix: 25,
        };
        let second = TunOptions {
            name: "second".into(),
            host: vec![range],
            ..options(true)
        };
        let error = Tun::open(&second).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("198.18.0.129/25 is already routed") && said.contains("tcpd0"),
            "{said}"
        );
        assert_eq!(
            Netlink::open().unwrap().link("second").unwrap(),
            None,
            "nothing is left behind"
        );
    });
}

#[test]
fn impossible_names_and_mtus_are_refused_before_anything_is_made() {
    for name in ["", "a name", "sixteen-bytes-xx", "..", "tcp%d", "a/b"] {
        let error = Tun::open(&TunOptions {
            name: name.into(),
            ..options(true)
        })
        .unwrap_err();
        assert!(matches!(error, DeviceError::BadName { .. }), "{error}");
    }
    for mtu in [0, 1279, 65_536] {
        let error = Tun::open(&TunOptions {
            mtu,
            ..options(true)
        })
        .unwrap_err();
        assert!(
            matches!(error, DeviceError::BadMtu { least: 1280, .. }),
            "{error}"
        );
    }
}

#[test]
fn without_cap_net_admin_the_message_says_so() {
    in_namespace(|| {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, sets).unwrap();
        let error = Tun::open(&options(true)).unwrap_err();
        assert_eq!(error.exit_code(), 77);
        assert!(
            error.to_string().contains("not permitted to create it"),
            "{error}"
        );
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    });
}

#[test]
fn a_persistent_interface_is_used_and_keeps_what_it_has() {
    in_namespace(|| {
        let first = Tun::open(&options(true)).unwrap();
        let fd = Device::as_raw_fd(&first);
        // SAFETY: TUNSETPERSIST takes an integer by value.
        let outcome = unsafe { libc::ioctl(fd, libc::TUNSETPERSIST, 1) };
        assert_eq!(outcome, 0);
        let index = first.index();
        drop(first);
        // Made with one queue: asking for several falls back to what it is. The other options differ on purpose.
        let second = TunOptions {
            multi_queue: true,
            mtu: 1300,
            offload: false,
            ..options(true)
        };
        let mut second = Tun::open(&second).unwrap();
        assert_eq!(
            (second.index(), second.mtu(), second.offloads()),
            (index, 1300, false)
        );
        let socket = UdpSocket::bind(address(HOST[0], 0)).unwrap();
        socket.send_to(b"hello", address(STACK[0], 4000)).unwrap();
        let (_, meta) = receive_matching(&mut second, "UDP", is_udp);
        assert!(!meta.checksum_trusted, "the earlier user's offload is gone");
    });
}

#[test]
fn a_second_queue_carries_packets_too() {
    in_namespace(|| {
        let mut first = Tun::open(&TunOptions {
            multi_queue: true,
            ..options(true)
        })
        .unwrap();
        let mut second = first.another_queue().unwrap();
        let mut buffer = vec![0; RECEIVE_BUFFER_LEN];
        let (mut on_first, mut on_second) = (0, 0);
        wait_for("packets on both queues", 10, || {
            // Each source port is another flow, and the kernel spreads flows over the queues.
            let socket = UdpSocket::bind(address(HOST[0], 0)).unwrap();
            socket.send_to(b"hello", address(STACK[0], 4000)).unwrap();
            on_first += usize::from(first.receive(&mut buffer).is_ok());
            on_second += usize::from(second.receive(&mut buffer).is_ok());
            (on_first > 0 && on_second > 0).then_some(())
        });
        assert_ne!(Device::as_raw_fd(&first), second.as_raw_fd());
    });
}
