//! A link on the way that takes less than the others (RFC 1191, RFC 8201): its routers say so, or say nothing (RFC 2923 §2.1, RFC 4821), and
//! somebody else says so who lies (RFC 5927 §7). Both TCPs send, the kernel's and tcpd's.

use std::net::{IpAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use libtcpclient::{Builder, Session};
use tcpd_core::wire::{IpAddresses, IpHeader};

use crate::common::daemon::{Daemon, PATIENT, STACK_V4, STACK_V6};
use crate::common::deadline::wait_for;
use crate::common::far::{FAR_V4, FAR_V6, Far, Way};
use crate::common::host::Host;
use crate::common::namespace::in_namespace;
use crate::common::packet::{Seen, packet_too_big};
use crate::common::pair::{connect_to, exchange, joined, passes_many};
use crate::common::tcp_info::tcp_info;
use crate::common::tcpctl::tcpctl;
use crate::common::three_hosts::{CLIENT_V4, CLIENT_V6, acquaint, hosts, narrow, route};

/// The link between the router and tcpd's host.
const NARROW: u16 = 1300;
const BYTES: usize = 1 << 20;
/// IP and TCP headers with timestamps.
const HEADERS_V4: u16 = 20 + 32;
const HEADERS_V6: u16 = 40 + 32;
/// Somebody else on the far side of a wire.
const FORGER_V4: &str = "10.77.0.9";
const FORGER_V6: &str = "fd00:77::9";

type Ends = (libtcpclient::TcpStream, TcpStream);

/// tcpd opens a connection to the client.
fn connects(session: &Session, client: &Host, host: &str) -> Ends {
    let listener = client.inside(|| TcpListener::bind((host, 0)).expect("the client listens"));
    joined(Builder::new().session(session), &listener)
}

/// The path MTU as tcpd knows it, bytes.
fn known(ours: &libtcpclient::TcpStream) -> u16 {
    let options = ours.status().expect("it is open").options;
    options.path_mtu_bytes.expect("a size")
}

/// The same as `tcpctl show` has it.
fn shown(daemon: &Daemon, ours: &libtcpclient::TcpStream) -> u16 {
    let id = ours.status().expect("it is open").row.id;
    let mut command = Command::new(tcpctl());
    command.arg("--socket").arg(daemon.socket());
    let output = command.args(["show", &id]).output().expect("run tcpctl");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text.lines().find(|line| line.contains("path MTU"));
    let line = line.unwrap_or_else(|| panic!("no path MTU:\n{text}"));
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("bytes")
}

#[test]
fn many_bytes_pass_a_narrow_link_whose_routers_say_so() {
    in_namespace(|| {
        let (client, router, home) = hosts();
        let daemon = Daemon::start_with("", &PATIENT);
        route(&router);
        acquaint(&client);
        narrow(&router, &home, NARROW);
        let session = daemon.session();
        for (host, headers) in [(CLIENT_V4, HEADERS_V4), (CLIENT_V6, HEADERS_V6)] {
            let (ours, theirs) = connects(&session, &client, host);
            assert_eq!(known(&ours), 1500, "nobody knows");
            exchange(&ours, &theirs, BYTES);
            assert_eq!(shown(&daemon, &ours), NARROW);
            let status = ours.status().expect("it is open");
            assert_eq!(status.options.mss_send_bytes, NARROW - headers, "{host}");
            // Told, not guessed.
            let counters = status.counters.expect("they are counted");
            assert_eq!(counters.timeouts, 0, "{host}: {counters:?}");
            assert_eq!(tcp_info(&theirs).tcpi_pmtu, u32::from(NARROW), "the kernel");

            // The next connection to that host knows it from the first segment on.
            let (next, peer) = connects(&session, &client, host);
            assert_eq!(known(&next), NARROW);
            passes_many(&next, &peer, BYTES);
            let counters = next.status().expect("it is open").counters;
            assert_eq!(counters.expect("counted").retransmitted_segments, 0);
        }
        assert_eq!(daemon.counter("path-mtu-lowered"), 2);
    });
}

#[test]
fn many_bytes_pass_a_narrow_link_whose_routers_say_nothing() {
    in_namespace(|| {
        let (client, router, home) = hosts();
        let daemon = Daemon::start("");
        route(&router);
        acquaint(&client);
        // Above the smallest packets of IPv6 there is something to search for.
        const LESS_NARROW: u16 = 1400;
        narrow(&router, &home, LESS_NARROW);
        for router in [&router, &home] {
            router.nft(
                "table inet black { chain hole { type filter hook output priority 0;
                   icmp type destination-unreachable icmp code frag-needed drop;
                   icmpv6 type packet-too-big drop; }
                 }",
            );
        }
        // The kernel looks for black holes where it is told to, after a timeout or two.
        client.set("ipv4/tcp_mtu_probing", "1");
        client.set("ipv4/tcp_retries1", "1");
        let session = daemon.session();
        thread::scope(|scope| {
            for (host, base) in [(CLIENT_V4, 1064), (CLIENT_V6, 1280)] {
                let (session, client, daemon) = (&session, &client, &daemon);
                scope.spawn(move || {
                    let (ours, theirs) = connects(session, client, host);
                    exchange(&ours, &theirs, BYTES);
                    let first = known(&ours);
                    assert!((base..=LESS_NARROW).contains(&first), "{host}: {first}");
                    let info = tcp_info(&theirs);
                    let kernels = info.tcpi_snd_mss;
                    assert!(kernels < u32::from(LESS_NARROW), "{host}: {kernels}");
                    // While bytes go, larger packets are tried; and what does not pass costs nobody a byte.
                    let larger = wait_for("a larger size that passes", 20, || {
                        passes_many(&ours, &theirs, BYTES);
                        let size = known(&ours);
                        (size > base && size >= 1280).then_some(size)
                    });
                    assert!(larger <= LESS_NARROW, "{host}: {larger}");
                    assert_eq!(shown(daemon, &ours), known(&ours));
                });
            }
        });
        assert_eq!(daemon.counter("path-mtu-black-holes"), 2);
        assert_eq!(
            daemon.counter("path-mtu-lowered"),
            0,
            "nobody said anything"
        );
    });
}

/// RFC 5927 §7: what is not about a packet on its way, what no router says, and what contradicts packets that arrived.
#[test]
fn forged_messages_about_the_size_of_packets_change_nothing() {
    const FEW: usize = 64 << 10;
    in_namespace(|| {
        let longest = Arc::new(Mutex::new(0));
        let seen = Arc::clone(&longest);
        let wire = Far::start_over(
            &PATIENT,
            Duration::ZERO,
            Box::new(move |way, packet| {
                let mut longest = seen.lock().expect("no panic");
                if way == Way::ToKernel {
                    *longest = packet.len().max(*longest);
                }
                true
            }),
        );
        let session = wire.daemon.session();
        for (host, liar, stack) in [(FAR_V4, FORGER_V4, STACK_V4), (FAR_V6, FORGER_V6, STACK_V6)] {
            let (ours, theirs) = connect_to(&session, host);
            // Packets of the link's full size have passed.
            passes_many(&ours, &theirs, FEW);
            let forger = Forger {
                wire: &wire,
                addresses: IpAddresses {
                    source: address(liar),
                    destination: address(stack),
                },
            };
            wire.hold(Way::ToKernel);
            thread::scope(|scope| {
                scope.spawn(|| passes_many(&ours, &theirs, FEW));
                let packet = wait_for("segment on the wire", 20, || {
                    let waiting = wire.waiting(Way::ToKernel);
                    waiting.into_iter().find(|packet| packet.len() == 1500)
                });
                forger.forge(&packet);
                assert_eq!(known(&ours), 1500);
                wire.release(Way::ToKernel);
            });
            // What waited for a sign of truth was forgotten when the segment had arrived.
            *longest.lock().expect("no panic") = 0;
            passes_many(&ours, &theirs, FEW);
            assert_eq!(*longest.lock().expect("no panic"), 1500);
            assert_eq!(known(&ours), 1500);
            // Nor has the next connection heard of it.
            let (next, _peer) = connect_to(&session, host);
            assert_eq!(known(&next), 1500);
        }
        assert_eq!(wire.daemon.counter("path-mtu-lowered"), 0);
    });
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Somebody who can say what routers say.
struct Forger<'a> {
    wire: &'a Far,
    addresses: IpAddresses,
}

impl Forger<'_> {
    /// Every lie about `packet`, which is under way, and each is counted.
    fn forge(&self, packet: &[u8]) {
        let ipv4 = self.addresses.source.is_ipv4();
        // Behind what was sent, and before it.
        for by in [1 << 30, 1 << 31] {
            let other = with_seq(packet, by);
            self.say(1280, &other, "icmp-not-outstanding");
        }
        let other = with_port(packet);
        self.say(1280, &other, "icmp-not-outstanding");
        // No link is so narrow (RFC 791 §3.1, RFC 8200 §5).
        let impossible = if ipv4 { 67 } else { 1279 };
        self.say(impossible, packet, "icmp-ignored");
        // Larger than what it is about.
        self.say(1500, packet, "icmp-in");
        self.say(9000, packet, "icmp-in");
        // It could be true, but packets of 1500 bytes have passed: it waits.
        self.say(1280, packet, "icmp-in");
    }

    /// Says that `packet` was too big, and waits until that was counted so.
    fn say(&self, mtu: u16, packet: &[u8], counter: &str) {
        let daemon = &self.wire.daemon;
        let before = daemon.counter(counter);
        let message = packet_too_big(self.addresses, mtu, packet);
        self.wire.inject(Way::ToTcpd, message);
        wait_for(counter, 20, || {
            (daemon.counter(counter) > before).then_some(())
        });
    }
}

/// The packet with its sequence number moved on by so much.
fn with_seq(packet: &[u8], by: u32) -> Vec<u8> {
    let seq = Seen::of(packet).expect("a segment").seq + by;
    written(packet, 4, &seq.0.to_be_bytes())
}

/// The packet to another port.
fn with_port(packet: &[u8]) -> Vec<u8> {
    written(packet, 2, &[0, 9])
}

/// The packet with these bytes at this place of its TCP header.
fn written(packet: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let tcp = IpHeader::parse(&packet).expect("a packet").payload.start;
    packet[tcp + at..][..bytes.len()].copy_from_slice(bytes);
    packet
}
