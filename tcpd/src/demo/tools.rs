//! What the steps of the tour use: tcpctl, the daemon's table, connections of the kernel; none of them waits for ever.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use libtcpclient::protocol::Filter;
use libtcpclient::protocol::status::ConnectionRow;

use super::steps::Tour;
use crate::system::clock;

/// How long anything may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

impl Tour {
    /// Runs tcpctl and shows command and output.
    pub(super) fn tcpctl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.run_tcpctl(arguments)?;
        self.show
            .quote(&format!("$ tcpctl {}\n{output}", arguments.join(" ")))?;
        Ok(output)
    }

    /// The tcpctl beside this program, then the one on the path, which in a sandbox is the same.
    pub(super) fn run_tcpctl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("tcpctl")
            .args(arguments)
            .output()
            .map_err(|error| {
                format!("tcpctl: {error} (it is built with tcpd, into the same directory)")
            })?;
        if !output.status.success() {
            return Err(format!(
                "tcpctl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn rows(&mut self) -> Result<Vec<ConnectionRow>, String> {
        let rows: Result<Vec<_>, _> = self.control.list(&Filter::default()).collect();
        rows.map_err(|error| error.to_string())
    }

    pub(super) fn wait_for_row(
        &mut self,
        what: &str,
        wanted: impl Fn(&ConnectionRow) -> bool,
    ) -> Result<ConnectionRow, String> {
        let mut found = None;
        self.wait_until(what, |rows| {
            found = rows.iter().find(|row| wanted(row)).cloned();
            found.is_some()
        })?;
        found.ok_or_else(|| format!("{what}: none"))
    }

    pub(super) fn wait_until(
        &mut self,
        what: &str,
        mut reached: impl FnMut(&[ConnectionRow]) -> bool,
    ) -> Result<(), String> {
        let end = clock::now() + PATIENCE;
        loop {
            let rows = self.rows()?;
            if reached(&rows) {
                return Ok(());
            }
            if clock::now() > end {
                return Err(format!(
                    "{what}: not within {PATIENCE:?}; tcpd's connections: {rows:#?}"
                ));
            }
            thread::sleep(LOOK);
        }
    }
}

pub(super) fn connect(address: IpAddr, port: u16) -> Result<TcpStream, String> {
    let remote = SocketAddr::new(address, port);
    let stream = TcpStream::connect_timeout(&remote, PATIENCE)
        .map_err(|error| format!("connect to {remote}: {error}"))?;
    let limits = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    limits.map_err(|error| format!("timeouts: {error}"))?;
    Ok(stream)
}

pub(super) fn port(stream: &TcpStream) -> Result<u16, String> {
    stream
        .local_addr()
        .map(|address| address.port())
        .map_err(|error| format!("local address: {error}"))
}

pub(super) fn say_and_hear(stream: &mut TcpStream, words: &[u8]) -> Result<(), String> {
    let mut heard = vec![0; words.len()];
    let outcome = stream
        .write_all(words)
        .and_then(|()| stream.read_exact(&mut heard));
    outcome.map_err(|error| format!("echo: {error}"))?;
    if heard == words {
        Ok(())
    } else {
        Err("the echo is not what was said".to_owned())
    }
}

/// Accepts one connection, within the demo's patience.
pub(super) fn accept(listener: TcpListener) -> Result<(TcpStream, SocketAddr), String> {
    let failed = |error: std::io::Error| format!("kernel server: {error}");
    listener.set_nonblocking(true).map_err(failed)?;
    let end = clock::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, from)) => {
                stream
                    .set_nonblocking(false)
                    .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
                    .map_err(failed)?;
                return Ok((stream, from));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && clock::now() < end => {
                thread::sleep(LOOK)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(format!(
                    "no connection of the client program within {PATIENCE:?}"
                ));
            }
            Err(error) => return Err(failed(error)),
        }
    }
}
