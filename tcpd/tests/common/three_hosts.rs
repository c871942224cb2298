//! A client, a router, and the host of tcpd, which is the test's own namespace. Needs `mod daemon` and `mod host` beside it.
//!
//! ```text
//!  client ─────────── router ─────────── host of tcpd ── tcpd0
//!  192.0.2.2   192.0.2.1 198.51.100.1   198.51.100.2    198.18.0.2
//!  2001:db8:1::2            2001:db8:2::2        fd00:7463:7064::2
//! ```

use std::io::ErrorKind;
use std::net::TcpStream;

use super::daemon::{STACK_V4, STACK_V6};
use super::host::Host;

/// The client's addresses.
pub(crate) const CLIENT_V4: &str = "192.0.2.2";
/// The same for IPv6.
pub(crate) const CLIENT_V6: &str = "2001:db8:1::2";

/// The three hosts, each routing; the client knows the router, the router knows neither tcpd's range nor how to reach it.
pub(crate) fn hosts() -> (Host, Host, Host) {
    let (client, router, home) = (Host::new(), Host::new(), Host::here());
    // With link-local addresses of our own: the kernel's own come late, and routers that forward find no neighbour before.
    router.cable(
        ("left", &["192.0.2.1/24", "2001:db8:1::1/64", "fe80::1/64"]),
        &client,
        ("wire", &["192.0.2.2/24", "2001:db8:1::2/64", "fe80::2/64"]),
    );
    router.cable(
        (
            "right",
            &["198.51.100.1/24", "2001:db8:2::1/64", "fe80::1/64"],
        ),
        &home,
        (
            "wire",
            &["198.51.100.2/24", "2001:db8:2::2/64", "fe80::2/64"],
        ),
    );
    for host in [&router, &home] {
        host.set("ipv4/ip_forward", "1");
        host.set("ipv6/conf/all/forwarding", "1");
    }
    client.ip("route add default via 192.0.2.1");
    client.ip("-6 route add default via 2001:db8:1::1");
    home.ip("route add default via 198.51.100.1");
    home.ip("-6 route add default via 2001:db8:2::1");
    (client, router, home)
}

/// All three have found their neighbours, by a word from the client that nobody listens to. Else an IPv6 router that forwards for the first time
/// may take a second.
pub(crate) fn acquaint(client: &Host) {
    for stack in [STACK_V4, STACK_V6] {
        let refused = client.inside(|| TcpStream::connect((stack, 1)));
        let error = refused.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    }
}

/// Recipe 1: a route to tcpd's range on the router.
pub(crate) fn route(router: &Host) {
    router.ip("route add 198.18.0.0/24 via 198.51.100.2");
    router.ip("-6 route add fd00:7463:7064::/64 via 2001:db8:2::2");
}

/// The link between router and host of tcpd takes packets of this many bytes, and its ends know it.
pub(crate) fn narrow(router: &Host, home: &Host, mtu: u16) {
    router.ip(&format!("link set right mtu {mtu}"));
    home.ip(&format!("link set wire mtu {mtu}"));
}
