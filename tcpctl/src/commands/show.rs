//! `tcpctl show ID`.

use libtcpclient::client::control::Control;
use libtcpclient::protocol::status::ListenerRow;
use libtcpclient::protocol::{ErrorCode, Filter};

use super::{collect, internal};
use crate::cli::Show;
use crate::failure::Failure;
use crate::output::json::{self, Listening};
use crate::output::show::{connection, listener};
use crate::output::users::Users;

/// Shows a connection; an ID that is none may be a listener's.
pub(super) fn run(control: &mut Control, options: &Show) -> Result<String, Failure> {
    let users = Users::of_this_machine();
    match control.show(&options.id) {
        Ok(status) if options.json => json::lines(&[status]).map_err(internal),
        Ok(status) => Ok(connection(&status, &users)),
        Err(error) if error.code() == Some(ErrorCode::NoSuchConnection) => {
            match find_listener(control, &options.id)? {
                Some(row) if options.json => json::lines(&[Listening::new(&row)]).map_err(internal),
                Some(row) => Ok(listener(&row, &users)),
                None => Err(Failure::of_connection(&options.id, error)),
            }
        }
        Err(error) => Err(Failure::of_connection(&options.id, error)),
    }
}

fn find_listener(control: &mut Control, id: &str) -> Result<Option<ListenerRow>, Failure> {
    Ok(collect(control.listeners(&Filter::default()))?
        .into_iter()
        .find(|row| row.id == id))
}
