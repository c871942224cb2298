//! More wish to be served than there is room for: SYN cookies and full backlogs, with the kernel's TCP as the peers (RFC 4987; RFC
//! 9293 §3.10.7.2).

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as KernelStream;

use libtcpclient::{Builder, Session, TcpListener};

use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::far::{Far, Way, far};
use crate::common::namespace::in_namespace;
use crate::common::pair::{connected, kernel_connects, ours};

const PORT: u16 = 5000;
/// The flags of a segment as its header has them.
const SYN_ACK: u8 = 0x12;

fn listen(wire: &Far, backlog: u32) -> (Session, TcpListener) {
    let session = wire.daemon.session();
    let builder = Builder::new().session(&session).backlog(backlog);
    let listener = builder.listen(ours(PORT)).expect("tcpd listens");
    (session, listener)
}

/// Sockets of the kernel whose SYNs tcpd has answered; the answers wait on the wire.
fn answered(wire: &Far, ports: std::ops::Range<u16>) -> Vec<KernelStream> {
    wire.hold(Way::ToKernel);
    let count = ports.len();
    let peers = ports.map(|port| kernel_connects(far(port), ours(PORT)));
    let peers = peers.collect();
    wait_for("SYN-ACKs on the wire", 20, || {
        (wire.held(Way::ToKernel, SYN_ACK) >= count).then_some(())
    });
    peers
}

/// What `tcpctl stats` shows of a counter, which says what it means.
fn explained(daemon: &Daemon, name: &str) -> u64 {
    let mut control = daemon.control();
    let mut rows = control.stats().map(|row| row.expect("a counter"));
    let row = rows.find(|row| row.name == name);
    let row = row.unwrap_or_else(|| panic!("no counter {name}"));
    assert!(row.help.contains("cookie"), "{}", row.help);
    row.value
}

/// RFC 4987 §3.6: one half-open entry fits, the others are remembered by their peers alone; nothing is lost by that.
#[test]
fn who_finds_no_room_for_a_half_open_entry_connects_by_a_cookie() {
    in_namespace(|| {
        let wire = Far::start(&["limits.half_open=1"]);
        let (_session, listener) = listen(&wire, 16);
        let peers = answered(&wire, 6000..6004);
        assert_eq!(explained(&wire.daemon, "syn-cookies-sent"), 3);
        wire.release(Way::ToKernel);
        for mut peer in peers {
            connected(&peer).expect("it listens");
            peer.write_all(b"hello").expect("send");
        }
        for _ in 0..4 {
            let (mut stream, from) = listener.accept().expect("tcpd accepts");
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).expect("receive");
            let options = stream.status().expect("it is open").options;
            assert!(options.timestamps, "{from}: {options:?}");
            assert!(options.window_scale_send.is_some(), "{from}: {options:?}");
        }
        assert_eq!(explained(&wire.daemon, "syn-cookies-accepted"), 3);
        assert_eq!(explained(&wire.daemon, "syn-cookies-refused"), 0);
    });
}

/// `tcp.backlog_full`: with "drop" the last ACK counts for nothing, SYN-ACK goes out again, and there is room by then.
#[test]
fn a_full_backlog_makes_the_second_wait_until_the_first_is_accepted() {
    in_namespace(|| {
        let wire = Far::start(&["tcp.rto_initial=300ms"]);
        let (_session, listener) = listen(&wire, 1);
        let peers = answered(&wire, 6000..6002);
        wire.release(Way::ToKernel);
        for mut peer in peers {
            connected(&peer).expect("it listens");
            peer.write_all(b"hello").expect("send");
            let (mut stream, _) = listener.accept().expect("tcpd accepts");
            stream.read_exact(&mut [0; 5]).expect("receive");
        }
    });
}

/// With "reset" the second learns at once that nobody will serve it.
#[test]
fn a_full_backlog_resets_the_second_where_that_is_configured() {
    in_namespace(|| {
        let wire = Far::start(&["tcp.backlog_full=reset"]);
        let (_session, _listener) = listen(&wire, 1);
        let peers = answered(&wire, 6000..6002);
        wire.release(Way::ToKernel);
        let mut ends = Vec::new();
        for mut peer in peers {
            // The reset may be faster than the look at the socket.
            let end = connected(&peer).and_then(|()| {
                let patience = std::time::Duration::from_millis(200);
                peer.set_read_timeout(Some(patience))?;
                peer.read(&mut [0])
            });
            ends.push(end.expect_err("nobody writes").kind());
        }
        ends.sort_by_key(|end| *end == ErrorKind::ConnectionReset);
        assert_eq!(ends, [ErrorKind::WouldBlock, ErrorKind::ConnectionReset]);
    });
}
