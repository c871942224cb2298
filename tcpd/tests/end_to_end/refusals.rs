//! What a daemon refuses, and its one clear message for it: another daemon, a name or a range that is taken, no free port, a
//! setting that needs a restart. Nothing is half done, and nothing stays behind.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use libtcpclient::client::control::Control;
use libtcpclient::client::error::{ListenError, OpenError, SessionError};
use libtcpclient::socket::SeqpacketListener;
use libtcpclient::{Builder, TcpStream};
use rustix::process::Signal;
use tcpd::device::netlink::Netlink;

use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::host::Host;
use crate::common::namespace::in_namespace;
use crate::common::pair::{ECHO, echoes, kernel_listener, ours};
use crate::common::program::{Ended, run, said};

/// A directory of a test's own, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let path = std::env::temp_dir().join(format!("tcpd-refusals-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory of our own");
        Directory(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("sock")
    }

    /// The setting that puts the control socket there.
    fn setting(&self) -> String {
        format!("control.socket={}", self.socket().display())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A daemon with these settings, and a socket of its own, ends at once with this code and this one line.
fn refused(set: &[&str], code: i32, message: &str) {
    let directory = Directory::new();
    let setting = directory.setting();
    let mut command = run(&[&[&setting[..]], set].concat());
    let output = command.output().expect("run tcpd");
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    assert_eq!(said(&output), format!("tcpd: {message}\n"));
    let left: Vec<_> = fs::read_dir(&directory.0)
        .expect("our directory")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name != "sock.lock" && name != "private")
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// An interface of this name does not exist.
fn no_interface(name: &str) {
    let mut netlink = Netlink::open().expect("netlink");
    assert_eq!(netlink.link(name).expect("an answer"), None, "left behind");
}

/// The daemon goes on.
fn still_serves(daemon: &Daemon) {
    echoes(&std::net::TcpStream::connect(ours(7)).expect("the service listens"));
    daemon.control().ping().expect("it answers");
}

#[test]
fn a_second_daemon_on_the_same_socket_is_told_and_the_first_goes_on() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        let socket = daemon.socket();
        let setting = format!("control.socket={}", socket.display());
        let output = run(&[&setting, "device.name=other0"]).output();
        let output = output.expect("run tcpd");
        assert_eq!(output.status.code(), Some(75), "{}", said(&output));
        let message = format!("a daemon is already running on {}", socket.display());
        assert_eq!(said(&output), format!("tcpd: {message}\n"));
        still_serves(&daemon);
    });
}

#[test]
fn a_daemon_on_a_socket_that_systemd_holds_is_told_so() {
    in_namespace(|| {
        let directory = Directory::new();
        let _systemd = SeqpacketListener::bind(&directory.socket()).expect("a socket");
        let output = run(&[&directory.setting()]).output().expect("run tcpd");
        assert_eq!(output.status.code(), Some(75), "{}", said(&output));
        let message = format!(
            "tcpd: somebody listens on {} already: systemd (tcpd.socket; then use systemctl start tcpd), or another program\n",
            directory.socket().display()
        );
        assert_eq!(said(&output), message);
        assert!(directory.socket().exists(), "it is not ours");
        no_interface("tcpd0");
    });
}

#[test]
fn a_second_daemon_on_the_same_interface_is_told_and_leaves_nothing_behind() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        refused(
            &[],
            73,
            "interface \"tcpd0\" is in use by another process: another tcpd runs, or the device name must be another",
        );
        still_serves(&daemon);
    });
}

#[test]
fn a_second_daemon_on_the_same_range_is_told_and_leaves_nothing_behind() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        refused(
            &["device.name=other0"],
            73,
            "the range 198.18.0.1/24 is already routed: 198.18.0.0/24 goes to interface tcpd0; choose other addresses",
        );
        no_interface("other0");
        still_serves(&daemon);
    });
}

#[test]
fn after_a_kill_the_next_daemon_takes_the_stale_socket_and_the_interface() {
    in_namespace(|| {
        let mut first = Daemon::start(ECHO);
        let socket = first.socket();
        first.signal(Signal::KILL);
        first.ended(10);
        assert!(socket.exists(), "nobody removed it");
        let log = fs::File::create(first.directory().join("second")).expect("a file");
        let mut command = run(&[&format!("control.socket={}", socket.display())]);
        let _second = Ended(command.stderr(log).spawn().expect("start tcpd"));
        wait_for("second daemon", 20, || {
            Control::connect_to(&socket).ok()?.ping().ok()
        });
        let said = wait_for("the line in the log", 10, || {
            let said = fs::read_to_string(first.directory().join("second")).ok()?;
            said.contains("ready").then_some(said)
        });
        let wanted = "the socket of a daemon that is gone was replaced socket=";
        assert!(said.contains(wanted), "{said}");
    });
}

#[test]
fn what_stands_where_the_socket_should_be_is_left_alone() {
    in_namespace(|| {
        let directory = Directory::new();
        fs::write(directory.socket(), "precious").expect("a file");
        let output = run(&[&directory.setting()]).output().expect("run tcpd");
        assert_eq!(output.status.code(), Some(73), "{}", said(&output));
        let path = directory.socket();
        let message = format!("{} exists and is not a socket", path.display());
        assert_eq!(said(&output), format!("tcpd: control.socket: {message}\n"));
        assert_eq!(fs::read_to_string(path).expect("a file"), "precious");
    });
}

#[test]
fn an_interface_name_that_something_else_has_is_refused() {
    in_namespace(|| {
        let host = Host::here();
        host.ip("link add wire0 type veth peer name wire1");
        host.ip("tuntap add dev tap0 mode tap");
        for name in ["lo", "wire0", "tap0"] {
            refused(
                &[&format!("device.name={name}")],
                73,
                &format!(
                    "interface \"{name}\" exists already and is not a TUN interface: choose another device name"
                ),
            );
        }
    });
}

#[test]
fn a_range_that_is_routed_already_is_refused_and_a_default_route_is_none() {
    in_namespace(|| {
        let host = Host::here();
        host.ip("link add wire0 type veth peer name wire1");
        host.ip("link set wire1 up");
        host.ip("link set wire0 up");
        host.ip("addr add 192.0.2.1/24 dev wire0");
        host.ip("route add default via 192.0.2.2");
        let refused_for = |range: &str, route: &str, to: &str| {
            let message = format!(
                "the range {range} is already routed: {route} goes to {to}; choose other addresses"
            );
            refused(&[], 73, &message);
            no_interface("tcpd0");
        };
        // All of it, more than it, less than it, one address that is the host's own, and one that goes nowhere.
        for route in [
            "198.18.0.0/24 dev wire0",
            "198.18.0.0/15 dev wire0",
            "198.18.0.64/26 dev wire0",
        ] {
            host.ip(&format!("route add {route}"));
            let destination = route.split_once(' ').expect("a destination").0;
            refused_for("198.18.0.1/24", destination, "interface wire0");
            host.ip(&format!("route del {route}"));
        }
        host.ip("addr add 198.18.0.2/32 dev lo");
        refused_for("198.18.0.1/24", "198.18.0.2/32", "interface lo");
        host.ip("addr del 198.18.0.2/32 dev lo");
        host.ip("route add blackhole 198.18.0.0/16");
        let to = "several interfaces, or is refused";
        refused_for("198.18.0.1/24", "198.18.0.0/16", to);
        host.ip("route del blackhole 198.18.0.0/16");
        host.ip("-6 route add fd00:7463:7064::/48 dev wire0");
        let (range, route) = ("fd00:7463:7064::1/64", "fd00:7463:7064::/48");
        refused_for(range, route, "interface wire0");
        host.ip("-6 route del fd00:7463:7064::/48 dev wire0");
        still_serves(&Daemon::start(ECHO));
    });
}

#[test]
fn a_log_that_cannot_be_written_is_refused_and_the_socket_goes() {
    in_namespace(|| {
        let directory = Directory::new();
        let precious = directory.0.join("file");
        fs::write(&precious, "").expect("a file");
        let directory = precious.display();
        let output = run(&[
            &format!("control.socket={directory}.sock"),
            "log.to=files",
            &format!("log.directory={directory}"),
        ])
        .output()
        .expect("run tcpd");
        assert_eq!(output.status.code(), Some(73), "{}", said(&output));
        assert_eq!(
            said(&output),
            format!(
                "tcpd: log.directory: cannot write in {directory}: File exists (os error 17)\n"
            )
        );
        assert!(!PathBuf::from(format!("{directory}.sock")).exists());
    });
}

#[test]
fn when_every_port_is_in_use_a_connect_says_so_and_the_next_that_is_free_serves() {
    in_namespace(|| {
        let daemon = Daemon::start_with("", &["tcp.ephemeral_ports=40000-40001"]);
        let session = daemon.session();
        let (_listener, at) = kernel_listener();
        let connect = || Builder::new().session(&session).connect(at);
        let kept: [TcpStream; 2] = [connect().expect("a port"), connect().expect("the other")];
        let error = connect().expect_err("no port is left");
        assert!(matches!(error, OpenError::PortsExhausted(_)), "{error}");
        let message = "no ephemeral port is free: each of tcp.ephemeral_ports is taken";
        assert_eq!(error.to_string(), message);
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        let error = Builder::new().session(&session).listen(ours(0));
        let error = error.expect_err("nor to listen on");
        assert!(matches!(error, ListenError::PortsExhausted(_)), "{error}");
        // To another peer the same two ports are free.
        let (_other, elsewhere) = kernel_listener();
        let other = Builder::new().session(&session).connect(elsewhere);
        drop(other.expect("a port"));
        for stream in kept {
            stream.abort().expect("reset");
        }
        wait_for("free port", 10, || connect().ok());
    });
}

#[test]
fn a_reload_that_needs_a_restart_names_every_key_and_changes_nothing() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        wait_for("a daemon that has started", 10, || {
            daemon.log().contains("ready services=1").then_some(())
        });
        let file = daemon.directory().join("tcpd.toml");
        let other = "shutdown_grace = \"1s\"\n[device]\nmtu = 1400\nname = \"other0\"\n[tcp]\nmsl = \"1s\"\n";
        fs::write(&file, other).expect("write the configuration");
        let message =
            "only a restart changes device.name, device.mtu, tcp.msl; nothing was changed";
        match daemon.control().reload() {
            Err(SessionError::Refused(failure)) => assert_eq!(failure.detail, message),
            other => panic!("{other:?}"),
        }
        daemon.signal(Signal::HUP);
        let logged = format!("the configuration was not reloaded why=\"{message}\"");
        wait_for("two lines in the log", 10, || {
            (daemon.log().matches(&logged).count() == 2).then_some(())
        });
        still_serves(&daemon);
        no_interface("other0");
    });
}

#[test]
fn without_the_right_to_make_an_interface_it_is_named() {
    in_namespace(|| {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let directory = Directory::new();
        let mut command: Command = run(&[&directory.setting()]);
        let give_up = || {
            let mut sets = capabilities(None)?;
            sets.permitted.remove(CapabilitySet::NET_ADMIN);
            sets.effective.remove(CapabilitySet::NET_ADMIN);
            sets.inheritable = CapabilitySet::empty();
            rustix::thread::remove_capability_from_bounding_set(CapabilitySet::NET_ADMIN)?;
            Ok(set_capabilities(None, sets)?)
        };
        // SAFETY: system calls that take numbers, and nothing else.
        unsafe { command.pre_exec(give_up) };
        let output = command.stdin(Stdio::null()).output().expect("run tcpd");
        assert_eq!(output.status.code(), Some(77), "{}", said(&output));
        assert_eq!(
            said(&output),
            "tcpd: not permitted to create it (interface \"tcpd0\"): this needs CAP_NET_ADMIN\n"
        );
        assert!(!directory.socket().exists());
    });
}
