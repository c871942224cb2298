//! The supervisor's place in the loop: what the stack thread and the spawner tell it, and what it asks of the stack.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use libtcpclient::protocol::{Listen, StreamOptions};
use tcpd_core::stack::EndpointId;
use tcpd_core::time::Instant;

use super::super::channel::OrderSender;
use super::super::notify;
use super::super::orders::{Credentials, Order, ServiceIndex, ServiceOrder};
use super::ControlLoop;
use crate::services::Service;
use crate::services::spawner_handle::SpawnerHandle;
use crate::services::supervisor;
use crate::services::workforce::Workforce;

/// The workforce as the loop polls and shows it.
pub trait Spawner: Workforce + AsRawFd {
    /// The spawner's process; `None` while there is none.
    fn process(&self) -> Option<u32>;
    /// Times it was started again.
    fn started_again(&self) -> u64;
}

impl Spawner for SpawnerHandle {
    fn process(&self) -> Option<u32> {
        self.pid()
    }

    fn started_again(&self) -> u64 {
        self.restarts()
    }
}

/// A ticket whose answer nobody waits for.
const NOBODY: u64 = u64::MAX;

/// The supervisor's orders become the stack thread's.
struct Stack<'a>(&'a mut OrderSender<Order>);

impl Stack<'_> {
    fn order(&mut self, order: Order) {
        // When the stack thread is gone the loop hears of it from its reports.
        let _ = self.0.send(order);
    }
}

impl supervisor::Daemon for Stack<'_> {
    fn accept_next(&mut self, service: ServiceIndex) {
        self.order(Order::Service(service, ServiceOrder::Accept));
    }

    fn abort(&mut self, connection: supervisor::ConnectionId) {
        self.order(Order::AbortUnclaimed {
            endpoint: EndpointId::from_bits(connection),
        });
    }

    fn reset(&mut self, connection: supervisor::ConnectionId) {
        self.order(Order::EndConnection {
            ticket: NOBODY,
            endpoint: EndpointId::from_bits(connection),
            reset: true,
            credentials: Credentials { uid: 0, all: true },
        });
    }
}

impl<W: Spawner> ControlLoop<W> {
    /// Asks for a listener for each address of each enabled service.
    pub(super) fn open_services(&mut self) {
        let wanted: Vec<_> = self.services.services().map(wanted_of).collect();
        for service in wanted {
            for place in &service.places {
                self.listeners_awaited += 1;
                self.order(service.listen(*place));
            }
        }
        self.orders.flush();
    }

    pub(super) fn on_service_listening(
        &mut self,
        now: Instant,
        service: ServiceIndex,
        result: Result<SocketAddr, String>,
    ) {
        if self.ready {
            return self.on_reload_listening(now, service, result);
        }
        if let Ok(local) = result {
            let name = self.service_name(service);
            tracing::info!(service = name, %local, "a service listens");
        }
        self.listeners_awaited = self.listeners_awaited.saturating_sub(1);
        self.say_ready();
    }

    /// Tells systemd, once every listener is open: who waits for that can connect then.
    pub(super) fn say_ready(&mut self) {
        if self.listeners_awaited == 0 && !std::mem::replace(&mut self.ready, true) {
            tracing::info!(services = self.services.services().count(), "ready");
            self.notify_ready();
        }
    }

    pub(super) fn notify_ready(&self) {
        let services = self.services.services().count();
        notify::ready(&format!("serving {services} services"));
    }

    pub(super) fn on_service_incoming(&mut self, now: Instant, service: ServiceIndex) {
        self.services
            .incoming(now, service, &mut Stack(&mut self.orders));
    }

    pub(super) fn on_service_accepted(
        &mut self,
        now: Instant,
        service: ServiceIndex,
        connection: Option<(EndpointId, SocketAddr, SocketAddr)>,
    ) {
        let mut stack = Stack(&mut self.orders);
        match connection {
            Some((endpoint, local, peer)) => {
                self.services
                    .connection(now, service, endpoint.to_bits(), local, peer, &mut stack);
            }
            None => self.services.no_connection(now, service, &mut stack),
        }
    }

    pub(super) fn on_spawner(&mut self, now: Instant) {
        self.hear_errors(now);
        self.services.on_ready(now, &mut Stack(&mut self.orders));
        self.close_error_streams(now);
    }

    pub(super) fn on_services_deadline(&mut self, now: Instant) {
        self.services.on_deadline(now, &mut Stack(&mut self.orders));
        self.close_error_streams(now);
    }

    /// The name of a service.
    pub(super) fn service_name(&self, service: ServiceIndex) -> &str {
        self.services.name(service)
    }
}

/// Where a service is to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) service: ServiceIndex,
    pub(super) places: Vec<Place>,
    pub(super) backlog: u32,
    pub(super) options: StreamOptions,
}

/// An own address, or every one, and a port.
pub(super) type Place = (Option<IpAddr>, u16);

pub(super) fn wanted_of((service, entry): (ServiceIndex, &Service)) -> Wanted {
    let all = entry.addresses.is_empty().then_some(None);
    let some = entry.addresses.iter().copied().map(Some);
    Wanted {
        service,
        places: all
            .into_iter()
            .chain(some)
            .map(|address| (address, entry.port))
            .collect(),
        backlog: entry.backlog,
        options: StreamOptions {
            congestion: entry.congestion,
            idle_timeout_ms: u32::try_from(entry.idle_timeout.as_millis()).unwrap_or(u32::MAX),
            ..StreamOptions::default()
        },
    }
}

/// Closes a service's listener.
pub(super) fn unlisten(service: ServiceIndex, (address, port): Place) -> Order {
    Order::Service(service, ServiceOrder::Unlisten { address, port })
}

impl Wanted {
    pub(super) fn listen(&self, (address, port): Place) -> Order {
        let listen = Listen {
            address,
            port,
            // As every server since 4.2BSD: pairs in TIME-WAIT must not keep it from starting.
            reuse: true,
            backlog: self.backlog,
            options: self.options,
        };
        Order::Service(self.service, ServiceOrder::Listen(listen))
    }

    /// What holds at each of its listeners.
    pub(super) fn terms(&self) -> Order {
        let terms = ServiceOrder::Terms {
            backlog: self.backlog,
            options: self.options,
        };
        Order::Service(self.service, terms)
    }
}
