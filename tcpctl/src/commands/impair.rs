//! `tcpctl impair`.

use libtcpclient::client::control::Control;
use libtcpclient::protocol::{Impair, ImpairDirection, Impaired};

use super::{collect, internal};
use crate::cli::{Impair as Options, ImpairCommand, ImpairShow, ImpairTarget};
use crate::failure::Failure;
use crate::output::impairments::table;
use crate::output::json;

/// Shows, sets or clears; silent when a change works.
pub(super) fn run(
    control: &mut Control,
    options: &Options,
    width: Option<u16>,
) -> Result<String, Failure> {
    match &options.command {
        None => show(control, &ImpairShow::default(), width),
        Some(ImpairCommand::Show(options)) => show(control, options, width),
        Some(ImpairCommand::Set(options)) => {
            let words = Some(options.words.join(" "));
            change(control, &options.target, words, options.seed)
        }
        Some(ImpairCommand::Clear(target)) => change(control, target, None, None),
    }
}

fn show(
    control: &mut Control,
    options: &ImpairShow,
    width: Option<u16>,
) -> Result<String, Failure> {
    let rows = collect(control.impairments())?;
    if options.json {
        return json::lines(&rows).map_err(internal);
    }
    if rows.is_empty() {
        return Ok("nothing is impaired\n".to_owned());
    }
    Ok(table(&rows).render(width, !options.no_header))
}

fn change(
    control: &mut Control,
    target: &ImpairTarget,
    impairment: Option<String>,
    seed: Option<u64>,
) -> Result<String, Failure> {
    let packets = match (target.peer, &target.connection) {
        (Some(network), _) => {
            let (address, prefix) = network.parts();
            Impaired::Peer { address, prefix }
        }
        (None, Some(id)) => Impaired::Connection(id.clone()),
        (None, None) => Impaired::Everything,
    };
    let direction = match (target.inbound, target.outbound) {
        (true, _) => ImpairDirection::In,
        (_, true) => ImpairDirection::Out,
        _ => ImpairDirection::Both,
    };
    let asked = control.impair(Impair {
        direction,
        packets,
        impairment,
        seed,
    });
    match (asked, &target.connection) {
        (Ok(()), _) => Ok(String::new()),
        (Err(error), Some(id)) => Err(Failure::of_connection(id, error)),
        (Err(error), None) => Err(error.into()),
    }
}
