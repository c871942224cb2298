//! Lists, status and statistics: what a client asks to see, joined from the stack thread, the sessions and the services.
//!
//! A question goes to the stack thread with a ticket; its answer is joined here with who owns what, filtered by what the
//! asker may see, and cut into pages. The rows of a long list are kept for its next pages, for a few sessions at a time;
//! a page whose rows are kept no more is answered from a new look at the stack, so nothing depends on it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use libtcpclient::protocol::status::{ConnectionRow, ListenerRow};
use libtcpclient::protocol::{ErrorCode, Filter, Json, Page, Reply};
use tcpd_core::stack::{EndpointId, ListenerId, ListenerStatus, Summary};
use tcpd_core::time::Instant;

use super::super::orders::{Inspected, Inspection, Order, Owner, SessionId};
use super::super::rows;
use super::clients::End;
use super::holdings::Waiting;
use super::{ControlLoop, Spawner};
use crate::ipc::policy::Policy;

/// Long lists kept at a time, of all sessions together.
const KEPT_LISTS: usize = 8;
/// Lines of a table that SIGUSR1 writes to the log.
const DUMPED_ROWS: usize = 10_000;

/// What an inspection is for.
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
    DaemonStatus,
    End {
        endpoint: EndpointId,
        reset: bool,
    },
    /// SIGUSR1.
    Dump,
}

/// An inspection under way.
#[derive(Debug)]
struct Ticket {
    /// Who asks, and the request's number; `None` for the daemon itself.
    asker: Option<(SessionId, u32)>,
    purpose: Purpose,
    /// The first answer, when a second one is needed.
    endpoints: Option<Vec<(Summary, Owner)>>,
}

/// Rows of a list that did not fit on one page, by id.
#[derive(Debug)]
struct Kept {
    session: SessionId,
    filter: Filter,
    rows: Vec<(Summary, Owner)>,
}

/// Inspections under way and lists kept.
#[derive(Debug, Default)]
pub(super) struct Inspections {
    tickets: HashMap<u64, Ticket>,
    next_ticket: u64,
    kept: VecDeque<Kept>,
    /// Reports were left for the next turn.
    pub(super) more_reports: bool,
}

impl Inspections {
    fn issue(&mut self, ticket: Ticket) -> u64 {
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, ticket);
        self.next_ticket
    }

    /// The session is gone. Tickets of it are dropped when their answer comes.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.kept.retain(|kept| kept.session != session);
    }

    fn keep(&mut self, kept: Kept) {
        self.forget(kept.session);
        if self.kept.len() >= KEPT_LISTS {
            self.kept.pop_front();
        }
        self.kept.push_back(kept);
    }

    fn take_kept(&mut self, session: SessionId, filter: &Filter) -> Option<Vec<(Summary, Owner)>> {
        let index = self
            .kept
            .iter()
            .position(|kept| kept.session == session && kept.filter == *filter)?;
        self.kept.remove(index).map(|kept| kept.rows)
    }
}

impl<W: Spawner> ControlLoop<W> {
    /// Asks the stack thread on behalf of a client.
    pub(super) fn ask(&mut self, id: SessionId, number: u32, purpose: Purpose) -> Result<(), End> {
        self.wait_for_answer(id, number, Waiting::Other);
        self.issue(Some((id, number)), purpose);
        Ok(())
    }

    /// SIGUSR1: the table into the log.
    pub(super) fn dump(&mut self) {
        self.issue(None, Purpose::Dump);
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

    fn issue(&mut self, asker: Option<(SessionId, u32)>, purpose: Purpose) {
        let what = match &purpose {
            Purpose::List { .. }
            | Purpose::Sessions { .. }
            | Purpose::DaemonStatus
            | Purpose::Dump => Inspection::Endpoints,
            Purpose::Listeners { .. } | Purpose::Services { .. } => Inspection::Listeners,
            Purpose::Show { endpoint } | Purpose::ConnectionStatus { endpoint } => {
                Inspection::Endpoint(*endpoint)
            }
            Purpose::Stats { .. } => Inspection::Counters,
            Purpose::End { endpoint, reset } => {
                let credentials = self.credentials(asker.map_or(0, |(id, _)| id));
                let (endpoint, reset) = (*endpoint, *reset);
                let ticket = self.inspections.issue(Ticket {
                    asker,
                    purpose,
                    endpoints: None,
                });
                return self.order(Order::EndConnection {
                    ticket,
                    endpoint,
                    reset,
                    credentials,
                });
            }
        };
        let ticket = self.inspections.issue(Ticket {
            asker,
            purpose,
            endpoints: None,
        });
        self.order(Order::Inspect { ticket, what });
    }

    /// The answer to an inspection.
    pub(super) fn on_inspected(&mut self, now: Instant, ticket: u64, what: Inspected) {
        let Some(mut ticket) = self.inspections.tickets.remove(&ticket) else {
            return;
        };
        if ticket.purpose == Purpose::Dump {
            if let Inspected::Endpoints(rows) = what {
                self.write_table(now, rows);
            }
            return;
        }
        let Some((id, number)) = ticket
            .asker
            .filter(|(id, _)| self.clients.get(*id).is_some())
        else {
            return;
        };
        let needs_both = matches!(
            ticket.purpose,
            Purpose::Sessions { .. } | Purpose::DaemonStatus
        );
        let reply = match what {
            Inspected::Endpoints(rows) if needs_both => {
                ticket.endpoints = Some(rows);
                let ticket = self.inspections.issue(ticket);
                return self.order(Order::Inspect {
                    ticket,
                    what: Inspection::Listeners,
                });
            }
            what => self.answer(now, id, ticket, what),
        };
        self.reply_later(id, number, reply);
    }

    fn answer(&mut self, now: Instant, id: SessionId, ticket: Ticket, what: Inspected) -> Reply {
        match (ticket.purpose, what) {
            (_, Inspected::NoSuchEndpoint) => Reply::error(ErrorCode::NoSuchConnection, ""),
            (_, Inspected::NotPermitted) => not_permitted(),
            (Purpose::List { filter, cursor }, Inspected::Endpoints(mut rows)) => {
                rows.retain(|(summary, owner)| {
                    self.may_see(id, *owner)
                        && rows::matches(&filter, summary, &self.owner(*owner, summary.id))
                });
                rows.sort_unstable_by_key(|(summary, _)| summary.id.to_bits());
                self.page_of_connections(now, id, filter, cursor, rows)
            }
            (Purpose::Listeners { filter, cursor }, Inspected::Listeners(rows)) => {
                self.page_of_listeners(id, &filter, cursor, rows)
            }
            (Purpose::Show { .. }, Inspected::Endpoint(status, owner)) => {
                match self.may_see(id, owner) {
                    true => self.status_reply(now, &status, owner),
                    false => not_permitted(),
                }
            }
            (Purpose::ConnectionStatus { .. }, Inspected::Endpoint(status, owner)) => {
                match owner == Owner::Session(id) {
                    true => self.status_reply(now, &status, owner),
                    false => Reply::error(ErrorCode::NoSuchConnection, ""),
                }
            }
            (Purpose::Stats { cursor }, Inspected::Counters(counters)) => {
                self.page_of_counters(cursor, &counters)
            }
            (Purpose::Services { cursor }, Inspected::Listeners(rows)) => {
                self.page_of_services(cursor, &rows)
            }
            (Purpose::Sessions { cursor }, Inspected::Listeners(listeners)) => self
                .page_of_sessions(
                    now,
                    id,
                    cursor,
                    &ticket.endpoints.unwrap_or_default(),
                    &listeners,
                ),
            (Purpose::DaemonStatus, Inspected::Listeners(listeners)) => {
                self.daemon_status(now, &ticket.endpoints.unwrap_or_default(), listeners.len())
            }
            (Purpose::End { .. }, Inspected::Done) => Reply::Done,
            (purpose, what) => {
                tracing::error!(
                    ?purpose,
                    ?what,
                    "an inspection was answered with something else"
                );
                Reply::error(ErrorCode::Internal, "the stack answered another question")
            }
        }
    }

    fn may_see(&self, id: SessionId, owner: Owner) -> bool {
        let Some(asker) = self.clients.get(id) else {
            return false;
        };
        let owner = match owner {
            Owner::Session(session) => self
                .clients
                .get(session)
                .map(|client| client.session.identity.uid),
            Owner::Service(_) | Owner::Orphan | Owner::Nobody => None,
        };
        Policy::may_see(
            asker.session.administrator,
            asker.session.identity.uid,
            owner,
        )
    }

    fn page_of_connections(
        &mut self,
        now: Instant,
        id: SessionId,
        filter: Filter,
        cursor: u64,
        rows: Vec<(Summary, Owner)>,
    ) -> Reply {
        let from = rows.partition_point(|(summary, _)| summary.id.to_bits() < cursor);
        let mut page = Page::new();
        for (index, (summary, owner)) in rows.iter().enumerate().skip(from) {
            let row: ConnectionRow = rows::connection(summary, self.owner(*owner, summary.id), now);
            if !page.push(&row) {
                page.next = rows[index].0.id.to_bits();
                break;
            }
        }
        if page.next != 0 {
            self.inspections.keep(Kept {
                session: id,
                filter,
                rows,
            });
        }
        Reply::Rows(page)
    }

    fn page_of_listeners(
        &self,
        id: SessionId,
        filter: &Filter,
        cursor: u64,
        mut listeners: Vec<(ListenerId, ListenerStatus, Owner)>,
    ) -> Reply {
        listeners.retain(|(.., owner)| self.may_see(id, *owner));
        listeners.sort_unstable_by_key(|(listener, ..)| listener.to_bits());
        let rows: Vec<ListenerRow> = listeners
            .iter()
            .map(|(listener, status, owner)| {
                rows::listener(*listener, status, self.owner_of_listener(*owner))
            })
            .filter(|row| rows::matches_listener(filter, row))
            .collect();
        page(cursor, &rows)
    }

    fn page_of_counters(
        &self,
        cursor: u64,
        counters: &[(&'static str, &'static str, u64)],
    ) -> Reply {
        let own = self.counts.rows(&[
            (
                "sessions",
                "Sessions open now.",
                self.clients.count() as u64,
            ),
            (
                "arenas",
                "Arenas mapped now, those of ended sessions that still drain included.",
                self.memory.count() as u64,
            ),
            (
                "tokens-refused",
                "Hellos with a token that stood for nothing.",
                self.services.refused_tokens(),
            ),
            (
                "log-lines-lost",
                "Log lines lost because the log could not keep up.",
                super::super::logging::lost_lines(),
            ),
        ]);
        let rows: Vec<_> = counters.iter().map(rows::counter).chain(own).collect();
        page(cursor, &rows)
    }

    fn page_of_services(
        &self,
        cursor: u64,
        listeners: &[(ListenerId, ListenerStatus, Owner)],
    ) -> Reply {
        let waiting = |service| {
            let of_it = listeners
                .iter()
                .filter(|(.., owner)| *owner == Owner::Service(service));
            of_it.map(|(_, status, _)| status.queued).sum()
        };
        page(cursor, &self.services.rows(waiting))
    }

    fn page_of_sessions(
        &self,
        now: Instant,
        id: SessionId,
        cursor: u64,
        endpoints: &[(Summary, Owner)],
        listeners: &[(ListenerId, ListenerStatus, Owner)],
    ) -> Reply {
        let mut connections: HashMap<SessionId, u32> = HashMap::new();
        let mut listening: HashMap<SessionId, u32> = HashMap::new();
        for (_, owner) in endpoints {
            if let Owner::Session(session) = owner {
                *connections.entry(*session).or_insert(0) += 1;
            }
        }
        for (.., owner) in listeners {
            if let Owner::Session(session) = owner {
                *listening.entry(*session).or_insert(0) += 1;
            }
        }
        let mut rows: Vec<_> = self
            .clients
            .iter()
            .filter(|client| self.may_see(id, Owner::Session(client.session.id)))
            .map(|client| {
                let of = |map: &HashMap<SessionId, u32>| {
                    map.get(&client.session.id).copied().unwrap_or(0)
                };
                let allocated = self.memory.of_session(client.session.id);
                rows::session(
                    &client.session,
                    of(&connections),
                    of(&listening),
                    allocated,
                    now,
                )
            })
            .collect();
        rows.sort_unstable_by_key(|row| row.id);
        page(cursor, &rows)
    }

    fn daemon_status(
        &self,
        now: Instant,
        endpoints: &[(Summary, Owner)],
        listeners: usize,
    ) -> Reply {
        use libtcpclient::protocol::status::DaemonStatus;
        let mut connections = BTreeMap::new();
        for (summary, _) in endpoints {
            *connections.entry(rows::state(summary.state)).or_insert(0) += 1;
        }
        let status = DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol_version: libtcpclient::protocol::VERSION,
            pid: std::process::id(),
            uptime_ms: self.uptime_ms(now),
            interface: self.interface.clone(),
            mtu_bytes: u32::from(self.config.device.mtu),
            offload: self.offload,
            addresses: self
                .config
                .device
                .stack_addresses()
                .map(|(address, _)| address)
                .collect(),
            stack_threads: self.config.device.queues,
            sessions: count(self.clients.count()),
            listeners: count(listeners),
            connections,
            spawner_pid: self.services.workforce().process(),
            spawner_restarts: self.services.workforce().started_again(),
            lost_log_lines: super::super::logging::lost_lines(),
            draining: self.stop.is_some(),
            config_file: self.config_file.clone(),
        };
        json(&status)
    }

    fn status_reply(&self, now: Instant, status: &tcpd_core::stack::Status, owner: Owner) -> Reply {
        let maximum = (self.config.tcp.receive_max, self.config.tcp.send_max);
        let passive = self.is_passive(status, owner);
        json(&rows::status(
            status,
            self.owner(owner, status.id),
            passive,
            maximum,
            now,
        ))
    }

    /// Whether the peer opened a connection. The core does not keep it, so where no session can say, the port tells: who
    /// opens a connection has an ephemeral one unless it asks for another.
    fn is_passive(&self, status: &tcpd_core::stack::Status, owner: Owner) -> bool {
        let session = match owner {
            Owner::Session(session) => self.clients.get(session),
            Owner::Service(_) | Owner::Orphan | Owner::Nobody => None,
        };
        let known = session.and_then(|client| client.holdings.is_passive(status.id.to_bits()));
        let ports = self.config.tcp.ephemeral_ports;
        known.unwrap_or_else(|| !(ports.first..=ports.last).contains(&status.local.port()))
    }

    /// Whose an endpoint is, in words.
    fn owner(&self, owner: Owner, endpoint: EndpointId) -> libtcpclient::protocol::status::Owner {
        use libtcpclient::protocol::status::{Owner as Row, OwnerKind};
        match owner {
            Owner::Session(session) => self.owner_of_session(session),
            Owner::Service(service) => {
                let worker = self
                    .services
                    .owners()
                    .find(|(connection, ..)| *connection == endpoint.to_bits());
                let pid = worker.and_then(|(_, _, pid)| u32::try_from(pid?).ok());
                let service = Some(self.service_name(service).to_owned());
                Row {
                    kind: OwnerKind::Service,
                    pid,
                    service,
                    ..Row::default()
                }
            }
            Owner::Orphan => Row {
                kind: OwnerKind::Orphan,
                ..Row::default()
            },
            Owner::Nobody => Row::default(),
        }
    }

    fn owner_of_listener(&self, owner: Owner) -> libtcpclient::protocol::status::Owner {
        // No worker has a listener's id.
        self.owner(owner, EndpointId::from_bits(0))
    }

    fn owner_of_session(&self, id: SessionId) -> libtcpclient::protocol::status::Owner {
        use libtcpclient::protocol::status::{Owner as Row, OwnerKind};
        let Some(client) = self.clients.get(id) else {
            return Row {
                kind: OwnerKind::Orphan,
                session: Some(id),
                ..Row::default()
            };
        };
        let service = client
            .grant
            .as_ref()
            .map(|grant| grant.service_name.clone());
        Row {
            kind: if service.is_some() {
                OwnerKind::Service
            } else {
                OwnerKind::Client
            },
            pid: Some(client.session.identity.pid),
            program: Some(client.session.program.clone()),
            uid: Some(client.session.identity.uid),
            service,
            session: Some(id),
        }
    }

    fn write_table(&self, now: Instant, rows: Vec<(Summary, Owner)>) {
        tracing::info!(
            connections = rows.len(),
            sessions = self.clients.count(),
            "the table of connections:"
        );
        for (summary, owner) in rows.iter().take(DUMPED_ROWS) {
            let row = rows::connection(summary, self.owner(*owner, summary.id), now);
            tracing::info!("{}", rows::line(&row));
        }
        if rows.len() > DUMPED_ROWS {
            tracing::info!(
                left_out = rows.len() - DUMPED_ROWS,
                "the table goes on; tcpctl list shows all of it"
            );
        }
    }
}

/// The rows from `cursor` on, as many as fit.
fn page<T: serde::Serialize>(cursor: u64, rows: &[T]) -> Reply {
    let mut page = Page::new();
    let from = usize::try_from(cursor).unwrap_or(usize::MAX);
    for (index, row) in rows.iter().enumerate().skip(from) {
        if !page.push(row) {
            page.next = index as u64;
            break;
        }
    }
    Reply::Rows(page)
}

fn json(value: &impl serde::Serialize) -> Reply {
    Json::of(value).map_or_else(
        |error| Reply::error(ErrorCode::Internal, error.to_string()),
        Reply::Status,
    )
}

fn not_permitted() -> Reply {
    Reply::error(
        ErrorCode::NotPermitted,
        "rule owner: it belongs to another user",
    )
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
