//! Datagrams in pieces, made by the kernel: tcpd puts them together (RFC 791 §3.2, RFC 8200 §4.5).

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use libtcpclient::Builder;
use rustix::net::{AddressFamily, SocketType, ipproto, socket};

use crate::common::daemon::{Daemon, STACK_V4, STACK_V6};
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{PATIENCE, passes_many, patient};
use crate::common::pattern::Pattern;
use crate::common::three_hosts::{CLIENT_V4, CLIENT_V6, hosts, narrow, route};

/// A router cuts what a host lets it cut: segments of 1500 bytes arrive in two pieces each, and every byte of them.
#[test]
fn segments_that_a_router_has_cut_are_put_together() {
    in_namespace(|| {
        let (client, router, home) = hosts();
        let daemon = Daemon::start("");
        route(&router);
        narrow(&router, &home, 1300);
        let session = daemon.session();
        let listener = Builder::new().session(&session).listen((STACK_V4, 0));
        let listener = listener.expect("tcpd listens");
        let at = listener.local_addr().expect("its address");
        let theirs = client.inside(|| {
            let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
            may_be_cut(&socket);
            rustix::net::connect(&socket, &at).expect("the kernel connects");
            std::net::TcpStream::from(socket)
        });
        patient(&theirs);
        let (ours, _) = listener.accept().expect("tcpd accepts");
        ours.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        const MANY: usize = 1 << 20;
        passes_many(&theirs, &ours, MANY);
        let datagrams = daemon.counter("datagrams-reassembled");
        assert!(datagrams >= (MANY / 1460) as u64, "{datagrams}");
        let told = crate::common::tcp_info::tcp_info(&theirs).tcpi_pmtu;
        assert_eq!(told, 1500, "nobody told the kernel to send less");
    });
}

/// The kernel sets no DF on this socket's packets (ip(7), IP_MTU_DISCOVER).
fn may_be_cut(socket: &OwnedFd) {
    let never = libc::IP_PMTUDISC_DONT;
    // SAFETY: the kernel reads an `int` through the pointer, which lives for the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw const never).cast(),
            size_of_val(&never) as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "IP_MTU_DISCOVER");
}

/// An echo request of many packets, cut by its sender and once more by the router, comes back whole; so does its answer.
#[test]
fn large_echo_requests_come_back_whole() {
    in_namespace(|| {
        let (client, router, home) = hosts();
        let daemon = Daemon::start("");
        route(&router);
        for (mtu, stack, from, longest) in [
            (1500, STACK_V4, CLIENT_V4, 60_000),
            (1500, STACK_V6, CLIENT_V6, 60_000),
            // In IPv6 nobody cuts but the sender (RFC 8200 §5). Cut twice, a longer one would have more pieces than are taken.
            (1300, STACK_V4, CLIENT_V4, 40_000),
        ] {
            narrow(&router, &home, mtu);
            let before = daemon.counter("datagrams-reassembled");
            for (number, len) in [1473, 4000, longest].into_iter().enumerate() {
                let ping = Ping::new(stack, from, number as u16, len);
                let answer = client.inside(|| ping.answer());
                assert!(answer == ping.data(), "{stack} {len}: another answer");
            }
            let whole = daemon.counter("datagrams-reassembled") - before;
            assert!(whole >= 3, "{stack}: {whole}");
        }
        assert_eq!(daemon.counter("fragment-malformed"), 0);
        assert_eq!(daemon.counter("fragment-overlap"), 0);
    });
}

/// One echo request (RFC 792, RFC 4443 §4.1).
struct Ping {
    to: SocketAddr,
    from: SocketAddr,
    message: Vec<u8>,
}

const HEADER_LEN: usize = 8;

impl Ping {
    fn new(to: &str, from: &str, number: u16, len: usize) -> Ping {
        let address = |text: &str| SocketAddr::new(text.parse().expect("an address"), 0);
        let kind = if to.contains(':') { 128 } else { 8 };
        let mut message = vec![kind, 0, 0, 0, 0x12, 0x34, 0, 0];
        message[6..8].copy_from_slice(&number.to_be_bytes());
        message.resize(HEADER_LEN + len, 0);
        Pattern::new(u64::from(number)).fill(&mut message[HEADER_LEN..]);
        // ICMP's checksum covers no addresses in IPv4; in IPv6 the kernel fills it in.
        if kind == 8 {
            let sum = tcpd_core::wire::checksum::of(&message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        let (to, from) = (address(to), address(from));
        Ping { to, from, message }
    }

    fn data(&self) -> &[u8] {
        &self.message[HEADER_LEN..]
    }

    /// Sends it and waits for what comes back. A first one may find the neighbours unknown.
    fn answer(&self) -> Vec<u8> {
        let (family, protocol) = match self.to {
            SocketAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
            SocketAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
        };
        let raw = socket(family, SocketType::RAW, Some(protocol)).expect("a raw socket");
        rustix::net::bind(&raw, &self.from).expect("its address");
        let raw = UdpSocket::from(raw);
        let patience = Duration::from_secs(1);
        raw.set_read_timeout(Some(patience)).expect("a timeout");
        let mut buffer = vec![0; 1 << 16];
        let what = format!("answer of {} to {} bytes", self.to, self.message.len());
        wait_for(&what, 10, || {
            raw.send_to(&self.message, self.to).expect("sent");
            loop {
                match raw.recv(&mut buffer) {
                    Ok(len) => {
                        // A raw socket of IPv4 gives the header too.
                        let header = if self.to.is_ipv4() { 20 } else { 0 };
                        let (kind, rest) = (buffer[header], &buffer[header + 4..len]);
                        if (kind == 0 || kind == 129) && rest[..4] == self.message[4..8] {
                            return Some(rest[4..].to_vec());
                        }
                    }
                    Err(error) => {
                        let late = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                        assert!(late.contains(&error.kind()), "{error}");
                        return None;
                    }
                }
            }
        })
    }
}
