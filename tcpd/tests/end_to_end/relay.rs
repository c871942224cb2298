//! The relay of the bench `versus_kernel --impaired`, between two kernels: each connection has the path that was laid for it, and no other.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tcpd_core::impairment::Impairment;

use crate::common::host::Host;
use crate::common::namespace::in_namespace;
use crate::common::pair::{connected, kernel_connects, passes_many, patient};
use crate::common::relay::{FAR, NEAR, Relay, Way};
use crate::common::tcp_info::tcp_info;

const DELAYED: u16 = 10_000;
const LOSSY: u16 = 10_001;
const NOT_LAID: u16 = 10_002;
const BYTES: usize = 1 << 20;
/// What the kernel spends at most by itself before it takes a packet in hand, on a busy machine.
const KERNELS: Duration = Duration::from_millis(20);
/// The state of a kernel's socket that had no answer to its SYN.
const SYN_SENT: u8 = 2;

#[test]
fn a_relay_gives_each_connection_the_delay_the_rate_and_the_losses_of_its_own_path() {
    in_namespace(|| {
        let far = Host::new();
        let relay = Relay::start(&far);
        let listener = far.inside(|| TcpListener::bind((FAR, 0)).expect("the kernel listens"));
        let to = listener.local_addr().expect("its address");
        let delayed = path("delay=20ms");
        relay.lay(DELAYED, [delayed.clone(), delayed], 1);
        let perfect = Impairment::default();
        relay.lay(LOSSY, [path("loss=1% rate=80mbit"), perfect], 1);
        let nowhere = kernel_connects(near_at(NOT_LAID), to);

        let (near, _far) = joined(DELAYED, &listener);
        let round_trip = Duration::from_micros(tcp_info(&near).tcpi_rtt.into());
        let late = 2 * relay.carried(DELAYED).lateness.most;
        assert!(round_trip >= Duration::from_millis(40), "{round_trip:?}");
        assert!(
            round_trip < Duration::from_millis(40) + late + KERNELS,
            "{round_trip:?}, of which the relay was late {late:?}"
        );

        let (near, far_end) = joined(LOSSY, &listener);
        passes_many(&near, &far_end, BYTES);
        let [there, back] = relay.carried(LOSSY).counters;
        // Of 725 packets at least.
        assert!(there.lost > 0, "{there:?}");
        assert_eq!(back.lost, 0);
        assert_eq!(relay.carried(DELAYED).counters[Way::ToFar as usize].lost, 0);

        // It has begun before the others.
        assert_eq!(tcp_info(&nowhere).tcpi_state, SYN_SENT);
    });
}

fn path(spec: &str) -> Impairment {
    spec.parse().expect("an impairment")
}

fn near_at(port: u16) -> SocketAddr {
    SocketAddr::new(NEAR.parse().expect("an address"), port)
}

/// Both ends of a connection from this port.
fn joined(port: u16, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let to = listener.local_addr().expect("its address");
    let near = kernel_connects(near_at(port), to);
    connected(&near).expect("the kernel connects");
    let (far, _) = listener.accept().expect("the kernel accepts");
    patient(&near);
    patient(&far);
    (near, far)
}
