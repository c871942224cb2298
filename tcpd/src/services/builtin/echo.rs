//! RFC 862: a server that sends back any data it receives, until the calling user ends the connection.

use std::io;

use super::Connection;

#[cfg(test)]
mod tests;

/// Serves one connection: everything received is sent back, then our direction ends after the peer's.
///
/// # Errors
/// When the connection fails before the peer has ended its direction and got all of it back.
pub fn serve(connection: &mut dyn Connection) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match connection.read(&mut buffer) {
            Ok(0) => return connection.shutdown_write(),
            Ok(length) => connection.write_all(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
