//! Lists, status and statistics: what a client asks to see, joined from the stack thread, the sessions and the services.
//!
//! 1. [`ControlLoop::ask`]: the question goes to the stack thread, together with others of its kind.
//! 2. [`ControlLoop::on_inspected`]: the answer has come.
//! 3. [`ControlLoop::answer_from_tables`]: tables are worked off, a bounded number of rows a turn. Each asker's answer is
//!    filtered by what it may see, joined with who owns what (`answers`), and cut into pages.
//!
//! The rows of a long list are kept for its next pages, for a few sessions at a time; a page whose rows are kept no more
//! is answered from a new look at the stack, so nothing depends on it.

use std::sync::Arc;

use libtcpclient::protocol::Filter;
use tcpd_core::time::Instant;

use super::super::orders::{Inspected, Inspection, Order, SessionId};
use super::clients::End;
use super::tables::{Arrived, Purpose, Table, Ticket};
use super::waiting::Waiting;
use super::{ControlLoop, Spawner};

/// Rows of tables looked at in one turn before clients have their turn again.
const ROWS_PER_TURN: usize = 50_000;

impl<W: Spawner> ControlLoop<W> {
    /// Asks the stack thread on behalf of a client.
    pub(super) fn ask(&mut self, id: SessionId, number: u32, purpose: Purpose) -> Result<(), End> {
        let waiting = match purpose {
            Purpose::Show { .. }
            | Purpose::ConnectionStatus { .. }
            | Purpose::End { .. }
            | Purpose::Set { .. }
            | Purpose::Impair(_)
            | Purpose::Impairments { .. } => Waiting::Other,
            _ => Waiting::Table,
        };
        self.wait_for_answer(id, number, waiting);
        self.issue(Ticket {
            asker: Some((id, number)),
            purpose,
            endpoints: None,
        });
        Ok(())
    }

    /// SIGUSR1: the table into the log.
    pub(super) fn dump(&mut self) {
        self.issue(Ticket {
            asker: None,
            purpose: Purpose::Dump,
            endpoints: None,
        });
    }

    /// A page of connections, from the rows kept if there are such.
    pub(super) fn list(
        &mut self,
        now: Instant,
        id: SessionId,
        number: u32,
        filter: Filter,
        cursor: u64,
    ) -> Result<(), End> {
        match (cursor != 0)
            .then(|| self.inspections.take_kept(id, &filter))
            .flatten()
        {
            Some(rows) => {
                let reply = self.page_of_connections(now, id, filter, cursor, rows);
                self.reply(id, number, reply)
            }
            None => self.ask(id, number, Purpose::List { filter, cursor }),
        }
    }

    fn issue(&mut self, ticket: Ticket) {
        match ticket.purpose {
            Purpose::List { .. }
            | Purpose::Sessions { .. }
            | Purpose::DaemonStatus
            | Purpose::Dump => {
                self.join(Table::Endpoints, ticket);
            }
            Purpose::Listeners { .. } | Purpose::Services { .. } => {
                self.join(Table::Listeners, ticket)
            }
            Purpose::Users { .. } => self.join(Table::Users, ticket),
            Purpose::Stats { .. } => self.join(Table::Counters, ticket),
            Purpose::Show { endpoint } | Purpose::ConnectionStatus { endpoint } => {
                let ticket = self.inspections.single(ticket);
                let what = Inspection::Endpoint(endpoint);
                self.order(Order::Inspect { ticket, what });
            }
            Purpose::Impairments { .. } => {
                let ticket = self.inspections.single(ticket);
                self.order(Order::InspectImpairments { ticket });
            }
            Purpose::Impair(ref change) => {
                let change = (**change).clone();
                let ticket = self.inspections.single(ticket);
                self.order(Order::Impair { ticket, change });
            }
            Purpose::End { endpoint, reset } => {
                let credentials = self.credentials(ticket.asker.map_or(0, |(id, _)| id));
                let ticket = self.inspections.single(ticket);
                self.order(Order::EndConnection {
                    ticket,
                    endpoint,
                    reset,
                    credentials,
                });
            }
            Purpose::Set { endpoint, change } => {
                let credentials = self.credentials(ticket.asker.map_or(0, |(id, _)| id));
                let ticket = self.inspections.single(ticket);
                self.order(Order::SetConnection {
                    ticket,
                    endpoint,
                    change,
                    credentials,
                });
            }
        }
    }

    fn join(&mut self, table: Table, ticket: Ticket) {
        if let Some(ticket) = self.inspections.join(table, ticket) {
            self.order(Order::Inspect {
                ticket,
                what: table.inspection(),
            });
        }
    }

    /// The answer to an inspection.
    pub(super) fn on_inspected(&mut self, now: Instant, number: u64, what: Inspected) {
        match self.inspections.arrived(number, what) {
            Arrived::Single(ticket, what) => {
                if let Some((id, number)) = self.asker_of(&ticket) {
                    let reply = self.answer_about_one(now, id, &ticket.purpose, what);
                    self.reply_later(id, number, reply);
                }
            }
            Arrived::Table(Some((ticket, table))) => {
                self.order(Order::Inspect {
                    ticket,
                    what: table.inspection(),
                });
            }
            Arrived::Table(None) | Arrived::Unknown => {}
        }
    }

    /// Works off the tables that have come.
    pub(super) fn answer_from_tables(&mut self, now: Instant) {
        let mut rows = 0;
        while rows < ROWS_PER_TURN
            && let Some((mut ticket, what)) = self.inspections.next_seen()
        {
            rows += 1 + length(&what);
            if ticket.purpose == Purpose::Dump {
                self.write_table(now, &what);
                continue;
            }
            let Some((id, number)) = self.asker_of(&ticket) else {
                continue;
            };
            let needs_both = matches!(
                ticket.purpose,
                Purpose::Sessions { .. } | Purpose::DaemonStatus
            );
            if needs_both && ticket.endpoints.is_none() {
                ticket.endpoints = Some(what);
                self.join(Table::Listeners, ticket);
                continue;
            }
            let reply = self.answer_from_table(now, id, &ticket, &what);
            self.reply_later(id, number, reply);
        }
    }

    /// Who asked, if the session is still there.
    fn asker_of(&self, ticket: &Ticket) -> Option<(SessionId, u32)> {
        ticket
            .asker
            .filter(|(id, _)| self.clients.get(*id).is_some())
    }
}

fn length(what: &Arc<Inspected>) -> usize {
    match &**what {
        Inspected::Endpoints(rows) => rows.len(),
        Inspected::Listeners(rows) => rows.len(),
        Inspected::Counters(rows) => rows.len(),
        Inspected::Users(rows) => rows.len(),
        Inspected::Endpoint(..)
        | Inspected::Done
        | Inspected::NotOpen
        | Inspected::NoSuchEndpoint
        | Inspected::NotPermitted
        | Inspected::Impairments(_)
        | Inspected::Refused(_) => 0,
    }
}
