//! `tcpctl services`.

use libtcpclient::client::control::Control;
use libtcpclient::protocol::Filter;

use super::{collect, internal};
use crate::cli::Services;
use crate::failure::Failure;
use crate::output::json::{self, WithWorkers};
use crate::output::services::{table, workers_of, workers_table};

/// Services, and with `--workers` the processes and the connections they hold.
pub(super) fn run(
    control: &mut Control,
    options: &Services,
    width: Option<u16>,
) -> Result<String, Failure> {
    let services = collect(control.services())?;
    let connections = match options.workers {
        true => collect(control.list(&Filter::default()))?,
        false => Vec::new(),
    };
    if options.json {
        let rows = services.iter().map(|row| {
            let pids = workers_of(&row.name, &connections)
                .into_iter()
                .map(|(pid, _)| pid)
                .collect();
            WithWorkers::new(row, options.workers.then_some(pids))
        });
        return json::lines(&rows.collect::<Vec<_>>()).map_err(internal);
    }
    let mut text = table(&services).render(width, !options.no_header);
    if options.workers {
        text.push('\n');
        text.push_str(&workers_table(&services, &connections).render(width, !options.no_header));
    }
    Ok(text)
}
