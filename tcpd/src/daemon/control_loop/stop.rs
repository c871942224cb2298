//! How the daemon stops.
//!
//! 1. The first SIGTERM or SIGINT, or `tcpctl drain`: nothing new is taken, what is in flight has `shutdown_grace`. Clients are told, and
//!    may still look and act on what they have; workers on their way may still adopt their connection.
//! 2. A second one: now.
//! 3. The stack thread resets what is left and says how much that was. Then the workers are ended, every session hears
//!    that it is over, and the socket's file goes.

use std::time::Duration;

use libtcpclient::protocol::status::Draining;
use libtcpclient::protocol::{ErrorCode, Event, Reply};
use tcpd_core::time::Instant;

use super::super::orders::Order;
use super::super::{clock, logging, notify};
use super::answers::json;
use super::clients::End;
use super::{ControlLoop, Spawner};
use crate::exit_code::{Exit, Failure};
use crate::ipc::session::EndedBy;

/// How long beyond the grace the stack thread may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stop under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    /// Without an answer by then, something is wrong.
    pub(super) patience_ends: Instant,
}

impl<W: Spawner> ControlLoop<W> {
    /// SIGTERM or SIGINT: the first one gracefully, a second one now.
    pub(super) fn ask_to_stop(&mut self, now: Instant) {
        match self.stop {
            None => self.stop_within(now, self.config.shutdown_grace),
            Some(_) => {
                tracing::info!("stopping now");
                self.stop_within(now, Duration::ZERO);
            }
        }
    }

    /// A client wants the daemon to end when nothing is left; `None`: as long as `shutdown_grace` allows.
    pub(super) fn drain(&mut self, now: Instant, grace: Option<Duration>) -> Reply {
        if self.stop.is_some() {
            return Reply::error(ErrorCode::Draining, "");
        }
        let grace = grace.unwrap_or(self.config.shutdown_grace);
        self.stop_within(now, grace);
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        json(&Draining { grace_ms })
    }

    fn stop_within(&mut self, now: Instant, grace: Duration) {
        if self.stop.is_none() {
            tracing::info!(grace = ?grace, "stopping: nothing new is accepted");
            notify::stopping(grace);
            self.services.stop_accepting(now);
            self.tell_all(&Event::Draining {
                grace_ms: u32::try_from(grace.as_millis()).unwrap_or(u32::MAX),
            });
        }
        self.stop = Some(Stop {
            patience_ends: now + grace + PATIENCE,
        });
        self.order(Order::Stop { grace });
    }

    pub(super) fn on_stop_deadline(&self, now: Instant) -> Result<Option<u64>, Failure> {
        match self.stop {
            Some(stop) if stop.patience_ends <= now => Err(Failure::new(
                Exit::Internal,
                "the stack thread does not stop",
            )),
            _ => Ok(None),
        }
    }

    /// The very end: workers, sessions, the socket's file. `reset`: connections that had to be, `None` when the daemon has failed.
    pub(super) fn finish(mut self, reset: Option<u64>) {
        self.services.kill_all(clock::now());
        let (by, why) = match reset {
            Some(0) => (EndedBy::Stopping, "the daemon has stopped".to_owned()),
            Some(reset) => (
                EndedBy::Stopping,
                format!("the daemon has stopped; connections reset: {reset}"),
            ),
            None => (EndedBy::Daemon, "the daemon has failed".to_owned()),
        };
        for id in self.clients.ids() {
            self.end_session(id, End::because(by, &why));
        }
        self.orders.flush();
        drop(self.socket);
        let lost = logging::lost_lines();
        if lost > 0 {
            tracing::warn!(lost, "the log could not keep up");
        }
    }

    fn tell_all(&mut self, event: &Event) {
        let message = event.encode();
        for id in self.clients.ids() {
            let Some(client) = self.clients.get_mut(id) else {
                continue;
            };
            if client.session.kind.is_some()
                && let Err(by) = client.session.send(message.clone())
            {
                self.end_session(id, End::of(by));
            }
        }
    }
}
