//! Sends what it reads from standard input to an echo service and prints what comes back:
//! `cargo run -p libtcpclient --example echo_client -- 198.18.0.1:7`
//!
//! One thread writes while another reads the same stream; at end of file only the sending half closes.

use std::io;
use std::net::Shutdown;
use std::thread;

use libtcpclient::TcpStream;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("198.18.0.1:7".into());
    let stream = TcpStream::connect(&*address)?;
    eprintln!("{} -> {}", stream.local_addr()?, stream.peer_addr()?);
    let writer = stream.try_clone()?;
    let sending = thread::spawn(move || {
        let copied = io::copy(&mut io::stdin(), &mut &writer)?;
        writer.shutdown(Shutdown::Write)?;
        io::Result::Ok(copied)
    });
    let received = io::copy(&mut &stream, &mut io::stdout())?;
    let sent = sending.join().unwrap_or(Ok(0))?;
    eprintln!("{sent} bytes sent, {received} received");
    Ok(())
}
