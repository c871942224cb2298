//! The `--` lines at the head of a script: what the stack is configured with, and how the runner measures.
//!
//! | key | default | |
//! |---|---|---|
//! | `ip_version` | `ipv4` | or `ipv6` |
//! | `tolerance_usecs` | 1000 | how far from the script's time the stack may act |
//! | `local_ip`, `remote_ip`, `bind_port` | 198.18.0.2, 198.18.0.1, 8080 | v6: fd00:7463:7064::2 and ::1 |
//! | `peer_isn` | by seed | where far end 1 begins to count on the wire |
//! | `mtu`, `gso` | 1500, `false` | of the interface; super-segments handed out |
//! | `challenge_ack`, `resets` | `off`, `off` | `on`: the limiters of challenge ACKs and of RSTs as the stack has them |
//! | all in `STACK` below | the stack's | a duration is `60s`, `40ms` or `200us` |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::ScriptError;
use super::syntax::{Script, Setting};
use crate::stack::{
    BacklogFull, CongestionControl, EcnPolicy, IpCidr, MtuProbing, Nagle, StackConfig,
};

/// What a script's settings come to.
pub(super) struct Settings {
    pub(super) stack: StackConfig,
    pub(super) tolerance: Duration,
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
    pub(super) port: u16,
    pub(super) peer_isn: Option<u32>,
}

type Apply = fn(&mut StackConfig, &str) -> Option<()>;

/// Keys of the stack's own configuration.
const STACK: &[(&str, Apply)] = &[
    ("mtu", |c, v| set(&mut c.mtu, v.parse().ok())),
    ("msl", |c, v| set(&mut c.tcp.msl, duration(v))),
    ("rto_initial", |c, v| {
        set(&mut c.tcp.rto_initial, duration(v))
    }),
    ("rto_min", |c, v| set(&mut c.tcp.rto_min, duration(v))),
    ("rto_max", |c, v| set(&mut c.tcp.rto_max, duration(v))),
    ("syn_time", |c, v| set(&mut c.tcp.syn_time, duration(v))),
    ("syn_ack_retries", |c, v| {
        set(&mut c.tcp.syn_ack_retries, v.parse().ok())
    }),
    ("syn_cookies", |c, v| {
        set(&mut c.tcp.syn_cookies, v.parse().ok())
    }),
    ("backlog_full", |c, v| {
        set(&mut c.tcp.backlog_full, backlog_full(v))
    }),
    ("r1", |c, v| set(&mut c.tcp.r1, v.parse().ok())),
    ("r2", |c, v| set(&mut c.tcp.r2, v.parse().ok())),
    ("delayed_ack", |c, v| {
        set(&mut c.tcp.delayed_ack, duration(v))
    }),
    ("keepalive_idle", |c, v| {
        set(&mut c.tcp.keepalive.idle, duration(v))
    }),
    ("keepalive_interval", |c, v| {
        set(&mut c.tcp.keepalive.interval, duration(v))
    }),
    ("keepalive_count", |c, v| {
        set(&mut c.tcp.keepalive.count, v.parse().ok())
    }),
    ("receive_ring", |c, v| {
        set(&mut c.tcp.receive_ring, v.parse().ok())
    }),
    ("receive_ring_max", |c, v| {
        set(&mut c.tcp.receive_ring_max, v.parse().ok())
    }),
    ("send_ring", |c, v| {
        set(&mut c.tcp.send_ring, v.parse().ok())
    }),
    ("send_ring_max", |c, v| {
        set(&mut c.tcp.send_ring_max, v.parse().ok())
    }),
    ("mtu_probing", |c, v| {
        let word = [
            ("off", MtuProbing::Off),
            ("blackhole", MtuProbing::BlackHole),
            ("on", MtuProbing::On),
        ];
        let word = word.into_iter().find(|(name, _)| *name == v);
        set(&mut c.tcp.mtu_probing, word.map(|(_, mode)| mode))
    }),
    ("mss_floor", |c, v| {
        set(&mut c.tcp.mss_floor, v.parse().ok())
    }),
    ("window_scale", |c, v| {
        set(&mut c.tcp.window_scale, v.parse().ok())
    }),
    ("timestamps", |c, v| {
        set(&mut c.tcp.timestamps, v.parse().ok())
    }),
    ("sack", |c, v| set(&mut c.tcp.sack, v.parse().ok())),
    ("ecn", |c, v| set(&mut c.tcp.ecn, ecn(v))),
    ("timestamps_required", |c, v| {
        set(&mut c.tcp.timestamps_required, v.parse().ok())
    }),
    ("nagle", |c, v| set(&mut c.tcp.nagle, nagle(v))),
    ("congestion", |c, v| {
        set(&mut c.tcp.congestion, CongestionControl::from_name(v))
    }),
    ("tail_loss_probe", |c, v| {
        set(&mut c.tcp.tail_loss_probe, v.parse().ok())
    }),
    ("fin_wait_2_timeout", |c, v| {
        set(&mut c.tcp.fin_wait_2_timeout, duration(v))
    }),
    ("orphan_timeout", |c, v| {
        set(&mut c.tcp.orphan_timeout, duration(v))
    }),
    ("rfc1337", |c, v| {
        set(&mut c.tcp.time_wait_ignores_reset, v.parse().ok())
    }),
    ("half_open", |c, v| {
        set(&mut c.limits.half_open, v.parse().ok())
    }),
    ("half_open_per_listener", |c, v| {
        set(&mut c.limits.half_open_per_listener, v.parse().ok())
    }),
    ("time_wait", |c, v| {
        set(&mut c.limits.time_wait, v.parse().ok())
    }),
    ("connections", |c, v| {
        set(&mut c.limits.connections, v.parse().ok())
    }),
    ("orphans", |c, v| set(&mut c.limits.orphans, v.parse().ok())),
    ("backlog_max", |c, v| {
        set(&mut c.limits.backlog_max, v.parse().ok())
    }),
    ("out_of_order_ranges", |c, v| {
        set(&mut c.limits.out_of_order_ranges, v.parse().ok())
    }),
    ("challenge_ack_interval", |c, v| {
        set(&mut c.limits.challenge_ack_interval, duration(v))
    }),
    ("reset_rate", |c, v| {
        set(&mut c.limits.reset_rate, v.parse().ok())
    }),
    ("quiet_time", |c, v| {
        set(&mut c.quiet_time, duration(v).map(Some))
    }),
];

fn set<T>(field: &mut T, value: Option<T>) -> Option<()> {
    *field = value?;
    Some(())
}

fn nagle(value: &str) -> Option<Nagle> {
    match value {
        "off" => Some(Nagle::Off),
        "classic" => Some(Nagle::Classic),
        "minshall" => Some(Nagle::Minshall),
        _ => None,
    }
}

fn ecn(value: &str) -> Option<EcnPolicy> {
    match value {
        "off" => Some(EcnPolicy::Off),
        "passive" => Some(EcnPolicy::Passive),
        "on" => Some(EcnPolicy::On),
        _ => None,
    }
}

fn backlog_full(value: &str) -> Option<BacklogFull> {
    match value {
        "drop" => Some(BacklogFull::Drop),
        "reset" => Some(BacklogFull::Reset),
        _ => None,
    }
}

/// `60s`, `40ms`, `200us`; `0`.
fn duration(value: &str) -> Option<Duration> {
    if value == "0" {
        return Some(Duration::ZERO);
    }
    let (number, unit): (&str, fn(u64) -> Duration) = if let Some(n) = value.strip_suffix("ms") {
        (n, Duration::from_millis)
    } else if let Some(n) = value.strip_suffix("us") {
        (n, Duration::from_micros)
    } else {
        (value.strip_suffix('s')?, Duration::from_secs)
    };
    number.parse().ok().map(unit)
}

fn on(value: &str) -> Option<bool> {
    match value {
        "on" | "true" => Some(true),
        "off" | "false" => Some(false),
        _ => None,
    }
}

impl Settings {
    /// The settings of `script`.
    ///
    /// # Errors
    /// A key that there is not, or a value that does not fit it.
    pub(super) fn of(script: &Script) -> Result<Settings, ScriptError> {
        let find = |key: &str| script.settings.iter().find(|setting| setting.key == key);
        let ipv6 = match find("ip_version") {
            None => false,
            Some(setting) => match setting.value.as_str() {
                "ipv4" => false,
                "ipv6" => true,
                _ => return Err(wrong(setting, "ipv4 or ipv6")),
            },
        };
        let mut settings = Settings::default_of(ipv6);
        for setting in &script.settings {
            settings.apply(setting)?;
        }
        let prefix = if ipv6 { 64 } else { 24 };
        settings.stack.addresses = vec![IpCidr {
            addr: settings.local,
            prefix,
        }];
        Ok(settings)
    }

    fn default_of(ipv6: bool) -> Settings {
        let (local, remote): (IpAddr, IpAddr) = if ipv6 {
            let address = |last| Ipv6Addr::new(0xfd00, 0x7463, 0x7064, 0, 0, 0, 0, last);
            (address(2).into(), address(1).into())
        } else {
            (
                Ipv4Addr::new(198, 18, 0, 2).into(),
                Ipv4Addr::new(198, 18, 0, 1).into(),
            )
        };
        let mut stack = StackConfig {
            gso_max: 0,
            ..StackConfig::default()
        };
        // A script's challenges and resets follow each other faster than anything honest: most scripts are about what is
        // answered, not how often.
        stack.limits.challenge_ack_interval = Duration::ZERO;
        stack.limits.reset_rate = u32::MAX;
        Settings {
            stack,
            tolerance: Duration::from_millis(1),
            local,
            remote,
            port: 8080,
            peer_isn: None,
        }
    }

    fn apply(&mut self, setting: &Setting) -> Result<(), ScriptError> {
        let value = setting.value.as_str();
        let limits = StackConfig::default().limits;
        match setting.key.as_str() {
            "ip_version" => {}
            "tolerance_usecs" => {
                let micros = value.parse().map_err(|_| wrong(setting, "microseconds"))?;
                self.tolerance = Duration::from_micros(micros);
            }
            "local_ip" => self.local = value.parse().map_err(|_| wrong(setting, "an address"))?,
            "remote_ip" => self.remote = value.parse().map_err(|_| wrong(setting, "an address"))?,
            "bind_port" => self.port = value.parse().map_err(|_| wrong(setting, "a port"))?,
            "peer_isn" => {
                let isn = value
                    .parse()
                    .map_err(|_| wrong(setting, "a sequence number"))?;
                self.peer_isn = Some(isn);
            }
            "gso" => {
                let on = on(value).ok_or_else(|| wrong(setting, "on or off"))?;
                self.stack.gso_max = if on { 65_535 } else { 0 };
            }
            "challenge_ack" => {
                if on(value).ok_or_else(|| wrong(setting, "on or off"))? {
                    self.stack.limits.challenge_ack_interval = limits.challenge_ack_interval;
                }
            }
            "resets" => {
                if on(value).ok_or_else(|| wrong(setting, "on or off"))? {
                    self.stack.limits.reset_rate = limits.reset_rate;
                }
            }
            key => {
                let Some((_, apply)) = STACK.iter().find(|(known, _)| *known == key) else {
                    return Err(unknown(setting));
                };
                apply(&mut self.stack, value).ok_or_else(|| {
                    wrong(
                        setting,
                        "a value that fits: a number, true, off or a duration as 40ms",
                    )
                })?;
            }
        }
        Ok(())
    }
}

fn wrong(setting: &Setting, what: &str) -> ScriptError {
    ScriptError::new(
        setting.place,
        format!(
            "{}: expected {what}, found `{}`",
            setting.key, setting.value
        ),
    )
}

fn unknown(setting: &Setting) -> ScriptError {
    let known: Vec<&str> = STACK.iter().map(|(key, _)| *key).collect();
    ScriptError::new(
        setting.place,
        format!(
            "expected ip_version, tolerance_usecs, local_ip, remote_ip, bind_port, peer_isn, gso, challenge_ack, resets, {}; \
             found `{}`",
            known.join(", "),
            setting.key
        ),
    )
}
