//! What the stack thread reports.

use tcpd_core::time::Instant;

use super::super::channel::Disconnected;
use super::super::notify;
use super::super::orders::{Report, SessionId};
use super::clients::End;
use super::{ControlLoop, REPORT_BATCH, Spawner};
use crate::exit_code::{Exit, Failure};
use crate::ipc::session::EndedBy;

impl<W: Spawner> ControlLoop<W> {
    /// Handles what has been reported; how many connections were reset, when the stack thread has stopped.
    pub(super) fn take_reports(&mut self, now: Instant) -> Result<Option<u64>, Failure> {
        for _ in 0..REPORT_BATCH {
            match self.reports.next() {
                Ok(Some(Report::Stopped { reset })) => return Ok(Some(reset)),
                Ok(Some(Report::DeviceFailed { error })) => {
                    let message = format!("the device {} failed: {error}", self.interface);
                    return Err(Failure::new(Exit::System, message));
                }
                // A daemon without one of its services would only half work.
                Ok(Some(Report::ServiceListening {
                    service,
                    result: Err(why),
                })) if !self.ready => {
                    let name = self.service_name(service);
                    let message = format!("service {name} cannot listen: {why}");
                    return Err(Failure::new(Exit::Unavailable, message));
                }
                Ok(Some(report)) => self.on_report(now, report),
                Ok(None) => {
                    self.more_reports = false;
                    return Ok(None);
                }
                Err(Disconnected) => {
                    return Err(Failure::new(
                        Exit::Internal,
                        "the stack thread has ended unexpectedly",
                    ));
                }
            }
        }
        self.more_reports = true;
        Ok(None)
    }

    fn on_report(&mut self, now: Instant, report: Report) {
        match report {
            Report::Reply {
                session,
                request_id,
                reply,
                descriptor,
            } => {
                self.counts.busy_since_memory_check = true;
                self.reply_later_with(session, request_id, reply, descriptor);
            }
            Report::HandedOff {
                session,
                request_id,
                endpoint,
                uid,
            } => self.on_handed_off(now, session, request_id, endpoint, uid),
            Report::HandoffAdopted {
                session,
                request_id,
                endpoint,
                reply,
            } => self.on_handoff_adopted(session, request_id, endpoint, reply),
            Report::Inspected { ticket, what } => self.on_inspected(now, ticket, what),
            Report::Violation { session, what } => self.on_violation(session, what),
            Report::BellClosed { session } => self.on_bell_closed(now, session),
            Report::SocketClosed { connection } => self.clients.socket_closed(connection),
            Report::SessionReleased { session } => {
                self.memory.remove(session);
                self.clients.released(session);
            }
            Report::ServiceListening { service, result } => {
                self.on_service_listening(now, service, result)
            }
            Report::ServiceIncoming { service } => self.on_service_incoming(now, service),
            Report::ServiceAccepted {
                service,
                connection,
            } => self.on_service_accepted(now, service, connection),
            Report::Heartbeat => notify::alive(),
            Report::Stopped { .. } | Report::DeviceFailed { .. } => {
                // The caller has taken these.
            }
        }
    }

    /// What the client said before it still counts, its goodbye above all; and a process that was killed closes its socket next.
    fn on_bell_closed(&mut self, now: Instant, session: SessionId) {
        self.clients.bell_closed(now, session);
    }

    fn on_violation(&mut self, session: SessionId, what: &'static str) {
        *self.counts.violations.entry(what).or_insert(0) += 1;
        self.end_session(session, End::because(EndedBy::Violation, what));
    }
}
