//! Sends everything back, one thread per connection:
//! `cargo run -p libtcpclient --example echo_server -- 198.18.0.2:7777`

use std::io;
use std::thread;

use libtcpclient::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("198.18.0.2:7777".into());
    let listener = TcpListener::bind(&*address)?;
    eprintln!("listening at {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept()?;
        thread::spawn(move || match echo(&stream) {
            Ok(bytes) => eprintln!("{peer}: {bytes} bytes"),
            Err(error) => eprintln!("{peer}: {error}"),
        });
    }
}

/// Until the peer's FIN; dropping the stream then sends ours.
fn echo(stream: &TcpStream) -> io::Result<u64> {
    io::copy(&mut &*stream, &mut &*stream)
}
