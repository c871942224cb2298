//! Who may see and do what. A refusal names its rule.
//!
//! * A user sees and acts on its own connections; root and the administrators' group on all.
//! * Reload and drain are for them.
//! * Ports below `control.privileged_ports_below` are for them too.
//! * A worker's session, opened by token, acts on its one connection and nothing else, whatever its uid.
//! * A session without an arena looks and operates, it has no connections.
//!
//! Quotas are elsewhere: those of sessions and requests in the control loop, those of connections, listeners and rings in
//! the stack thread, which is the one to know.

use libtcpclient::protocol::{ErrorCode, Failure, Request};

use super::credentials::Identity;

/// What sort of session it is, decided by its Hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A program with connections of its own.
    Client,
    /// A service's worker: one connection, by token.
    Worker,
    /// Looks and operates; has no arena.
    Control,
}

impl Kind {
    /// The word in the rows of sessions.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Client => "client",
            Kind::Worker => "worker",
            Kind::Control => "control",
        }
    }
}

/// The rules that can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Members may see and act on everything; `None`: only root.
    pub administrators: Option<u32>,
    /// Lower ports are for administrators.
    pub privileged_ports_below: u16,
}

impl Policy {
    /// Root, or a member of the administrators' group.
    pub fn is_administrator(&self, identity: &Identity) -> bool {
        identity.uid == 0
            || self
                .administrators
                .is_some_and(|group| identity.is_in_group(group))
    }

    /// Checks a request against what its session may do at all. Whose an endpoint is, is checked where that is known.
    pub fn check(&self, administrator: bool, kind: Kind, request: &Request) -> Result<(), Failure> {
        let area = Area::of(request);
        match (kind, area) {
            (_, Area::Hello) => refuse(ErrorCode::HelloExpected, "Hello was said already"),
            (Kind::Worker, Area::Worker | Area::Connection | Area::Nothing) => Ok(()),
            (Kind::Worker, Area::Opening | Area::Inspection | Area::Operation | Area::Daemon) => {
                refuse(
                    ErrorCode::NotPermitted,
                    "rule worker: a session opened by token acts on its one connection only",
                )
            }
            (Kind::Client | Kind::Control, Area::Worker) => refuse(
                ErrorCode::NotPermitted,
                "rule token: only a session opened by token can adopt",
            ),
            (Kind::Control, Area::Opening | Area::Connection) => {
                refuse(ErrorCode::ArenaRequired, "Hello did not ask for an arena")
            }
            (Kind::Client | Kind::Control, Area::Daemon) if !administrator => refuse(
                ErrorCode::NotPermitted,
                "rule administrators: reload, drain and impair are for root and the group of control.group",
            ),
            (Kind::Client, Area::Opening) => self.check_port(administrator, request),
            (Kind::Client, Area::Connection)
            | (
                Kind::Client | Kind::Control,
                Area::Inspection | Area::Operation | Area::Daemon | Area::Nothing,
            ) => Ok(()),
        }
    }

    /// Whether somebody may see what belongs to `owner` (`None`: to a service, or to nobody).
    pub fn may_see(administrator: bool, uid: u32, owner: Option<u32>) -> bool {
        administrator || owner == Some(uid)
    }

    fn check_port(&self, administrator: bool, request: &Request) -> Result<(), Failure> {
        let port = match request {
            Request::Listen(listen) => listen.port,
            Request::Connect(connect) => connect.local_port,
            _ => 0,
        };
        if administrator || port == 0 || port >= self.privileged_ports_below {
            return Ok(());
        }
        let limit = self.privileged_ports_below;
        refuse(
            ErrorCode::NotPermitted,
            &format!(
                "rule control.privileged_ports_below: port {port} is below {limit}, so for root and the group only"
            ),
        )
    }
}

/// What a request is about, as far as the policy cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Area {
    Hello,
    /// Makes a listener or a connection, takes one or gives it away.
    Opening,
    Worker,
    /// Acts on a connection or listener that the session has.
    Connection,
    Inspection,
    /// Acts on anybody's connection.
    Operation,
    /// Acts on the daemon as a whole.
    Daemon,
    Nothing,
}

impl Area {
    fn of(request: &Request) -> Self {
        match request {
            Request::Hello(_) => Area::Hello,
            Request::Listen(_)
            | Request::Connect(_)
            | Request::Accept { .. }
            | Request::AdoptHandoff { .. }
            | Request::HandOff { .. } => Area::Opening,
            Request::Adopt | Request::ErrorStream => Area::Worker,
            Request::CloseListener { .. }
            | Request::CancelAccept { .. }
            | Request::Shutdown { .. }
            | Request::Close { .. }
            | Request::Abort { .. }
            | Request::SetOptions { .. }
            | Request::GrowTransmit { .. }
            | Request::IntoSocket { .. }
            | Request::ConnectionStatus { .. } => Area::Connection,
            Request::List { .. }
            | Request::Listeners { .. }
            | Request::Show { .. }
            | Request::Stats { .. }
            | Request::Services { .. }
            | Request::Sessions { .. }
            | Request::Users { .. }
            | Request::DaemonStatus => Area::Inspection,
            Request::ControlClose { .. }
            | Request::ControlReset { .. }
            | Request::ControlSet { .. } => Area::Operation,
            Request::Reload
            | Request::Drain { .. }
            | Request::Impair(_)
            | Request::Impairments { .. } => Area::Daemon,
            Request::Ping => Area::Nothing,
        }
    }
}

fn refuse(code: ErrorCode, detail: &str) -> Result<(), Failure> {
    Err(Failure {
        code,
        detail: detail.to_owned(),
    })
}

#[cfg(test)]
mod tests;
