//! `tcpctl stats`.

use libtcpclient::client::control::Control;

use super::{collect, internal};
use crate::cli::Stats;
use crate::failure::Failure;
use crate::output::json;
use crate::output::stats::{select, table};

/// Programs get every counter, so that a name does not come and go with its value; people those that say something.
pub(super) fn run(
    control: &mut Control,
    options: &Stats,
    width: Option<u16>,
) -> Result<String, Failure> {
    let rows = select(
        collect(control.stats())?,
        &options.names,
        options.all || options.json,
    );
    if options.json {
        return json::lines(&rows).map_err(internal);
    }
    Ok(table(&rows).render(width, !options.no_header))
}
