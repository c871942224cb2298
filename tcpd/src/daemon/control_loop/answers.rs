//! Answers made from what the stack thread said, joined with sessions and services.

use std::collections::{BTreeMap, HashMap};

use libtcpclient::protocol::status::{ConnectionRow, ListenerRow};
use libtcpclient::protocol::{ErrorCode, Filter, Json, Page, Reply};
use tcpd_core::stack::{EndpointId, ListenerId, ListenerStatus, Summary};
use tcpd_core::time::Instant;

use super::super::orders::{Inspected, Owner, SessionId};
use super::super::{logging, rows};
use super::impairments;
use super::tables::{Kept, Purpose, Ticket};
use super::{ControlLoop, Spawner};
use crate::ipc::policy::Policy;

/// Lines of a table that SIGUSR1 writes to the log.
const DUMPED_ROWS: usize = 10_000;

impl<W: Spawner> ControlLoop<W> {
    /// The answer to a question about one endpoint.
    pub(super) fn answer_about_one(
        &self,
        now: Instant,
        id: SessionId,
        purpose: &Purpose,
        what: Inspected,
    ) -> Reply {
        match (purpose, what) {
            (_, Inspected::NoSuchEndpoint) => Reply::error(ErrorCode::NoSuchConnection, ""),
            (_, Inspected::NotPermitted) => not_permitted(),
            (Purpose::Show { .. }, Inspected::Endpoint(status, owner)) => {
                match self.may_see(id, owner) {
                    true => self.status_reply(now, &status, owner),
                    false => not_permitted(),
                }
            }
            (Purpose::ConnectionStatus { .. }, Inspected::Endpoint(status, owner)) => match owner {
                Owner::Session(session) if session == id => self.status_reply(now, &status, owner),
                _ => Reply::error(ErrorCode::NoSuchConnection, ""),
            },
            (Purpose::End { .. } | Purpose::Set { .. } | Purpose::Impair(_), Inspected::Done) => {
                Reply::Done
            }
            (Purpose::Impair(_), Inspected::Refused(why)) => {
                Reply::error(ErrorCode::BadRequest, why)
            }
            (Purpose::Impairments { cursor }, Inspected::Impairments(rules)) => page(
                *cursor,
                &rules.iter().map(impairments::row).collect::<Vec<_>>(),
            ),
            (_, Inspected::NotOpen) => Reply::error(
                ErrorCode::NoSuchConnection,
                "only an open connection can be changed: not a listener, a handshake, or TIME-WAIT",
            ),
            (purpose, what) => another_answer(purpose, &what),
        }
    }

    /// The answer to a question for a table.
    pub(super) fn answer_from_table(
        &mut self,
        now: Instant,
        id: SessionId,
        ticket: &Ticket,
        what: &Inspected,
    ) -> Reply {
        let endpoints = match ticket.endpoints.as_deref() {
            Some(Inspected::Endpoints(rows)) => rows.as_slice(),
            _ => &[],
        };
        match (&ticket.purpose, what) {
            (Purpose::List { filter, cursor }, Inspected::Endpoints(rows)) => {
                let mut rows: Vec<(Summary, Owner)> = rows
                    .iter()
                    .filter(|(summary, owner)| self.is_listed(id, filter, summary, *owner))
                    .copied()
                    .collect();
                rows.sort_unstable_by_key(|(summary, _)| summary.id.to_bits());
                self.page_of_connections(now, id, filter.clone(), *cursor, rows)
            }
            (Purpose::Listeners { filter, cursor }, Inspected::Listeners(rows)) => {
                self.page_of_listeners(id, filter, *cursor, rows)
            }
            (Purpose::Stats { cursor }, Inspected::Counters(counters)) => {
                self.page_of_counters(*cursor, counters)
            }
            (Purpose::Services { cursor }, Inspected::Listeners(rows)) => {
                self.page_of_services(*cursor, rows)
            }
            (Purpose::Sessions { cursor }, Inspected::Listeners(listeners)) => {
                self.page_of_sessions(now, id, *cursor, endpoints, listeners)
            }
            (Purpose::Users { cursor }, Inspected::Users(uses)) => {
                self.page_of_users(id, *cursor, uses)
            }
            (Purpose::DaemonStatus, Inspected::Listeners(listeners)) => {
                self.daemon_status(now, endpoints, listeners.len())
            }
            (purpose, what) => another_answer(purpose, what),
        }
    }

    fn is_listed(&self, id: SessionId, filter: &Filter, summary: &Summary, owner: Owner) -> bool {
        let by_owner = filter.pid != 0 || !filter.service.is_empty();
        rows::matches(filter, summary)
            && self.may_see(id, owner)
            && (!by_owner || rows::matches_owner(filter, &self.owner(owner, summary.id)))
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
            Owner::Socket { uid, .. } => Some(uid),
            Owner::HandedOff(uid) => Some(uid),
            Owner::Service(_) | Owner::Orphan | Owner::Nobody => None,
        };
        Policy::may_see(
            asker.session.administrator,
            asker.session.identity.uid,
            owner,
        )
    }

    pub(super) fn page_of_connections(
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
        listeners: &[(ListenerId, ListenerStatus, Owner)],
    ) -> Reply {
        let mut listeners: Vec<_> = listeners
            .iter()
            .filter(|(.., owner)| self.may_see(id, *owner))
            .collect();
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
                "tokens",
                "Tokens that are good now: of workers on their way, and of connections handed off.",
                (self.services.tokens() + self.handoffs.tokens()) as u64,
            ),
            (
                "tokens-refused",
                "Tokens brought that stood for nothing.",
                self.failed_tokens.total(),
            ),
            (
                "handoffs-waiting",
                "Connections handed off that nobody has adopted yet.",
                self.handoffs.count() as u64,
            ),
            (
                "handoffs",
                "Connections handed off.",
                self.handoffs.counts.begun,
            ),
            (
                "handoffs-adopted",
                "Of these, those that were adopted.",
                self.handoffs.counts.adopted,
            ),
            (
                "handoffs-expired",
                "Of these, those that were reset because nobody came in time.",
                self.handoffs.counts.expired,
            ),
            (
                "log-lines-lost",
                "Log lines lost because the log could not keep up.",
                logging::lost_lines(),
            ),
        ]);
        let refused = self.refusals.rows();
        let all = counters.iter().map(rows::counter).chain(own);
        let rows: Vec<_> = all.chain(refused).collect();
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
            lost_log_lines: logging::lost_lines(),
            draining: self.stop.is_some(),
            config_file: self.source.file().map(|file| file.display().to_string()),
        };
        json(&status)
    }

    fn status_reply(&self, now: Instant, status: &tcpd_core::stack::Status, owner: Owner) -> Reply {
        let maximum = (self.config.tcp.receive_max, self.config.tcp.send_max);
        json(&rows::status(
            status,
            self.owner(owner, status.id),
            maximum,
            now,
        ))
    }

    /// Whose an endpoint is, in words.
    fn owner(&self, owner: Owner, endpoint: EndpointId) -> libtcpclient::protocol::status::Owner {
        use libtcpclient::protocol::status::{EndpointKind, Owner as Row, OwnerKind};
        match owner {
            Owner::Session(session) => Row {
                endpoint: Some(EndpointKind::Ring),
                ..self.owner_of_session(session)
            },
            Owner::Socket { uid, session } => match self.clients.holder(endpoint.to_bits()) {
                Some(holder) => holder.row(),
                None => Row {
                    kind: OwnerKind::Client,
                    endpoint: Some(EndpointKind::Socket),
                    uid: Some(uid),
                    session: Some(session),
                    ..Row::default()
                },
            },
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
            Owner::HandedOff(uid) => Row {
                kind: OwnerKind::HandedOff,
                uid: Some(uid),
                ..Row::default()
            },
            Owner::Orphan => Row {
                kind: OwnerKind::Orphan,
                ..Row::default()
            },
            Owner::Nobody => Row::default(),
        }
    }

    fn owner_of_listener(&self, owner: Owner) -> libtcpclient::protocol::status::Owner {
        // No worker has a listener's id.
        libtcpclient::protocol::status::Owner {
            endpoint: None,
            ..self.owner(owner, EndpointId::from_bits(0))
        }
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
            endpoint: None,
        }
    }

    /// Writes the table of connections to the log.
    pub(super) fn write_table(&self, now: Instant, what: &Inspected) {
        let Inspected::Endpoints(rows) = what else {
            return;
        };
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
pub(super) fn page<T: serde::Serialize>(cursor: u64, rows: &[T]) -> Reply {
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

/// A status in JSON.
pub(super) fn json(value: &impl serde::Serialize) -> Reply {
    Json::of(value).map_or_else(
        |error| Reply::error(ErrorCode::Internal, error.to_string()),
        Reply::Status,
    )
}

fn another_answer(purpose: &Purpose, what: &Inspected) -> Reply {
    tracing::error!(
        ?purpose,
        ?what,
        "an inspection was answered with something else"
    );
    Reply::error(ErrorCode::Internal, "the stack answered another question")
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
