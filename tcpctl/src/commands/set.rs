//! `tcpctl set ID NAME=VALUE…`.

use libtcpclient::client::control::Control;

use crate::cli::Set;
use crate::failure::Failure;

/// The daemon says what is allowed. Silent when it works.
pub(super) fn run(control: &mut Control, options: &Set) -> Result<String, Failure> {
    control
        .set(&options.id, &options.settings.join(" "))
        .map_err(|error| Failure::of_connection(&options.id, error))?;
    Ok(String::new())
}
