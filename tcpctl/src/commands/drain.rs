//! `tcpctl drain`.

use std::io::{self, Write};
use std::time::Duration;

use libtcpclient::client::control::Control;
use libtcpclient::protocol::status::TcpState;

use crate::cli::Drain;
use crate::failure::Failure;
use crate::output::human::{duration, harmless};

/// Asks for it, tells what is left, and waits for the daemon's end unless told not to.
pub(super) fn run(mut control: Control, options: &Drain) -> Result<String, Failure> {
    let grace = options
        .grace
        .map(|seconds| Duration::from_secs(seconds.into()));
    let draining = control.drain(grace)?;
    let most = duration(draining.grace_ms.saturating_mul(1_000));
    // With nothing left the daemon may be gone before it can say so.
    let left = control.daemon_status().map_or(String::new(), |status| {
        let all = status.connections.iter();
        let left: u64 = all
            .filter(|(state, _)| **state != TcpState::TimeWait)
            .map(|(_, count)| count)
            .sum();
        format!("; connections left: {left}")
    });
    let begun = format!("nothing new is accepted, for at most {most}{left}\n");
    if options.no_wait {
        return Ok(begun);
    }
    // Said now, for the end may be far. Who reads no more still gets the exit code.
    let _ = io::stdout().write_all(begun.as_bytes());
    let why = control.wait_until_gone()?;
    Ok(match why {
        Some(why) => format!("{}\n", harmless(&why.detail)),
        None => "the daemon is gone\n".to_owned(),
    })
}
