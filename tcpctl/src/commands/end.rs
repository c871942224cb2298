//! `tcpctl close ID…` and `tcpctl reset ID…`.

use libtcpclient::client::control::Control;
use libtcpclient::client::error::SessionError;

use crate::cli::Targets;
use crate::failure::Failure;

/// Closes them in order.
pub(super) fn close(control: &mut Control, targets: &Targets) -> Result<String, Failure> {
    each(targets, |id| control.close(id))
}

/// Resets them.
pub(super) fn reset(control: &mut Control, targets: &Targets) -> Result<String, Failure> {
    each(targets, |id| control.reset(id))
}

/// One after the other; the first that fails ends it. Like `kill`, silent when it works.
fn each(
    targets: &Targets,
    mut end: impl FnMut(&str) -> Result<(), SessionError>,
) -> Result<String, Failure> {
    for id in &targets.ids {
        end(id).map_err(|error| Failure::of_connection(id, error))?;
    }
    Ok(String::new())
}
