//! `tcpctl reload`.

use libtcpclient::client::control::Control;

use super::internal;
use crate::cli::Reload;
use crate::failure::Failure;
use crate::output::human::harmless;
use crate::output::json;

/// What it changed, a line a kind.
pub(super) fn run(control: &mut Control, options: &Reload) -> Result<String, Failure> {
    let done = control.reload()?;
    if options.json {
        return json::lines(&[done]).map_err(internal);
    }
    let kinds = [
        ("settings changed", &done.settings),
        ("services added", &done.services_added),
        ("services changed", &done.services_changed),
        ("services removed", &done.services_removed),
    ];
    let lines: String = kinds
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}\n", harmless(&names.join(", "))))
        .collect();
    Ok(match lines.is_empty() {
        true => "nothing has changed\n".to_owned(),
        false => lines,
    })
}
