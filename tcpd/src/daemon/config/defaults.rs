//! The typed defaults. A test holds them equal to etc/tcpd.toml.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use libtcpclient::protocol::CongestionControl;

use super::{
    BacklogFull, Config, Control, Device, Ecn, Impair, Limits, Log, LogTarget, MtuProbing,
    PortRange, Rotation, Tcp,
};

impl Default for Config {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            shutdown_grace: seconds(10),
            device: Device {
                name: "tcpd0".to_owned(),
                configure: true,
                host_v4: Some(Ipv4Addr::new(198, 18, 0, 1)),
                stack_v4: Some(Ipv4Addr::new(198, 18, 0, 2)),
                prefix_v4: 24,
                host_v6: Some(Ipv6Addr::new(0xfd00, 0x7463, 0x7064, 0, 0, 0, 0, 1)),
                stack_v6: Some(Ipv6Addr::new(0xfd00, 0x7463, 0x7064, 0, 0, 0, 0, 2)),
                prefix_v6: 64,
                mtu: 1500,
                offload: true,
                queues: 1,
            },
            tcp: Tcp {
                msl: seconds(30),
                rto_initial: seconds(1),
                rto_min: Duration::from_millis(200),
                rto_max: seconds(60),
                syn_timeout: seconds(180),
                syn_cookies: true,
                backlog_full: BacklogFull::Drop,
                syn_ack_retries: 5,
                data_retries: 15,
                suspect_retries: 3,
                delayed_ack: Duration::from_millis(40),
                keepalive: false,
                keepalive_idle: seconds(7200),
                keepalive_interval: seconds(75),
                keepalive_count: 9,
                fin_wait_2_timeout: seconds(60),
                orphan_timeout: seconds(60),
                rfc1337: true,
                hop_limit: 64,
                mss_floor: 88,
                mtu_probing: MtuProbing::BlackHole,
                receive_initial: 64 << 10,
                receive_max: 4 << 20,
                send_initial: 64 << 10,
                send_max: 4 << 20,
                window_scale: true,
                timestamps: true,
                sack: true,
                ecn: Ecn::Passive,
                timestamps_required: true,
                nagle: true,
                tail_loss_probe: true,
                congestion: CongestionControl::Cubic,
                ephemeral_ports: PortRange {
                    first: 32_768,
                    last: 60_999,
                },
                quiet_time: seconds(0),
            },
            limits: Limits {
                connections: 1_000_000,
                half_open: 65_536,
                half_open_per_listener: 32_768,
                time_wait: 262_144,
                orphans: 8192,
                backlog: 128,
                backlog_max: 4096,
                out_of_order_ranges: 128,
                challenge_ack_interval: Duration::from_millis(500),
                reset_rate: 100,
                fragment_bytes: 4 << 20,
                sessions_per_uid: 1024,
                connections_per_uid: 65_536,
                orphans_per_uid: 4096,
                listeners_per_uid: 1024,
                handoffs_per_uid: 1024,
                ring_bytes_per_uid: 512 << 20,
                root: false,
                ring_bytes: 2 << 30,
                slots_per_session: 4096,
                requests_per_session: 8192,
                unread_bytes_per_session: 1 << 20,
                unread_bytes_per_uid: 32 << 20,
                messages_per_turn: 64,
            },
            control: Control {
                socket: PathBuf::from("/run/tcpd/tcpd.sock"),
                mode: 0o666,
                group: Some("tcpd".to_owned()),
                privileged_ports_below: 1024,
                hello_timeout: seconds(10),
                handoff_timeout: seconds(10),
            },
            log: Log {
                level: "info".to_owned(),
                to: LogTarget::Auto,
                directory: PathBuf::from("/var/log/tcpd"),
                rotation: Rotation::Daily,
                keep: 7,
            },
            impair: Impair {
                seed: 1,
                ..Impair::default()
            },
            services: Vec::new(),
        }
    }
}
