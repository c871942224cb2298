//! tcpd beside the kernel's own TCP, in one run. Absolute figures mean little on a shared machine; the ratios do.
//!
//! * `cargo bench -p tcpd --bench versus_kernel [-- --mebibytes N --rounds N]`: bulk transfer, as fast as it goes ([`bulk`]).
//! * `cargo bench -p tcpd --bench versus_kernel -- --impaired [--pairs N …]`: goodput over a path with delay, a rate and losses
//!   ([`impaired`], which names the other flags).
//!
//! Both directions, one stream each, every kernel socket on cubic. As root or with user namespaces, with `ip` installed.

use std::os::fd::AsFd;
use std::process::Command;
use std::time::Instant;

use rustix::net::sockopt;
use tcpd::sandbox::namespace::{Namespace, loopback_up};

mod bulk;
mod impaired;

#[path = "../../tests/common"]
mod common {
    #[expect(dead_code, reason = "tests use the rest of it")]
    pub(crate) mod daemon;
    pub(crate) mod deadline;
    #[expect(dead_code, reason = "tests use the rest of it")]
    pub(crate) mod host;
    #[expect(dead_code, reason = "tests use the rest of it")]
    pub(crate) mod pattern;
    pub(crate) mod relay;
    pub(crate) mod tcp_info;
    pub(crate) mod wire_end;
}

/// Set for the second run of this program, inside its own namespace.
const INSIDE: &str = "TCPD_BENCH_INSIDE";

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.first().map(String::as_str) {
        Some("kernel-peer") => bulk::kernel_peer(&arguments[1]),
        Some("tcpd-peer") => bulk::tcpd_peer(),
        _ if std::env::var_os(INSIDE).is_some() => inside(&arguments),
        _ => outside(&arguments),
    }
}

/// Runs this program again in a namespace of its own.
fn outside(arguments: &[String]) {
    let mut command = Command::new(std::env::current_exe().expect("path of this program"));
    command.args(arguments).env(INSIDE, "1");
    let status = Namespace::around(&mut command)
        .status()
        .expect("a network namespace (run as root)");
    std::process::exit(status.code().unwrap_or(1));
}

fn inside(arguments: &[String]) {
    loopback_up().expect("bring lo up");
    if arguments.iter().any(|argument| argument == "--impaired") {
        return impaired::inside(arguments);
    }
    bulk::inside(bulk::Plan {
        bytes: number(arguments, "--mebibytes").unwrap_or(1024) << 20,
        rounds: number(arguments, "--rounds").unwrap_or(5),
    });
}

/// The number after a flag.
fn number<T: std::str::FromStr>(arguments: &[String], name: &str) -> Option<T> {
    let text = values(arguments, name).next()?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name} {text}: a number is expected")))
}

/// What stands after a flag, each time it stands there.
fn values<'a>(arguments: &'a [String], name: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = arguments.windows(2);
    pairs
        .filter(move |pair| pair[0] == name)
        .map(|pair| pair[1].as_str())
}

fn use_cubic(socket: &impl AsFd) {
    sockopt::set_tcp_congestion(socket, "cubic").expect("set cubic");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
