//! `tcpctl ping`.

use libtcpclient::client::control::Control;

use super::internal;
use crate::cli::Ping;
use crate::clock::now;
use crate::failure::Failure;
use crate::output::human::{duration, harmless};
use crate::output::json;

/// One question, one answer, and the time between them.
pub(super) fn run(control: &mut Control, options: &Ping) -> Result<String, Failure> {
    let asked = now();
    let pong = control.ping()?;
    let round_trip_us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
    let uptime_ms = u64::try_from(pong.uptime.as_millis()).unwrap_or(u64::MAX);
    if options.json {
        let pong = json::Pong {
            version: &pong.version,
            pid: pong.pid,
            uptime_ms,
            round_trip_us,
        };
        return json::lines(&[pong]).map_err(internal);
    }
    let up = duration(uptime_ms.saturating_mul(1_000));
    Ok(format!(
        "tcpd {}, pid {}, up {up}, answered in {}\n",
        harmless(&pong.version),
        pong.pid,
        duration(round_trip_us)
    ))
}
