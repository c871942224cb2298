//! The demo's client program: an ordinary user of libtcpclient, in the image of `std::net`.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use libtcpclient::TcpStream;

use crate::exit_code::{Exit, Failure};

/// What it says to the server.
pub(super) const GREETING: &str = "hello from a program that has no TCP of its own\n";

/// Connects through the daemon, says its greeting, and prints what the server says until it closes.
pub(super) fn run(server: SocketAddr) -> Result<ExitCode, Failure> {
    let answer = talk(server)
        .map_err(|error| Failure::system(format!("demo: client to {server}"), &error))?;
    print!("{answer}");
    Ok(Exit::Ok.into())
}

fn talk(server: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(GREETING.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
