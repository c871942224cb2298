//! Files over HTTP/1.1 and HTTP/1.0 (RFC 9110, RFC 9112): GET and HEAD, single ranges, If-Modified-Since, keep-alive.
//!
//! 1. [`request`] reads a head within limits of size and time, and parses it.
//! 2. [`target`] turns the request target into a path below the site.
//! 3. [`files`] opens it, without leaving the site's directory.
//! 4. [`conditions`] and [`range`] decide between 200, 206, 304, 412 and 416.
//! 5. [`response`] sends head and content.
//!
//! Not offered: directory listings, other methods, content codings, several ranges in one answer, entity tags.

use std::io;
use std::time::Duration;

use self::files::Found;
use self::range::Selected;
use self::request::{ReadError, Reader, Request};
use self::response::{Answer, Status};
use super::{Clock, Connection, finish, timed_out};

mod conditions;
mod content_type;
mod files;
mod range;
mod request;
mod response;
mod target;

#[cfg(test)]
mod tests;

pub use self::files::Site;

/// Largest request head: request line, header fields and the empty line, bytes.
pub const MAX_HEAD: usize = 8 << 10;
/// Most header fields in a request.
pub const MAX_FIELDS: usize = 100;
/// Largest content of a request that is read and thrown away, bytes. GET and HEAD give content no meaning.
pub const MAX_CONTENT: u64 = 64 << 10;
/// From the first byte of a head to its last.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// From one answer to the first byte of the next request.
pub const IDLE_TIME: Duration = Duration::from_secs(30);
/// A write that makes no progress for so long ends the connection.
pub const WRITE_TIME: Duration = Duration::from_secs(60);

/// Serves one connection: request after request until one side wants no more.
///
/// # Errors
/// When the connection fails while a request or its answer is under way, or a file shrinks while it is sent.
pub fn serve(site: &Site, connection: &mut dyn Connection, clock: &dyn Clock) -> io::Result<()> {
    connection.set_write_timeout(Some(WRITE_TIME))?;
    let mut reader = Reader::new();
    loop {
        let request = match reader.next(connection, clock) {
            Ok(request) => request,
            Err(ReadError::Ended) => return finish(connection),
            Err(ReadError::Bad { status, head_only }) => {
                let answer = Answer::refusal(status).last();
                response::send(connection, answer, head_only, clock.wall())?;
                return finish(connection);
            }
            Err(ReadError::Io(error)) if timed_out(&error) => return finish(connection),
            Err(ReadError::Io(error)) => return Err(error),
        };
        let last = !request.keep_alive;
        let mut answer = answer(site, &request, clock);
        answer.minor_version = request.minor_version;
        answer.last = last;
        response::send(connection, answer, request.head_only, clock.wall())?;
        if last {
            return finish(connection);
        }
    }
}

/// Decides what a request that was understood gets.
fn answer(site: &Site, request: &Request, clock: &dyn Clock) -> Answer {
    let Some(path) = target::path(&request.target) else {
        return Answer::refusal(Status::BAD_REQUEST);
    };
    let file = match site.find(&path) {
        Ok(Found::File(file)) => file,
        Ok(Found::DirectoryWithoutSlash) => {
            return Answer::redirect(&target::with_slash(&request.target));
        }
        Err(status) => return Answer::refusal(status),
    };
    // A date in the future would tell caches nothing (RFC 9110 §8.8.2.1).
    let modified = file.modified.min(clock.wall());
    match conditions::evaluate(&request.conditions, modified) {
        Some(Status::NOT_MODIFIED) => return Answer::not_modified(modified),
        Some(status) => return Answer::refusal(status),
        None => {}
    }
    // RFC 9110 §14.2: Range has a meaning with GET alone.
    let wanted = request
        .range
        .as_deref()
        .filter(|_| !request.head_only && conditions::range_applies(&request.conditions, modified));
    match wanted.map_or(Selected::Whole, |value| range::select(value, file.length)) {
        Selected::Whole => Answer::whole(file, modified),
        Selected::Part { first, last } => Answer::part(file, modified, first, last),
        Selected::Unsatisfiable => Answer::unsatisfiable(file.length),
    }
}
