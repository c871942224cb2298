//! Every key, what it may be, and in what words that is said. The strict pass over a file, the environment and the
//! flags all check against this one table; a test holds it equal to etc/tcpd.toml.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::units::{format_duration, format_size, parse_duration, parse_size};

/// What a key may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Boolean,
    /// Least and most.
    Integer(i64, i64),
    Duration(Duration, Duration),
    /// Least and most bytes.
    Size(u64, u64),
    /// Least and most bytes, powers of two only.
    PowerOfTwoSize(u64, u64),
    OneOf(&'static [&'static str]),
    InterfaceName,
    ServiceName,
    UserName,
    GroupName,
    AbsolutePath,
    /// Any number of absolute paths.
    Paths,
    /// A program and its arguments.
    Words,
    /// `NAME=value` each.
    Variables,
    AddressV4,
    AddressV6,
    Addresses,
    PortRange,
    /// Permission bits in octal.
    Mode,
    LogDirectives,
    /// What a bad network does, or nothing.
    Impairment,
    /// Networks, each with what is done to its packets.
    ImpairedPeers,
}

/// A key of a section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// `""` for the top of the file; `"service"` for an entry of `[[service]]`.
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(super) applied: Applied,
}

/// When a change of a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    /// At the next reload.
    ByReload,
    /// At the next start: the device, the socket, the log, the layout of arenas and the stack are made once.
    ByRestart,
}

impl Key {
    /// A reload applies it.
    const fn by_reload(mut self) -> Self {
        self.applied = Applied::ByReload;
        self
    }

    /// `section.name`.
    pub(crate) fn path(&self) -> String {
        if self.section.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}.{}", self.section, self.name)
        }
    }
}

/// A value as a file, a variable or a flag gives it, before anybody believes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    Boolean(bool),
    Integer(i64),
    Text(String),
    List(Vec<Given>),
    /// Any other type, by its name.
    Other(&'static str),
}

impl Given {
    fn shown(&self) -> String {
        match self {
            Given::Text(text) => format!("{text:?}"),
            other => format!("{other:?}"),
        }
    }
}

const fn milliseconds(value: u64) -> Duration {
    Duration::from_millis(value)
}

const fn seconds(value: u64) -> Duration {
    Duration::from_secs(value)
}

const DAY: Duration = seconds(86_400);
const RING: Kind = Kind::PowerOfTwoSize(4 << 10, 64 << 20);

const fn key(section: &'static str, name: &'static str, kind: Kind) -> Key {
    Key {
        section,
        name,
        kind,
        applied: Applied::ByRestart,
    }
}

/// The sections, in the order of the file; `""` is the top and `"service"` the array.
pub(super) const SECTIONS: &[&str] = &[
    "", "device", "tcp", "limits", "control", "log", "impair", "service",
];

pub(super) const KEYS: &[Key] = &[
    key(
        "",
        "shutdown_grace",
        Kind::Duration(seconds(0), seconds(3600)),
    )
    .by_reload(),
    key("device", "name", Kind::InterfaceName),
    key("device", "configure", Kind::Boolean),
    key("device", "host_v4", Kind::AddressV4),
    key("device", "stack_v4", Kind::AddressV4),
    key("device", "prefix_v4", Kind::Integer(1, 31)),
    key("device", "host_v6", Kind::AddressV6),
    key("device", "stack_v6", Kind::AddressV6),
    key("device", "prefix_v6", Kind::Integer(1, 127)),
    key("device", "mtu", Kind::Integer(1280, 65_535)),
    key("device", "offload", Kind::Boolean),
    key("device", "queues", Kind::Integer(1, 1)),
    key("tcp", "msl", Kind::Duration(milliseconds(1), seconds(600))),
    key(
        "tcp",
        "rto_initial",
        Kind::Duration(milliseconds(1), seconds(60)),
    ),
    key(
        "tcp",
        "rto_min",
        Kind::Duration(milliseconds(1), seconds(60)),
    ),
    key("tcp", "rto_max", Kind::Duration(seconds(1), seconds(600))),
    key(
        "tcp",
        "syn_timeout",
        Kind::Duration(seconds(1), seconds(3600)),
    ),
    key("tcp", "syn_cookies", Kind::Boolean),
    key("tcp", "backlog_full", Kind::OneOf(&["drop", "reset"])),
    key("tcp", "syn_ack_retries", Kind::Integer(1, 15)),
    key("tcp", "data_retries", Kind::Integer(1, 100)),
    key("tcp", "suspect_retries", Kind::Integer(1, 100)),
    key(
        "tcp",
        "delayed_ack",
        Kind::Duration(seconds(0), milliseconds(500)),
    ),
    key("tcp", "keepalive", Kind::Boolean),
    key("tcp", "keepalive_idle", Kind::Duration(seconds(1), DAY)),
    key("tcp", "keepalive_interval", Kind::Duration(seconds(1), DAY)),
    key("tcp", "keepalive_count", Kind::Integer(1, 100)),
    key(
        "tcp",
        "fin_wait_2_timeout",
        Kind::Duration(milliseconds(1), DAY),
    ),
    key(
        "tcp",
        "orphan_timeout",
        Kind::Duration(milliseconds(1), DAY),
    ),
    key("tcp", "rfc1337", Kind::Boolean),
    key("tcp", "hop_limit", Kind::Integer(1, 255)),
    key("tcp", "mss_floor", Kind::Integer(48, 1220)),
    key(
        "tcp",
        "mtu_probing",
        Kind::OneOf(&["off", "blackhole", "on"]),
    ),
    key("tcp", "receive_initial", RING),
    key("tcp", "receive_max", RING),
    key("tcp", "send_initial", RING),
    key("tcp", "send_max", RING),
    key("tcp", "window_scale", Kind::Boolean),
    key("tcp", "timestamps", Kind::Boolean),
    key("tcp", "sack", Kind::Boolean),
    key("tcp", "ecn", Kind::OneOf(&["off", "passive", "on"])),
    key("tcp", "timestamps_required", Kind::Boolean),
    key("tcp", "nagle", Kind::Boolean),
    key("tcp", "tail_loss_probe", Kind::Boolean),
    key("tcp", "congestion", Kind::OneOf(&["cubic", "newreno"])),
    key("tcp", "ephemeral_ports", Kind::PortRange),
    key(
        "tcp",
        "quiet_time",
        Kind::Duration(seconds(0), seconds(600)),
    ),
    key("limits", "connections", Kind::Integer(1, 10_000_000)),
    key("limits", "half_open", Kind::Integer(1, 10_000_000)),
    key(
        "limits",
        "half_open_per_listener",
        Kind::Integer(1, 10_000_000),
    ),
    key("limits", "time_wait", Kind::Integer(0, 10_000_000)),
    key("limits", "orphans", Kind::Integer(0, 10_000_000)),
    key("limits", "backlog", Kind::Integer(1, 65_535)).by_reload(),
    key("limits", "backlog_max", Kind::Integer(1, 65_535)),
    key("limits", "out_of_order_ranges", Kind::Integer(1, 4096)),
    key(
        "limits",
        "challenge_ack_interval",
        Kind::Duration(seconds(0), seconds(60)),
    ),
    key("limits", "reset_rate", Kind::Integer(1, 1_000_000)),
    key("limits", "fragment_bytes", Kind::Size(0, 1 << 30)),
    key("limits", "sessions_per_uid", Kind::Integer(1, 1_000_000)).by_reload(),
    key(
        "limits",
        "connections_per_uid",
        Kind::Integer(1, 10_000_000),
    )
    .by_reload(),
    key("limits", "orphans_per_uid", Kind::Integer(0, 10_000_000)).by_reload(),
    key("limits", "listeners_per_uid", Kind::Integer(0, 65_535)).by_reload(),
    key("limits", "handoffs_per_uid", Kind::Integer(0, 65_535)).by_reload(),
    key("limits", "ring_bytes_per_uid", Kind::Size(1 << 20, 1 << 44)).by_reload(),
    key("limits", "root", Kind::Boolean).by_reload(),
    key("limits", "ring_bytes", Kind::Size(1 << 20, 1 << 44)).by_reload(),
    key("limits", "slots_per_session", Kind::Integer(1, 4096)),
    key(
        "limits",
        "requests_per_session",
        Kind::Integer(16, 1_000_000),
    )
    .by_reload(),
    key(
        "limits",
        "unread_bytes_per_session",
        Kind::Size(128 << 10, 1 << 30),
    )
    .by_reload(),
    key(
        "limits",
        "unread_bytes_per_uid",
        Kind::Size(128 << 10, 1 << 36),
    )
    .by_reload(),
    key("limits", "messages_per_turn", Kind::Integer(1, 4096)).by_reload(),
    key("control", "socket", Kind::AbsolutePath),
    key("control", "mode", Kind::Mode),
    key("control", "group", Kind::GroupName),
    key(
        "control",
        "privileged_ports_below",
        Kind::Integer(0, 65_535),
    )
    .by_reload(),
    key(
        "control",
        "hello_timeout",
        Kind::Duration(milliseconds(100), seconds(600)),
    )
    .by_reload(),
    key(
        "control",
        "handoff_timeout",
        Kind::Duration(milliseconds(100), seconds(600)),
    )
    .by_reload(),
    key("log", "level", Kind::LogDirectives),
    key(
        "log",
        "to",
        Kind::OneOf(&["auto", "journal", "stderr", "files"]),
    ),
    key("log", "directory", Kind::AbsolutePath),
    key(
        "log",
        "rotation",
        Kind::OneOf(&["minutely", "hourly", "daily", "never"]),
    ),
    key("log", "keep", Kind::Integer(1, 10_000)),
    key("impair", "in", Kind::Impairment).by_reload(),
    key("impair", "out", Kind::Impairment).by_reload(),
    key("impair", "peers", Kind::ImpairedPeers).by_reload(),
    key("impair", "seed", Kind::Integer(0, i64::MAX)).by_reload(),
    key("service", "name", Kind::ServiceName),
    key("service", "port", Kind::Integer(1, 65_535)),
    key("service", "handler", Kind::OneOf(super::service::HANDLERS)),
    key("service", "exec", Kind::Words),
    key("service", "environment", Kind::Variables),
    key("service", "addresses", Kind::Addresses),
    key("service", "directory", Kind::AbsolutePath),
    key("service", "user", Kind::UserName),
    key("service", "group", Kind::GroupName),
    key("service", "max_workers", Kind::Integer(1, 65_535)),
    key("service", "max_per_source", Kind::Integer(0, 65_535)),
    key("service", "idle_workers", Kind::Integer(0, 1024)),
    key("service", "backlog", Kind::Integer(1, 65_535)),
    key(
        "service",
        "congestion",
        Kind::OneOf(&["default", "cubic", "newreno"]),
    ),
    key("service", "idle_timeout", Kind::Duration(seconds(0), DAY)),
    key("service", "wall_time", Kind::Duration(seconds(0), DAY)),
    key("service", "cpu_time", Kind::Duration(seconds(0), DAY)),
    key("service", "nice", Kind::Integer(0, 19)),
    key("service", "limit_memory", Kind::Size(0, 1 << 46)),
    key("service", "limit_files", Kind::Integer(0, 1 << 20)),
    key("service", "limit_processes", Kind::Integer(0, 1 << 22)),
    key("service", "limit_file_size", Kind::Size(0, 1 << 60)),
    key("service", "readable", Kind::Paths),
    key("service", "writable", Kind::Paths),
    key("service", "network", Kind::Boolean),
    key("service", "sessions", Kind::Boolean),
    key("service", "enabled", Kind::Boolean),
];

/// The keys of a section, in the order of the file.
pub(crate) fn keys_of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

/// The key `section.name`.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.section == section && key.name == name)
}

impl Kind {
    /// Says what is wrong with a value; `Ok` when nothing is.
    pub(crate) fn check(self, given: &Given) -> Result<(), String> {
        match (self, given) {
            (Kind::Boolean, Given::Boolean(_)) => Ok(()),
            (Kind::Boolean, _) => Err("not a boolean".to_owned()),
            (Kind::Integer(least, most), Given::Integer(value)) => within(*value, least, most),
            (Kind::Integer(..), _) => Err("not an integer".to_owned()),
            (Kind::Addresses, Given::List(items)) => items.iter().try_for_each(check_address),
            (Kind::Words, Given::List(items)) => items.iter().try_for_each(check_word),
            (Kind::Variables, Given::List(items)) => items.iter().try_for_each(check_variable),
            (Kind::Paths, Given::List(items)) => items.iter().try_for_each(check_path),
            (Kind::ImpairedPeers, Given::List(items)) => check_peers(items),
            (
                Kind::Addresses | Kind::Words | Kind::Variables | Kind::Paths | Kind::ImpairedPeers,
                _,
            ) => Err("not a list".to_owned()),
            (_, Given::Text(text)) => self.check_text(text),
            _ => Err("not a string".to_owned()),
        }
    }

    fn check_text(self, text: &str) -> Result<(), String> {
        let require = |good: bool, wrong: &str| if good { Ok(()) } else { Err(wrong.to_owned()) };
        match self {
            Kind::Duration(least, most) => {
                within(parse_duration(text).ok_or("not a duration")?, least, most)
            }
            Kind::Size(least, most) => within(parse_size(text).ok_or("not a size")?, least, most),
            Kind::PowerOfTwoSize(least, most) => {
                let size = parse_size(text).ok_or("not a size")?;
                within(size, least, most)?;
                require(size.is_power_of_two(), "not a power of two")
            }
            Kind::OneOf(words) => require(words.contains(&text), "unknown word"),
            Kind::InterfaceName => require(is_interface_name(text), "not an interface name"),
            Kind::ServiceName => require(is_name(text, 32), "not a service name"),
            Kind::UserName => require(is_name(text, 32), "not a user name"),
            Kind::GroupName => require(is_name(text, 32), "not a group name"),
            Kind::AbsolutePath => require(
                text.starts_with('/') && !text.contains('\0'),
                "not an absolute path",
            ),
            Kind::AddressV4 => require(
                text == "none" || text.parse::<Ipv4Addr>().is_ok(),
                "not an IPv4 address",
            ),
            Kind::AddressV6 => require(
                text == "none" || text.parse::<Ipv6Addr>().is_ok(),
                "not an IPv6 address",
            ),
            Kind::PortRange => require(
                super::PortRange::parse(text).is_some(),
                "not a range of ports",
            ),
            Kind::Mode => require(
                text.len() <= 4 && u32::from_str_radix(text, 8).is_ok_and(|mode| mode <= 0o777),
                "not permission bits",
            ),
            Kind::LogDirectives => tracing_subscriber::EnvFilter::builder()
                .parse(text)
                .map_err(|error| error.to_string())
                .and_then(|_| require(!text.trim().is_empty(), "empty")),
            Kind::Impairment => super::impair::check(text),
            Kind::Boolean
            | Kind::Integer(..)
            | Kind::Addresses
            | Kind::Words
            | Kind::Variables
            | Kind::Paths
            | Kind::ImpairedPeers => Err("not of the right type".to_owned()),
        }
    }

    /// What is allowed, in words.
    pub(crate) fn allowed(self) -> String {
        match self {
            Kind::Boolean => "true or false".to_owned(),
            Kind::Integer(least, most) if least == most => format!("{least}, in this version"),
            Kind::Integer(least, most) => format!("an integer from {least} to {most}"),
            Kind::Duration(least, most) => format!(
                "a duration from \"{}\" to \"{}\" (us, ms, s, min, h, d)",
                format_duration(least),
                format_duration(most)
            ),
            Kind::Size(least, most) => {
                format!(
                    "a size from \"{}\" to \"{}\" (B, KiB, MiB, GiB)",
                    format_size(least),
                    format_size(most)
                )
            }
            Kind::PowerOfTwoSize(least, most) => {
                format!(
                    "a power of two from \"{}\" to \"{}\" (B, KiB, MiB)",
                    format_size(least),
                    format_size(most)
                )
            }
            Kind::OneOf(words) => words.join(", "),
            Kind::InterfaceName => {
                "a name of 1 to 15 characters without '/', ':' and spaces".to_owned()
            }
            Kind::ServiceName => "1 to 32 letters, digits, '-' and '_'".to_owned(),
            Kind::UserName => "the name of a user, or \"none\"".to_owned(),
            Kind::GroupName => "the name of a group, or \"none\"".to_owned(),
            Kind::AbsolutePath => "a path that begins with '/'".to_owned(),
            Kind::Paths => "a list of paths that begin with '/'".to_owned(),
            Kind::Words => {
                "a program by its whole path and its arguments, as [\"/bin/cat\", \"-u\"]"
                    .to_owned()
            }
            Kind::Variables => "a list as [\"LANG=C.UTF-8\", \"PATH=/usr/bin\"]".to_owned(),
            Kind::AddressV4 => "an IPv4 address as \"198.18.0.1\", or \"none\"".to_owned(),
            Kind::AddressV6 => "an IPv6 address as \"fd00:7463:7064::1\", or \"none\"".to_owned(),
            Kind::Addresses => "a list of IP addresses as [\"198.18.0.2\"]".to_owned(),
            Kind::PortRange => "two ports from 1 to 65535 as \"32768-60999\"".to_owned(),
            Kind::Mode => "three octal digits as \"0666\"".to_owned(),
            Kind::Impairment => {
                "words as \"loss=1% delay=20ms rate=100mbit\", or \"\" for nothing".to_owned()
            }
            Kind::ImpairedPeers => format!(
                "at most {} different networks in a file, as [\"203.0.113.0/24 in loss=1% delay=20ms\"]; in or out may be left out",
                super::impair::MAX_PEERS
            ),
            Kind::LogDirectives => {
                "error, warn, info, debug, trace, or directives as \"info,tcpd=debug\"".to_owned()
            }
        }
    }

    /// Reads the text of a variable or a flag as this kind of value.
    pub(crate) fn read(self, text: &str) -> Given {
        match self {
            Kind::Boolean => text
                .parse()
                .map_or_else(|_| Given::Text(text.to_owned()), Given::Boolean),
            Kind::Integer(..) => text
                .parse()
                .map_or_else(|_| Given::Text(text.to_owned()), Given::Integer),
            Kind::Addresses => {
                let items = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                Given::List(items.map(|item| Given::Text(item.to_owned())).collect())
            }
            _ => Given::Text(text.to_owned()),
        }
    }
}

fn within<T: PartialOrd>(value: T, least: T, most: T) -> Result<(), String> {
    if value < least {
        Err("too small".to_owned())
    } else if value > most {
        Err("too large".to_owned())
    } else {
        Ok(())
    }
}

fn check_address(item: &Given) -> Result<(), String> {
    match item {
        Given::Text(text) if text.parse::<IpAddr>().is_ok() => Ok(()),
        Given::Text(text) => Err(format!("{text:?} is not an IP address")),
        _ => Err("not a list of strings".to_owned()),
    }
}

fn check_word(item: &Given) -> Result<(), String> {
    match item {
        Given::Text(text) if text.contains('\0') => Err("a NUL in it".to_owned()),
        Given::Text(_) => Ok(()),
        _ => Err("not a list of strings".to_owned()),
    }
}

fn check_variable(item: &Given) -> Result<(), String> {
    check_word(item)?;
    match item {
        Given::Text(text) if text.find('=').is_some_and(|end| end > 0) => Ok(()),
        other => Err(format!("{} is not NAME=value", other.shown())),
    }
}

fn check_path(item: &Given) -> Result<(), String> {
    check_word(item)?;
    match item {
        Given::Text(text) if text.starts_with('/') => Ok(()),
        other => Err(format!("{} does not begin with '/'", other.shown())),
    }
}

fn check_peers(items: &[Given]) -> Result<(), String> {
    let mut lines = Vec::new();
    for item in items {
        check_word(item)?;
        match item {
            Given::Text(text) => lines.push(text.as_str()),
            other => return Err(format!("{} is not a string", other.shown())),
        }
    }
    super::impair::check_peers(&lines)
}

/// As the kernel's dev_valid_name has it.
fn is_interface_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text != "."
        && text != ".."
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':' && byte != b'%')
}

fn is_name(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
