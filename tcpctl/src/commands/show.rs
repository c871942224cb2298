//! `tcpctl show ID`.

use libtcpclient::client::control::Control;
use libtcpclient::protocol::status::{ListenerRow, TcpState};
use libtcpclient::protocol::{ErrorCode, Filter};

use super::{collect, internal};
use crate::cli::Show;
use crate::failure::Failure;
use crate::output::json::{self, Listening};
use crate::output::show::{connection, listener};
use crate::output::users::Users;

/// Shows a connection, or the listener that has this ID.
pub(super) fn run(control: &mut Control, options: &Show) -> Result<String, Failure> {
    let users = Users::of_this_machine();
    let status = match control.show(&options.id) {
        Ok(status) if status.row.state == TcpState::Listen => None,
        Ok(status) => Some(status),
        Err(error) if error.code() == Some(ErrorCode::NoSuchConnection) => None,
        Err(error) => return Err(Failure::of_connection(&options.id, error)),
    };
    match status {
        Some(status) if options.json => json::lines(&[status]).map_err(internal),
        Some(status) => Ok(connection(&status, &users)),
        None => show_listener(control, options, &users),
    }
}

fn show_listener(control: &mut Control, options: &Show, users: &Users) -> Result<String, Failure> {
    match find_listener(control, &options.id)? {
        Some(row) if options.json => json::lines(&[Listening::new(&row)]).map_err(internal),
        Some(row) => Ok(listener(&row, users)),
        None => Err(Failure::no_such_connection(&options.id)),
    }
}

fn find_listener(control: &mut Control, id: &str) -> Result<Option<ListenerRow>, Failure> {
    Ok(collect(control.listeners(&Filter::default()))?
        .into_iter()
        .find(|row| row.id == id))
}
