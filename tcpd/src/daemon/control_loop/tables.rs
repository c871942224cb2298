//! Questions to the stack thread and the tables it answers with.
//!
//! A table (all endpoints, all listeners, all counters) may be long, and anybody may ask for it. So each kind is under way
//! once at most: who asks meanwhile shares the next one. A table that has come is worked off a bounded number of rows a turn.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use libtcpclient::protocol::Filter;
use tcpd_core::stack::{EndpointId, Summary};

use super::super::orders::{
    ConnectionChange, ImpairmentChange, Inspected, Inspection, Owner, SessionId,
};

/// Long lists kept at a time, of all sessions together.
const KEPT_LISTS: usize = 8;

/// What an inspection is for: the requests of the same names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Purpose {
    List {
        filter: Filter,
        cursor: u64,
    },
    Listeners {
        filter: Filter,
        cursor: u64,
    },
    Show {
        endpoint: EndpointId,
    },
    ConnectionStatus {
        endpoint: EndpointId,
    },
    Stats {
        cursor: u64,
    },
    Services {
        cursor: u64,
    },
    Sessions {
        cursor: u64,
    },
    Users {
        cursor: u64,
    },
    DaemonStatus,
    Impairments {
        cursor: u64,
    },
    Impair(Box<ImpairmentChange>),
    End {
        endpoint: EndpointId,
        reset: bool,
    },
    Set {
        endpoint: EndpointId,
        change: ConnectionChange,
    },
    /// SIGUSR1.
    Dump,
}

/// A table of the stack thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Endpoints,
    Listeners,
    Counters,
    Users,
}

impl Table {
    /// How it is asked for.
    pub(super) fn inspection(self) -> Inspection {
        match self {
            Table::Endpoints => Inspection::Endpoints,
            Table::Listeners => Inspection::Listeners,
            Table::Counters => Inspection::Counters,
            Table::Users => Inspection::Users,
        }
    }
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Ticket {
    /// Who asks, and the request's number; `None` for the daemon itself.
    pub(super) asker: Option<(SessionId, u32)>,
    pub(super) purpose: Purpose,
    /// The first table, when a second one is needed.
    pub(super) endpoints: Option<Arc<Inspected>>,
}

/// Rows of a list that did not fit on one page, by id.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) session: SessionId,
    pub(super) filter: Filter,
    pub(super) rows: Vec<(Summary, Owner)>,
}

/// One kind of table.
#[derive(Debug, Default)]
struct Desk {
    under_way: Option<(u64, Vec<Ticket>)>,
    /// For the next one.
    waiting: Vec<Ticket>,
}

/// What the arrival of an answer means.
#[derive(Debug)]
pub(super) enum Arrived {
    /// To this question alone.
    Single(Ticket, Inspected),
    /// A table, which stands in [`Inspections::next_seen`]; perhaps the next one is to be asked for, under this number.
    Table(Option<(u64, Table)>),
    /// To nobody.
    Unknown,
}

/// Questions under way, tables that have come, lists kept.
#[derive(Debug, Default)]
pub(super) struct Inspections {
    singles: HashMap<u64, Ticket>,
    desks: [Desk; 4],
    seen: VecDeque<(Ticket, Arc<Inspected>)>,
    kept: VecDeque<Kept>,
    next_number: u64,
}

impl Inspections {
    /// A question about one endpoint; its number.
    pub(super) fn single(&mut self, ticket: Ticket) -> u64 {
        let number = self.number();
        self.singles.insert(number, ticket);
        number
    }

    /// A question for a table; the number under which it is to be asked for, unless one is under way.
    pub(super) fn join(&mut self, table: Table, ticket: Ticket) -> Option<u64> {
        let number = self.number();
        let desk = &mut self.desks[table as usize];
        if desk.under_way.is_some() {
            desk.waiting.push(ticket);
            return None;
        }
        desk.under_way = Some((number, vec![ticket]));
        Some(number)
    }

    /// An answer has come.
    pub(super) fn arrived(&mut self, number: u64, what: Inspected) -> Arrived {
        if let Some(ticket) = self.singles.remove(&number) {
            return Arrived::Single(ticket, what);
        }
        for table in [
            Table::Endpoints,
            Table::Listeners,
            Table::Counters,
            Table::Users,
        ] {
            let next = self.next_number + 1;
            let desk = &mut self.desks[table as usize];
            let Some((_, tickets)) = desk.under_way.take_if(|(asked, _)| *asked == number) else {
                continue;
            };
            let what = Arc::new(what);
            self.seen.extend(
                tickets
                    .into_iter()
                    .map(|ticket| (ticket, Arc::clone(&what))),
            );
            if desk.waiting.is_empty() {
                return Arrived::Table(None);
            }
            self.next_number = next;
            desk.under_way = Some((next, std::mem::take(&mut desk.waiting)));
            return Arrived::Table(Some((next, table)));
        }
        Arrived::Unknown
    }

    /// A table that has come, and one who asked for it.
    pub(super) fn next_seen(&mut self) -> Option<(Ticket, Arc<Inspected>)> {
        self.seen.pop_front()
    }

    /// Whether a table has come that was not worked off yet.
    pub(super) fn any_seen(&self) -> bool {
        !self.seen.is_empty()
    }

    /// The session is gone. Its questions are dropped when their answer comes.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.kept.retain(|kept| kept.session != session);
    }

    /// Keeps the rows of a list for its next page; one list for each session.
    pub(super) fn keep(&mut self, kept: Kept) {
        self.forget(kept.session);
        if self.kept.len() >= KEPT_LISTS {
            self.kept.pop_front();
        }
        self.kept.push_back(kept);
    }

    /// The rows kept for the next page of this list.
    pub(super) fn take_kept(
        &mut self,
        session: SessionId,
        filter: &Filter,
    ) -> Option<Vec<(Summary, Owner)>> {
        let index = self
            .kept
            .iter()
            .position(|kept| kept.session == session && kept.filter == *filter)?;
        self.kept.remove(index).map(|kept| kept.rows)
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(session: SessionId) -> Ticket {
        Ticket {
            asker: Some((session, 1)),
            purpose: Purpose::Stats { cursor: 0 },
            endpoints: None,
        }
    }

    fn counters() -> Inspected {
        Inspected::Counters(Vec::new())
    }

    #[test]
    fn who_asks_while_a_table_is_under_way_shares_the_next_one() {
        let mut inspections = Inspections::default();
        let first = inspections
            .join(Table::Counters, ticket(1))
            .expect("nothing is under way");
        assert_eq!(inspections.join(Table::Counters, ticket(2)), None);
        assert_eq!(inspections.join(Table::Counters, ticket(3)), None);
        assert!(
            inspections.join(Table::Endpoints, ticket(4)).is_some(),
            "another kind is another question"
        );
        let Arrived::Table(Some((second, Table::Counters))) =
            inspections.arrived(first, counters())
        else {
            panic!()
        };
        let served = |inspections: &mut Inspections| -> Vec<SessionId> {
            std::iter::from_fn(|| inspections.next_seen()?.0.asker.map(|(session, _)| session))
                .collect()
        };
        assert_eq!(served(&mut inspections), [1]);
        assert!(
            matches!(inspections.arrived(first, counters()), Arrived::Unknown),
            "once"
        );
        let Arrived::Table(None) = inspections.arrived(second, counters()) else {
            panic!()
        };
        assert_eq!(served(&mut inspections), [2, 3]);
        assert!(!inspections.any_seen());
    }
}
