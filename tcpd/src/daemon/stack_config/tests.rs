//! What the file says is what the stack gets.

use std::time::Duration;

use libtcpclient::protocol::CongestionControl;

use super::*;
use crate::daemon::config::PortRange;

/// Every setting of the stack, and none as it is by default.
fn different() -> Config {
    let mut config = Config::default();
    let tcp = &mut config.tcp;
    for duration in [
        &mut tcp.msl,
        &mut tcp.rto_initial,
        &mut tcp.rto_min,
        &mut tcp.rto_max,
        &mut tcp.syn_timeout,
        &mut tcp.delayed_ack,
        &mut tcp.keepalive_idle,
        &mut tcp.keepalive_interval,
        &mut tcp.fin_wait_2_timeout,
        &mut tcp.orphan_timeout,
        &mut tcp.quiet_time,
    ] {
        *duration += Duration::from_millis(7);
    }
    for bytes in [
        &mut tcp.receive_initial,
        &mut tcp.receive_max,
        &mut tcp.send_initial,
        &mut tcp.send_max,
    ] {
        *bytes /= 2;
    }
    for switch in [
        &mut tcp.syn_cookies,
        &mut tcp.rfc1337,
        &mut tcp.window_scale,
        &mut tcp.timestamps,
        &mut tcp.sack,
        &mut tcp.timestamps_required,
        &mut tcp.nagle,
        &mut tcp.tail_loss_probe,
    ] {
        *switch = !*switch;
    }
    tcp.mtu_probing = config::MtuProbing::On;
    tcp.backlog_full = config::BacklogFull::Reset;
    tcp.ecn = config::Ecn::On;
    tcp.congestion = CongestionControl::NewReno;
    tcp.syn_ack_retries += 1;
    tcp.data_retries += 1;
    tcp.suspect_retries += 1;
    tcp.keepalive_count += 1;
    tcp.hop_limit += 1;
    tcp.mss_floor += 1;
    tcp.ephemeral_ports = PortRange { first: 7, last: 8 };
    let limits = &mut config.limits;
    for number in [
        &mut limits.connections,
        &mut limits.half_open,
        &mut limits.half_open_per_listener,
        &mut limits.time_wait,
        &mut limits.orphans,
        &mut limits.backlog_max,
        &mut limits.out_of_order_ranges,
        &mut limits.reset_rate,
    ] {
        *number += 1;
    }
    limits.fragment_bytes += 7;
    limits.challenge_ack_interval += Duration::from_millis(7);
    config
}

/// A field a line, as `name: value`.
fn fields(config: &impl std::fmt::Debug) -> Vec<String> {
    let text = format!("{config:#?}");
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| line.contains(": ") && !line.ends_with('{'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_setting_of_the_stack_can_be_configured() {
    let (default, changed) = (Config::default(), different());
    let (default, changed) = (stack_config(&default, 1500), stack_config(&changed, 1500));
    for (before, after) in [
        (fields(&default.tcp), fields(&changed.tcp)),
        (fields(&default.limits), fields(&changed.limits)),
    ] {
        assert_eq!(before.len(), after.len());
        assert!(before.len() >= 9, "{before:?}");
        for (before, after) in before.iter().zip(&after) {
            assert_ne!(before, after, "no key changes it");
        }
    }
    assert_eq!(changed.ports, 7..=8);
    assert_eq!(default.quiet_time, None);
    assert_eq!(changed.quiet_time, Some(Duration::from_millis(7)));
}

#[test]
fn the_defaults_of_the_file_are_the_cores() {
    let made = stack_config(&Config::default(), 1500);
    assert_eq!(fields(&made.tcp), fields(&TcpConfig::default()));
}
