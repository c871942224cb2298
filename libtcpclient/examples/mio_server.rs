//! Sends everything back to thousands of connections, in one thread and one loop of mio:
//! `cargo run -p libtcpclient --features mio --example mio_server -- 198.18.0.2:7777`

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use libtcpclient::{Builder, TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const LISTENER: Token = Token(0);
/// Pieces moved for one connection before the others have their turn.
const PIECES: u32 = 16;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("198.18.0.2:7777".into());
    // Each connection that is polled has two descriptors.
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, most)?;

    let mut poll = Poll::new()?;
    let mut listener = Builder::new().backlog(4096).listen(&*address)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    eprintln!("listening at {}", listener.local_addr()?);
    let mut server = Server {
        registry: poll.registry().try_clone()?,
        listener,
        peers: HashMap::new(),
        unfinished: VecDeque::new(),
        next: LISTENER.0,
        full: false,
    };
    let mut events = Events::with_capacity(1024);
    loop {
        // Nothing is waited for while there is work that no event will tell of again.
        let wait = (!server.unfinished.is_empty()).then_some(Duration::ZERO);
        poll.poll(&mut events, wait)?;
        for token in std::mem::take(&mut server.unfinished) {
            server.serve(token)?;
        }
        for event in &events {
            match event.token() {
                LISTENER => server.accept()?,
                token => server.serve(token)?,
            }
        }
    }
}

struct Server {
    registry: Registry,
    listener: TcpListener,
    peers: HashMap<Token, Peer>,
    /// Those whose turn was over before they would block.
    unfinished: VecDeque<Token>,
    next: usize,
    /// Nothing more can be accepted until somebody goes.
    full: bool,
}

struct Peer {
    stream: TcpStream,
    /// Read, and not written yet.
    held: Vec<u8>,
    /// The peer has sent its FIN.
    ended: bool,
}

/// How a turn of one connection ended.
enum Turn {
    /// An event will tell when there is more to do.
    Waits,
    Unfinished,
    Over,
}

impl Server {
    /// Takes every connection that waits.
    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(()),
                    // No slot, no quota, no descriptor: when somebody goes there is.
                    _ if !self.peers.is_empty() => {
                        eprintln!("not accepting for now: {error}");
                        self.full = true;
                        return Ok(());
                    }
                    _ => return Err(error.into()),
                },
            };
            self.next += 1;
            let token = Token(self.next);
            let both = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) = self.registry.register(&mut stream, token, both) {
                eprintln!("a connection cannot be served: {error}");
                continue;
            }
            let (held, ended) = (Vec::new(), false);
            self.peers.insert(
                token,
                Peer {
                    stream,
                    held,
                    ended,
                },
            );
        }
    }

    /// Moves what can be moved for one connection.
    fn serve(&mut self, token: Token) -> io::Result<()> {
        let Some(peer) = self.peers.get_mut(&token) else {
            return Ok(()); // Its last event came with the one that ended it.
        };
        match peer.turn() {
            Ok(Turn::Waits) => return Ok(()),
            Ok(Turn::Unfinished) => {
                self.unfinished.push_back(token);
                return Ok(());
            }
            Ok(Turn::Over) => {}
            Err(error) => eprintln!("{:?}: {error}", peer.stream.peer_addr()),
        }
        if let Some(mut peer) = self.peers.remove(&token) {
            self.registry.deregister(&mut peer.stream)?;
        }
        match std::mem::take(&mut self.full) {
            true => self.accept(),
            false => Ok(()),
        }
    }
}

impl Peer {
    fn turn(&mut self) -> io::Result<Turn> {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..PIECES {
            while !self.held.is_empty() {
                match self.stream.write(&self.held) {
                    Ok(written) => drop(self.held.drain(..written)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Waits),
                    Err(error) => return Err(error),
                }
            }
            if self.ended {
                // Dropping the stream sends our FIN behind what is written.
                return Ok(Turn::Over);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(length) => self.held.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Waits),
                Err(error) => return Err(error),
            }
        }
        Ok(Turn::Unfinished)
    }
}
