//! Datagrams in pieces, made by the kernel: tcpd puts them together (RFC 791 §3.2, RFC 8200 §4.5).

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use libtcpclient::Builder;
use rustix::net::{AddressFamily, SocketType, ipproto, socket};
use tcpd_core::wire::icmpv4::{Echo, Icmpv4Message};
use tcpd_core::wire::icmpv6::Icmpv6Message;
use tcpd_core::wire::{IpAddresses, IpHeader};

use crate::common::daemon::{Daemon, STACK_V4, STACK_V6};
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{PATIENCE, never_hangs, passes_many, patient};
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
        // Without DF.
        client.set("ipv4/ip_no_pmtu_disc", "1");
        let theirs = client.inside(|| TcpStream::connect_timeout(&at, PATIENCE));
        let theirs = theirs.expect("the kernel connects");
        patient(&theirs);
        let (ours, _) = listener.accept().expect("tcpd accepts");
        never_hangs(&ours);
        const MANY: usize = 1 << 20;
        passes_many(&theirs, &ours, MANY);
        let datagrams = daemon.counter("datagrams-reassembled");
        assert!(datagrams >= (MANY / 1460) as u64, "{datagrams}");
        let told = crate::common::tcp_info::tcp_info(&theirs).tcpi_pmtu;
        assert_eq!(told, 1500, "nobody told the kernel to send less");
    });
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
                assert!(answer == ping.data, "{stack} {len}: another answer");
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
    sequence: u16,
    data: Vec<u8>,
}

/// Of all echoes here.
const IDENTIFIER: u16 = 0x1234;

impl Ping {
    fn new(to: &str, from: &str, sequence: u16, len: usize) -> Ping {
        let address = |text: &str| SocketAddr::new(text.parse().expect("an address"), 0);
        let mut data = vec![0; len];
        Pattern::new(u64::from(sequence)).fill(&mut data);
        Ping {
            to: address(to),
            from: address(from),
            sequence,
            data,
        }
    }

    fn addresses(&self) -> IpAddresses {
        IpAddresses {
            source: self.from.ip(),
            destination: self.to.ip(),
        }
    }

    fn message(&self) -> Vec<u8> {
        let echo = Echo {
            identifier: IDENTIFIER,
            sequence: self.sequence,
            data: &self.data,
        };
        let mut message = Vec::new();
        match self.to.ip() {
            IpAddr::V4(_) => Icmpv4Message::EchoRequest(echo).emit(&mut message),
            IpAddr::V6(_) => Icmpv6Message::EchoRequest(echo).emit(&self.addresses(), &mut message),
        }
        message
    }

    /// The data of the answer, if this is one; a raw socket of IPv4 gives the header too.
    fn answered(&self, received: &[u8]) -> Option<Vec<u8>> {
        let echo = match self.to.ip() {
            IpAddr::V4(_) => {
                let header = IpHeader::parse(received).expect("a packet");
                match Icmpv4Message::parse(&received[header.payload]) {
                    Ok(Icmpv4Message::EchoReply(echo)) => echo,
                    _ => return None,
                }
            }
            IpAddr::V6(_) => {
                let back = self.addresses().reversed();
                match Icmpv6Message::parse(&back, received) {
                    Ok(Icmpv6Message::EchoReply(echo)) => echo,
                    _ => return None,
                }
            }
        };
        let ours = (echo.identifier, echo.sequence) == (IDENTIFIER, self.sequence);
        ours.then(|| echo.data.to_vec())
    }

    /// Sends it and waits for the data that comes back. A first one may find the neighbours unknown.
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
        let what = format!("answer of {} to {} bytes", self.to, self.data.len());
        wait_for(&what, 10, || {
            raw.send_to(&self.message(), self.to).expect("sent");
            loop {
                match raw.recv(&mut buffer) {
                    Ok(len) => {
                        if let Some(data) = self.answered(&buffer[..len]) {
                            return Some(data);
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
