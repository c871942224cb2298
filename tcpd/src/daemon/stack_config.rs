//! The configuration in the words of the core and of the bridge.

use tcpd_core::stack::icmp::IcmpLimits;
use tcpd_core::stack::{
    BacklogFull, EcnPolicy, IpCidr, KeepAlive, Limits, MtuProbing, Nagle, StackConfig, TcpConfig,
};

use super::bridge::{BridgeConfig, RingSizes, congestion_control};
use super::config::{self, Config};
use super::orders::Quotas;

/// The largest super-segment the device takes: an IP packet's length has 16 bits.
const GSO_MAX: u32 = 65_535;
/// Accepts of one listener that may wait at a time.
const PENDING_ACCEPTS: usize = 256;

/// What the core is told. `mtu` is the device's.
pub(crate) fn stack_config(config: &Config, mtu: u16) -> StackConfig {
    let (tcp, limits) = (&config.tcp, &config.limits);
    StackConfig {
        addresses: config
            .device
            .stack_addresses()
            .map(|(addr, prefix)| IpCidr { addr, prefix })
            .collect(),
        mtu,
        gso_max: GSO_MAX,
        tcp: TcpConfig {
            msl: tcp.msl,
            rto_initial: tcp.rto_initial,
            rto_min: tcp.rto_min,
            rto_max: tcp.rto_max,
            syn_time: tcp.syn_timeout,
            r2: u8::try_from(tcp.data_retries).unwrap_or(u8::MAX),
            delayed_ack: tcp.delayed_ack,
            keepalive: keepalive(config),
            receive_ring: tcp.receive_initial,
            receive_ring_max: tcp.receive_max,
            send_ring: tcp.send_initial,
            send_ring_max: tcp.send_max,
            mss_floor: tcp.mss_floor,
            mtu_probing: match tcp.mtu_probing {
                config::MtuProbing::Off => MtuProbing::Off,
                config::MtuProbing::BlackHole => MtuProbing::BlackHole,
                config::MtuProbing::On => MtuProbing::On,
            },
            window_scale: tcp.window_scale,
            timestamps: tcp.timestamps,
            sack: tcp.sack,
            ecn: match tcp.ecn {
                config::Ecn::Off => EcnPolicy::Off,
                config::Ecn::Passive => EcnPolicy::Passive,
                config::Ecn::On => EcnPolicy::On,
            },
            nagle: if tcp.nagle {
                Nagle::Minshall
            } else {
                Nagle::Off
            },
            congestion: congestion_control(tcp.congestion),
            tail_loss_probe: tcp.tail_loss_probe,
            fin_wait_2_timeout: tcp.fin_wait_2_timeout,
            orphan_timeout: tcp.orphan_timeout,
            syn_ack_retries: tcp.syn_ack_retries,
            syn_cookies: tcp.syn_cookies,
            backlog_full: match tcp.backlog_full {
                config::BacklogFull::Drop => BacklogFull::Drop,
                config::BacklogFull::Reset => BacklogFull::Reset,
            },
            r1: tcp.suspect_retries,
            time_wait_ignores_reset: tcp.rfc1337,
            timestamps_required: tcp.timestamps_required,
            hop_limit: tcp.hop_limit,
        },
        limits: Limits {
            half_open: limits.half_open as usize,
            half_open_per_listener: limits.half_open_per_listener as usize,
            time_wait: limits.time_wait as usize,
            connections: limits.connections as usize,
            orphans: limits.orphans as usize,
            backlog_max: limits.backlog_max,
            out_of_order_ranges: limits.out_of_order_ranges as usize,
            challenge_ack_interval: limits.challenge_ack_interval,
            reset_rate: limits.reset_rate,
            fragment_bytes: limits.fragment_bytes as usize,
        },
        icmp: IcmpLimits::default(),
        ports: tcp.ephemeral_ports.first..=tcp.ephemeral_ports.last,
        quiet_time: (!tcp.quiet_time.is_zero()).then_some(tcp.quiet_time),
    }
}

/// What the bridge is told.
pub(crate) fn bridge_config(config: &Config) -> BridgeConfig {
    BridgeConfig {
        receive: RingSizes {
            initial: config.tcp.receive_initial,
            maximum: config.tcp.receive_max,
        },
        transmit: RingSizes {
            initial: config.tcp.send_initial,
            maximum: config.tcp.send_max,
        },
        pending_accepts: PENDING_ACCEPTS,
        keepalive: config.tcp.keepalive.then(|| keepalive(config)),
        quotas: quotas(config),
    }
}

/// What users may have.
pub(crate) fn quotas(config: &Config) -> Quotas {
    let limits = &config.limits;
    Quotas {
        connections: limits.connections_per_uid,
        orphans: limits.orphans_per_uid,
        listeners: limits.listeners_per_uid,
        ring_bytes_per_uid: limits.ring_bytes_per_uid,
        ring_bytes: limits.ring_bytes,
        root: limits.root,
    }
}

fn keepalive(config: &Config) -> KeepAlive {
    KeepAlive {
        idle: config.tcp.keepalive_idle,
        interval: config.tcp.keepalive_interval,
        count: u8::try_from(config.tcp.keepalive_count).unwrap_or(u8::MAX),
    }
}

#[cfg(test)]
mod tests;
