//! tcpd as other hosts reach it: README.md's recipes, with a router between (`common/three_hosts.rs`).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use libtcpclient::Builder;

use crate::common::daemon::{Daemon, STACK_V4, STACK_V6};
use crate::common::host::Host;
use crate::common::namespace::in_namespace;
use crate::common::pair::PATIENCE;
use crate::common::pattern::Pattern;
use crate::common::three_hosts::{hosts, route};

const ECHO: &str = "[[service]]\nname = \"echo\"\nport = 7\nhandler = \"echo\"\n";
/// Far more than any buffer on the way.
const MANY: usize = 4 << 20;

fn connect(client: &Host, address: &str, port: u16) -> TcpStream {
    let stream = client
        .inside(|| TcpStream::connect((address, port)))
        .unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Sends and gets back many bytes, and finds them whole.
fn echoes_many(stream: &TcpStream) {
    let mut sent = vec![0; MANY];
    Pattern::new(7).fill(&mut sent);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = stream;
            stream.write_all(&sent).expect("written");
            stream.shutdown(Shutdown::Write).expect("half closed");
        });
        let mut back = Vec::with_capacity(MANY);
        let mut stream = stream;
        stream.read_to_end(&mut back).expect("all of it");
        assert!(back == sent, "{} bytes came back, or others", back.len());
    });
}

#[test]
fn through_a_router_with_a_route_to_the_range() {
    in_namespace(|| {
        let (client, router, _home) = hosts();
        let _daemon = Daemon::start(ECHO);
        route(&router);
        for address in [STACK_V4, STACK_V6] {
            echoes_many(&connect(&client, address, 7));
        }
    });
}

#[test]
fn a_program_of_tcpd_reaches_a_host_behind_the_router() {
    in_namespace(|| {
        let (client, router, _home) = hosts();
        let daemon = Daemon::start("");
        route(&router);
        programs_reach(&client, &daemon);
    });
}

/// A program's connections to the client; the addresses from which they seem to come.
fn programs_reach(client: &Host, daemon: &Daemon) -> Vec<String> {
    let session = daemon.session();
    let reach = |address| {
        let listener = client
            .inside(|| TcpListener::bind(address))
            .expect("listen");
        let at = listener.local_addr().expect("its address");
        let mut ours = Builder::new()
            .session(&session)
            .connect(at)
            .expect("connect");
        let (mut theirs, from) = listener.accept().expect("accept");
        ours.write_all(b"through").expect("written");
        let mut seven = [0; 7];
        theirs.read_exact(&mut seven).expect("read");
        assert_eq!(&seven, b"through");
        from.ip().to_string()
    };
    ["192.0.2.2:0", "[2001:db8:1::2]:0"].map(reach).to_vec()
}

/// Recipe 3: the host lends its address, and passes ports on; the rules are README.md's, to the letter but for the interface's
/// name and a port.
#[test]
fn behind_the_address_of_the_host() {
    in_namespace(|| {
        let (client, _router, home) = hosts();
        let daemon = Daemon::start(ECHO);
        let readme = include_str!("../../../README.md");
        let (_, rules) = readme.split_once("```nft\n").expect("the recipe");
        let (rules, _) = rules.split_once("```").expect("its end");
        let rules = rules.replace("eth0", "wire").replace("443", "7");
        home.nft(&rules);
        for address in ["198.51.100.2", "2001:db8:2::2"] {
            echoes_many(&connect(&client, address, 7));
        }
        let from = programs_reach(&client, &daemon);
        assert_eq!(from, ["198.51.100.2", "2001:db8:2::2"]);
    });
}

/// Recipe 2: tcpd has an address of the host's own network, and the host answers for it.
#[test]
fn with_an_address_of_the_hosts_network_and_proxy_arp() {
    in_namespace(|| {
        let (client, _router, home) = hosts();
        // tcpd would not lay a range over one that is routed already: here that is wanted, so the interface is made by hand.
        home.ip("tuntap add dev tcpd0 mode tun vnet_hdr");
        home.ip("addr add 198.51.100.66/31 dev tcpd0");
        home.ip("addr add 2001:db8:2::66/127 dev tcpd0 nodad");
        home.ip("link set tcpd0 up");
        let _daemon = Daemon::start_with(
            ECHO,
            &[
                "device.configure=false",
                "device.host_v4=198.51.100.66",
                "device.stack_v4=198.51.100.67",
                "device.prefix_v4=31",
                "device.host_v6=2001:db8:2::66",
                "device.stack_v6=2001:db8:2::67",
                "device.prefix_v6=127",
            ],
        );
        home.set("ipv4/conf/wire/proxy_arp", "1");
        home.set("ipv6/conf/wire/proxy_ndp", "1");
        home.ip("-6 neigh add proxy 2001:db8:2::67 dev wire");
        for address in ["198.51.100.67", "2001:db8:2::67"] {
            echoes_many(&connect(&client, address, 7));
        }
    });
}

/// A link on the way takes less than tcpd's: the router says so, and everything arrives (RFC 1191, RFC 8201).
#[test]
fn over_a_link_with_a_smaller_mtu() {
    in_namespace(|| {
        let (client, router, _home) = hosts();
        let _daemon = Daemon::start(ECHO);
        route(&router);
        // Only the router knows it: the client announces what its own end of the cable takes.
        router.ip("route replace 192.0.2.0/24 dev left mtu lock 1300");
        router.ip("-6 route replace 2001:db8:1::/64 dev left metric 1 mtu lock 1300");
        for address in [STACK_V4, STACK_V6] {
            echoes_many(&connect(&client, address, 7));
        }
    });
}
