//! Routers that say that a destination cannot be reached, in ICMP: what ends an open, and what never ends a connection (RFC 9293
//! §3.9.2.2, RFC 5461, RFC 5927). The router is the kernel.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use libtcpclient::protocol::status::ConnectionStatus;
use libtcpclient::{Builder, OpenError};

use crate::common::deadline::wait_for;
use crate::common::far::{Far, far};
use crate::common::namespace::in_namespace;
use crate::common::pair::patient;

/// Waits until the one connection there is shows this trouble.
fn in_trouble(wire: &Far, word: &str) -> ConnectionStatus {
    wait_for("trouble that ICMP told of", 20, || {
        let row = wire.daemon.connections().pop()?;
        let status = wire.daemon.control().show(&row.id).ok()?;
        (status.soft_error.as_deref() == Some(word)).then_some(status)
    })
}

/// RFC 9293 §3.9.2.2 MUST-56, SHLD-25, RFC 5461 §2.2: "network unreachable" may pass; it is told when the time is over.
#[test]
fn an_open_goes_on_when_no_router_knows_the_way_and_says_so_in_the_end() {
    let nowhere: SocketAddr = "10.88.0.1:80".parse().expect("an address");
    in_namespace(|| {
        let wire = Far::start(&[]);
        let session = wire.daemon.session();
        let builder = Builder::new()
            .session(&session)
            .timeout(Duration::from_secs(1));
        std::thread::scope(|scope| {
            let connecting = scope.spawn(|| builder.connect(nowhere));
            let status = in_trouble(&wire, "network-unreachable");
            assert_eq!(status.row.state.name(), "SYN-SENT");
            let error = connecting
                .join()
                .expect("no panic")
                .expect_err("nobody is there");
            assert!(matches!(error, OpenError::NetworkUnreachable(_)), "{error}");
            assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
        });
    });
}

/// RFC 5927 §5.2, RFC 9293 §3.9.2.2 SHLD-26: what will not pass ends an open at once, and a connection never.
#[test]
fn a_router_that_forbids_ends_an_open_and_no_connection() {
    in_namespace(|| {
        let wire = Far::start(&[]);
        let session = wire.daemon.session();
        let listener = std::net::TcpListener::bind(far(0)).expect("the kernel listens");
        let at = listener.local_addr().expect("its address");
        let builder = Builder::new().session(&session);
        let mut stream = builder.connect(at).expect("connect");
        let (mut peer, _) = listener.accept().expect("the kernel accepts");
        patient(&peer);

        let forbidden = "prohibit 10.77.0.1/32";
        wire.host.ip(&format!("route add {forbidden}"));
        stream.write_all(b"hello").expect("it is taken");
        in_trouble(&wire, "host-unreachable");
        // No router lets it through; this one says so at once.
        let error = builder.connect(at).expect_err("it is forbidden");
        assert!(matches!(error, OpenError::HostUnreachable(_)), "{error}");
        assert_eq!(error.kind(), ErrorKind::HostUnreachable);

        wire.host.ip(&format!("route del {forbidden}"));
        let mut hello = [0; 5];
        peer.read_exact(&mut hello).expect("it is sent again");
        assert_eq!(&hello, b"hello");
        let passed = wait_for("end of the trouble", 20, || {
            let status = stream.status().expect("it is open");
            status.soft_error.is_none().then_some(status)
        });
        assert_eq!(passed.row.state.name(), "ESTABLISHED");
    });
}
