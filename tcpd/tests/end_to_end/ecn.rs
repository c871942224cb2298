//! ECN (RFC 3168) with the kernel's TCP at the other end: agreed on as both ends want, given up where the path does not let it through,
//! and harmless where the path writes what it likes. What marks lead to is in `ecn/marks.rs`.

mod marks;

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use tcpd_core::wire::Ecn;

use crate::common::daemon::{Daemon, HOST_V4, HOST_V6, STACK_V4, STACK_V6};
use crate::common::far::{FAR_V4, FAR_V6, Far, Treatment};
use crate::common::host::Host;
use crate::common::namespace::in_namespace;
use crate::common::packet::{Seen, set_ecn};
use crate::common::pair::{accept_at, connect_to, exchange, passes};
use crate::common::tcp_info::tcp_info;

/// `tcpi_options` of the kernel's: ECN was agreed on; text came that was ECN-capable (linux/tcp.h).
const AGREED: u8 = 8;
const SEEN: u8 = 16;

/// The kernel's `net.ipv4.tcp_ecn`, which is for IPv6 too: 0 never, 1 asks and agrees, 2 agrees. Its congestion control is one that
/// does what RFC 3168 says, whatever the machine prefers.
fn kernels_ecn(mode: u8) {
    Host::here().set("ipv4/tcp_ecn", &mode.to_string());
    Host::here().set("ipv4/tcp_congestion_control", "reno");
}

/// Words pass both ways, and both ends say that ECN was agreed on, or was not.
fn agreed((mut ours, mut theirs): (libtcpclient::TcpStream, TcpStream), wanted: bool, case: &str) {
    passes(&mut ours, &mut theirs);
    passes(&mut theirs, &mut ours);
    let state = ours.status().expect("it is open").ecn.state;
    assert_eq!(state, if wanted { "on" } else { "off" }, "{case}");
    let options = tcp_info(&theirs).tcpi_options & (AGREED | SEEN);
    let kernels = if wanted { AGREED | SEEN } else { 0 };
    assert_eq!(options, kernels, "{case}, as the kernel sees it");
}

#[test]
fn ecn_is_agreed_on_as_both_ends_want() {
    in_namespace(|| {
        for ours in ["off", "passive", "on"] {
            let daemon = Daemon::start_with("", &[&format!("tcp.ecn={ours}")]);
            let session = daemon.session();
            for kernels in [0, 1, 2] {
                kernels_ecn(kernels);
                for (stack, host) in [(STACK_V4, HOST_V4), (STACK_V6, HOST_V6)] {
                    let case = format!("tcpd {ours}, kernel {kernels}, {host}");
                    let opened = connect_to(&session, host);
                    agreed(opened, ours == "on" && kernels != 0, &case);
                    let accepted = accept_at(&session, stack, host);
                    agreed(accepted, ours != "off" && kernels == 1, &case);
                }
            }
        }
    });
}

/// RFC 3168 §6.1.1.1.
#[test]
fn where_a_box_drops_or_refuses_syns_with_ecn_a_connection_opens_without() {
    in_namespace(|| {
        kernels_ecn(1);
        let wire = Far::start(&["tcp.ecn=on"]);
        let session = wire.daemon.session();
        wire.host.nft(&box_that("drop"));
        thread::scope(|scope| {
            for (stack, host) in [(STACK_V4, FAR_V4), (STACK_V6, FAR_V6)] {
                let session = &session;
                scope.spawn(move || agreed(connect_to(session, host), false, "dropped, ours"));
                // The kernel does the same by itself.
                scope.spawn(move || agreed(accept_at(session, stack, host), false, "dropped"));
            }
        });
        assert_eq!(wire.daemon.counter("ecn-withdrawn"), 2);
        wire.host.nft("flush ruleset");
        wire.host.nft(&box_that("reject with tcp reset"));
        for host in [FAR_V4, FAR_V6] {
            agreed(connect_to(&session, host), false, "refused");
        }
        assert_eq!(wire.daemon.counter("ecn-withdrawn"), 4);
        wire.host.nft("flush ruleset");
        agreed(connect_to(&session, FAR_V4), true, "without the box");
    });
}

/// It stands before the daemon's namespace forwards anything, and does this to SYNs that ask for ECN.
fn box_that(verdict: &str) -> String {
    let asks = "tcp flags & (syn | ack | ecn | cwr) == (syn | ecn | cwr)";
    format!(
        "table inet box {{
           chain forward {{ type filter hook forward priority 0; {asks} {verdict}; }}
         }}"
    )
}

/// Whatever is written into the ECN field on the way, every byte arrives; and nobody believes a field that was written in the SYN.
#[test]
fn a_path_that_writes_in_the_ecn_field_costs_no_byte() {
    in_namespace(|| {
        kernels_ecn(1);
        let (daemons, delay) = (["tcp.ecn=on"], Duration::ZERO);
        for (field, agreed) in [(Ecn::NotEct, "on"), (Ecn::Ce, "off")] {
            let wire = Far::start_over(&daemons, delay, writes_and_loses(field));
            let session = wire.daemon.session();
            for (stack, host) in [(STACK_V4, FAR_V4), (STACK_V6, FAR_V6)] {
                for (ours, theirs) in [connect_to(&session, host), accept_at(&session, stack, host)]
                {
                    exchange(&ours, &theirs, 128 << 10);
                    let status = ours.status().expect("it is open");
                    assert_eq!(status.ecn.state, agreed, "{field} {host}");
                    assert_eq!((status.ecn.ce_in, status.ecn.ece_in), (0, 0));
                    assert_eq!(status.ecn.reductions, 0, "{field} {host}");
                    // What was lost was noticed without any mark.
                    let counters = status.counters.expect("they are counted");
                    assert!(counters.lost_segments > 0, "{counters:?}");
                }
            }
        }
    });
}

/// Every packet has this ECN field behind it; and every fortieth with text is lost each way.
fn writes_and_loses(field: Ecn) -> Treatment {
    let mut texts = [0; 2];
    Box::new(move |way, packet| {
        set_ecn(packet, field);
        let text = Seen::of(packet).is_some_and(|seen| seen.text > 0);
        let texts = &mut texts[way as usize];
        *texts += u32::from(text);
        !text || *texts % 40 != 0
    })
}
