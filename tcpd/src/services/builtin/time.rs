//! RFC 868: a server that says the time as a 32-bit number of seconds since 1 January 1900, UTC, and ends the connection.
//!
//! The number overflows on 7 February 2036 at 06:28:16 UTC and starts again at 0. As NTP does (RFC 5905 §6), a client
//! takes the value as the moment nearest to what it believes: a number with the top bit clear is of the era that
//! begins in 2036. We send the low 32 bits of the true count, in any era.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Clock, Connection, finish};

#[cfg(test)]
mod tests;

/// Seconds from 1 January 1900 to 1 January 1970 (RFC 868).
const FROM_1900_TO_1970: u64 = 2_208_988_800;

/// Serves one connection; what it receives is thrown away.
///
/// # Errors
/// When the connection fails before the four bytes are sent.
pub fn serve(connection: &mut dyn Connection, clock: &dyn Clock) -> io::Result<()> {
    connection.write_all(&seconds(clock.wall()).to_be_bytes())?;
    finish(connection)
}

/// The low 32 bits of the seconds since 1900.
fn seconds(moment: SystemTime) -> u32 {
    let since_1970 = moment
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    (since_1970 + FROM_1900_TO_1970) as u32
}
