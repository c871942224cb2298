//! `tcpctl users`.

use libtcpclient::client::control::Control;

use super::{collect, internal};
use crate::cli::Users as Options;
use crate::failure::Failure;
use crate::output::json;
use crate::output::quotas::table;
use crate::output::users::Users;

/// What every user has against what it may have.
pub(super) fn run(
    control: &mut Control,
    options: &Options,
    width: Option<u16>,
) -> Result<String, Failure> {
    let rows = collect(control.users())?;
    if options.json {
        return json::lines(&rows).map_err(internal);
    }
    Ok(table(&rows, &Users::of_this_machine()).render(width, !options.no_header))
}
