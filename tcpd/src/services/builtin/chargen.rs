//! RFC 864: a server that sends printable characters until the calling user ends the connection; what it receives is
//! thrown away.
//!
//! The pattern is the popular one of the RFC: lines of 72 of the 95 printing characters, each line starting one
//! character further, each ended by CR LF.

use std::io;

use super::{Connection, timed_out};

#[cfg(test)]
mod tests;

const FIRST: u8 = b' ';
const CHARACTERS: usize = 95;
const WIDTH: usize = 72;
const LINE: usize = WIDTH + 2;

/// Serves one connection until a write fails or the peer is gone.
///
/// The peer's end of stream alone does not end the service: it may go on reading.
///
/// # Errors
/// When the connection fails otherwise than by the peer's leaving, which is how this service is meant to end.
pub fn serve(connection: &mut dyn Connection) -> io::Result<()> {
    let pattern = pattern();
    let mut refuse = vec![0; 16 << 10];
    let mut receiving = true;
    loop {
        if let Err(error) = connection.write_all(&pattern) {
            return if left(&error) { Ok(()) } else { Err(error) };
        }
        // Not until nothing is left: a peer that never stops sending must not stop us.
        for _ in 0..64 {
            if !receiving {
                break;
            }
            match connection.read_arrived(&mut refuse) {
                Ok(0) => receiving = false,
                Ok(_) => {}
                Err(error) if timed_out(&error) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return if left(&error) { Ok(()) } else { Err(error) },
            }
        }
    }
}

/// Whether the peer has left, by a reset or by closing while we still send.
fn left(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}

/// One whole turn of the pattern: 95 lines.
fn pattern() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CHARACTERS * LINE);
    for line in 0..CHARACTERS {
        bytes.extend((0..WIDTH).map(|column| FIRST + ((line + column) % CHARACTERS) as u8));
        bytes.extend(b"\r\n");
    }
    bytes
}
