//! What tests ask of a daemon as its clients. Needs `mod daemon` beside it.

use libtcpclient::Session;
use libtcpclient::protocol::status::ConnectionRow;

use super::daemon::Daemon;

impl Daemon {
    /// A program's session.
    pub(crate) fn session(&self) -> Session {
        Session::open_at(&self.socket()).expect("a session")
    }

    /// Every connection, as `tcpctl list` shows it.
    pub(crate) fn connections(&self) -> Vec<ConnectionRow> {
        let mut control = self.control();
        let rows = control.list(&Default::default());
        rows.map(|row| row.expect("a row")).collect()
    }
}
