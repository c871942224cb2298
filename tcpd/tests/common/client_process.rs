//! Clients in processes of their own: the running test, run once more with a role. Needs `mod daemon` beside it.

use std::process::Command;

use libtcpclient::protocol::SOCKET_VARIABLE;
use rustix::process::Signal;
use tcpd::sandbox::process::die_with_parent;

use super::daemon::Daemon;

/// Set in a client process: what it is to do.
const ROLE: &str = "TCPD_TEST_CLIENT_ROLE";

/// What this process is to do as a client; `None` in the test itself.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// The running test once more, as a client of this daemon with this role. It is killed when the thread that starts it ends.
///
/// The test asks for its [`role`] before it does anything else.
pub(crate) fn client_command(daemon: &Daemon, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("path of the test binary"));
    // This process was given the name of the test to run, and nothing else than it.
    command.args(std::env::args_os().skip(1));
    command.env(ROLE, role);
    command.env(SOCKET_VARIABLE, daemon.socket());
    die_with_parent(&mut command, Signal::KILL);
    command
}
