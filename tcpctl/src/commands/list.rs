//! `tcpctl list`.

use std::net::SocketAddr;

use libtcpclient::client::control::Control;
use libtcpclient::protocol::Filter;
use libtcpclient::protocol::status::TcpState;

use super::{collect, internal};
use crate::cli::List;
use crate::failure::Failure;
use crate::filter::StateFilter;
use crate::output::json::{self, Listening};
use crate::output::list::{sort, table};
use crate::output::users::Users;

/// Asks for listeners and connections, drops what was not asked for, sorts.
pub(super) fn run(
    control: &mut Control,
    options: &List,
    width: Option<u16>,
) -> Result<String, Failure> {
    let states = options.wanted_states();
    let mut listeners = Vec::new();
    if states.contains(TcpState::Listen) {
        listeners = collect(
            control.listeners(&options.for_the_daemon(StateFilter::only(TcpState::Listen))),
        )?;
        listeners.retain(|row| options.wants(row.local, None));
    }
    // A listener is a row of its own, with its backlog; it is not asked for twice.
    let states = states.without(TcpState::Listen);
    let mut connections = Vec::new();
    if !states.is_empty() {
        connections = collect(control.list(&options.for_the_daemon(states)))?;
        connections
            .retain(|row| states.contains(row.state) && options.wants(row.local, Some(row.peer)));
    }
    sort(&mut listeners, &mut connections);
    if options.json {
        let listeners: Vec<Listening<'_>> = listeners.iter().map(Listening::new).collect();
        return Ok(json::lines(&listeners).map_err(internal)?
            + &json::lines(&connections).map_err(internal)?);
    }
    Ok(
        table(&listeners, &connections, &Users::of_this_machine())
            .render(width, !options.no_header),
    )
}

impl List {
    /// The states asked for by name, else by `--all` and `--listening`.
    fn wanted_states(&self) -> StateFilter {
        match self.states.split_first() {
            Some((first, rest)) => rest.iter().fold(*first, |states, more| states.or(*more)),
            None if self.all => StateFilter::all(),
            None if self.listening => StateFilter::only(TcpState::Listen),
            None => StateFilter::all_but_listen(),
        }
    }

    /// The part of the filter that the daemon can do, so that fewer rows travel. What it cannot do is done here.
    fn for_the_daemon(&self, states: StateFilter) -> Filter {
        let mut filter = Filter {
            states: states.bits(),
            ..Filter::default()
        };
        if let [port] = self.ports[..] {
            filter.port = port;
        }
        if let [address] = self.addresses[..] {
            let (address, prefix) = address.parts();
            // A prefix of 0 bits is a family, which the daemon's filter does not know.
            if prefix > 0 {
                (filter.address, filter.prefix) = (Some(address), prefix);
            }
        }
        filter
    }

    /// Whether a row with these two sides was asked for.
    fn wants(&self, local: SocketAddr, peer: Option<SocketAddr>) -> bool {
        let either =
            |matches: &dyn Fn(SocketAddr) -> bool| matches(local) || peer.is_some_and(matches);
        let family = !(self.ipv4 && local.is_ipv6() || self.ipv6 && local.is_ipv4());
        let port = self.ports.is_empty() || either(&|side| self.ports.contains(&side.port()));
        let address = self.addresses.is_empty()
            || either(&|side| {
                self.addresses
                    .iter()
                    .any(|filter| filter.contains(side.ip()))
            });
        family && port && address
    }
}
