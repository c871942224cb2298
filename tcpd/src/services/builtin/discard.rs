//! RFC 863: a server that throws away any data it receives and sends nothing, until the calling user ends the connection.

use std::io;

use super::Connection;

#[cfg(test)]
mod tests;

/// Serves one connection: reads to the end of the stream.
///
/// # Errors
/// When the connection fails before the peer has ended its direction.
pub fn serve(connection: &mut dyn Connection) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match connection.read(&mut buffer) {
            Ok(0) => return connection.shutdown_write(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
