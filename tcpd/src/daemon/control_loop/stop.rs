//! How the daemon stops.
//!
//! 1. The first SIGTERM or SIGINT: nothing new is taken, what is in flight has `shutdown_grace`. Clients are told, and
//!    may still look and act on what they have; workers on their way may still adopt their connection.
//! 2. A second one: now.
//! 3. The stack thread resets what is left and says how much that was. Then the workers are ended, every session hears
//!    that it is over, and the socket's file goes.

use std::time::Duration;

use libtcpclient::protocol::Event;
use tcpd_core::time::Instant;

use super::super::orders::Order;
use super::super::{logging, notify};
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
        let grace = if self.stop.is_none() {
            self.config.shutdown_grace
        } else {
            Duration::ZERO
        };
        if self.stop.is_none() {
            tracing::info!(grace = ?grace, "stopping: nothing new is accepted");
            notify::stopping(grace);
            self.services.stop_accepting();
            self.tell_all(&Event::Draining {
                grace_ms: u32::try_from(grace.as_millis()).unwrap_or(u32::MAX),
            });
        } else {
            tracing::info!("stopping now");
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

    /// The very end: workers, sessions, the socket's file.
    pub(super) fn finish(mut self, orderly: bool) {
        self.services.kill_all();
        let (by, why) = match orderly {
            true => (EndedBy::Stopping, "the daemon has stopped"),
            false => (EndedBy::Daemon, "the daemon has failed"),
        };
        for id in self.clients.ids() {
            self.end_session(id, End::because(by, why));
        }
        self.orders.flush();
        self.socket.remove();
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
