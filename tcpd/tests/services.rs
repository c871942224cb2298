//! Services end to end: the kernel's TCP connects to tcpd over a real TUN, a forked worker serves it.

#[path = "common"]
mod common {
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod daemon;
    pub(crate) mod deadline;
    pub(crate) mod namespace;
    pub(crate) mod pattern;
    pub(crate) mod rerun;
}

#[path = "services/bounds.rs"]
mod bounds;
#[path = "services/builtin.rs"]
mod builtin;
#[path = "services/deaths.rs"]
mod deaths;
#[path = "services/escape.rs"]
mod escape;
#[path = "services/exec.rs"]
mod exec;
#[path = "services/many.rs"]
mod many;
#[path = "services/programs.rs"]
mod programs;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::daemon::{Daemon, STACK_V4};
use common::deadline::wait_for;
use libtcpclient::protocol::status::ServiceRow;

/// How long a test waits for the other side.
const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration with one service.
fn service(name: &str, port: u16, more: &str) -> String {
    format!("[[service]]\nname = \"{name}\"\nport = {port}\nhandler = \"{name}\"\n{more}\n")
}

/// A connection of the kernel to a port of tcpd; reads and writes fail after [`PATIENCE`].
fn connect(port: u16) -> TcpStream {
    connect_to(STACK_V4, port)
}

fn connect_to(address: &str, port: u16) -> TcpStream {
    let address = SocketAddr::new(address.parse().expect("an address"), port);
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
    stream
}

/// The row of a service, as `tcpctl services` has it.
fn row(daemon: &Daemon, service: &str) -> ServiceRow {
    let mut control = daemon.control();
    let mut rows = control.services().map(|row| row.expect("a row"));
    rows.find(|row| row.name == service).expect("the service")
}

/// Waits until the service's row is as wanted.
fn wait_for_row(
    daemon: &Daemon,
    service: &str,
    what: &str,
    wanted: impl Fn(&ServiceRow) -> bool,
) -> ServiceRow {
    wait_for(what, PATIENCE.as_secs(), || {
        Some(row(daemon, service)).filter(|row| wanted(row))
    })
}

/// The processes of this test's network whose title begins so, with their ids.
fn processes(title: &str) -> Vec<(i32, String)> {
    let network = |id: &str| std::fs::read_link(format!("/proc/{id}/ns/net"));
    let ours = network("self").expect("this process has a network");
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter_map(|name| {
            let bytes = std::fs::read(format!("/proc/{name}/cmdline")).ok()?;
            let shown = String::from_utf8_lossy(&bytes)
                .trim_end_matches('\0')
                .to_owned();
            let wanted =
                shown.starts_with(title) && network(&name).is_ok_and(|network| network == ours);
            Some((name.parse().ok().filter(|_| wanted)?, shown))
        })
        .collect()
}

/// Sends a signal to a process of this test's daemon.
fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("an id");
    rustix::process::kill_process(pid, signal).expect("signal");
}

/// The worker that serves the connection of this socket.
fn worker_of(service: &str, stream: &TcpStream) -> i32 {
    let peer = stream.local_addr().expect("bound");
    let title = format!("tcpd: worker {service} {peer}");
    wait_for("worker", PATIENCE.as_secs(), || {
        processes(&title)
            .into_iter()
            .find(|(_, shown)| *shown == title)
    })
    .0
}
