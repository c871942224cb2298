//! One timed connection: the near end opens it and says which way bytes go and how long; who receives counts.
//!
//! The clock of a receiver starts with the command (as it was sent, or as it came), so neither the handshake nor what is still buffered at
//! the end counts. Then the near end resets the connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

use super::lab::{Lab, PORT, Results};
use crate::common::daemon::STACK_V4;
use crate::common::pattern::Pattern;
use crate::common::relay::{FAR, NEAR};
use crate::common::tcp_info::tcp_info;
use crate::{now, use_cubic};

/// What a read or write takes at most.
const CHUNK: usize = 64 << 10;
/// Bytes of a command: direction, time, seed.
const COMMAND: usize = 17;
/// How long the far end may take to say what it received, after its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who is at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Kernel,
    Tcpd,
}

/// Which way the bytes go, seen from the near end, which is the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToPeer,
    FromPeer,
}

impl Direction {
    pub(super) const BOTH: [Direction; 2] = [Direction::ToPeer, Direction::FromPeer];

    pub(super) fn name(self) -> &'static str {
        match self {
            Direction::ToPeer => "kernel sends",
            Direction::FromPeer => "peer sends",
        }
    }
}

/// How long bytes flow, and which.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) time: Duration,
    pub(super) seed: u64,
}

/// What a receiver counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) time: Duration,
}

impl Received {
    /// Mbit/s of payload.
    pub(super) fn megabits(self) -> f64 {
        self.bytes as f64 * 8.0 / self.time.as_secs_f64() / 1e6
    }
}

/// A finished connection.
pub(super) struct Flow {
    pub(super) received: Received,
    /// What both ends knew of it just before the end, as text.
    pub(super) details: String,
}

/// A TCP stream, of whichever stack.
pub(super) trait Stream: Read + Write {
    fn near_port(&self) -> u16;
    fn read_for(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize>;
}

impl Stream for TcpStream {
    fn near_port(&self) -> u16 {
        self.peer_addr().expect("a peer").port()
    }

    fn read_for(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        self.set_read_timeout(Some(patience))?;
        self.read(buffer)
    }
}

impl Stream for libtcpclient::TcpStream {
    fn near_port(&self) -> u16 {
        self.peer_addr().expect("a peer").port()
    }

    fn read_for(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        self.set_read_timeout(Some(patience))?;
        self.read(buffer)
    }
}

/// Opens a connection from `port` and lets bytes flow for `time`; `seed` makes the bytes.
pub(super) fn run(lab: &Lab, peer: Peer, direction: Direction, port: u16, plan: Plan) -> Flow {
    let (sender, result) = mpsc::channel();
    lab.results.lock().expect("no panic").insert(port, sender);
    let mut stream = open(peer, port);
    stream
        .write_all(&command(direction, plan))
        .expect("tell the peer");
    let (received, details) = match direction {
        Direction::ToPeer => thread::scope(|scope| {
            scope.spawn(|| send(&mut &stream, plan.seed));
            let received = result.recv_timeout(plan.time + PATIENCE);
            let details = details(lab, peer, &stream, port);
            // Which ends the sender.
            stream.shutdown(Shutdown::Write).ok();
            (received.expect("what the peer counted"), details)
        }),
        Direction::FromPeer => {
            let received = receive(&mut stream, plan);
            (received, details(lab, peer, &stream, port))
        }
    };
    lab.relay.lose_no_more(port);
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("linger");
    drop(stream);
    lab.results.lock().expect("no panic").remove(&port);
    Flow { received, details }
}

/// The far end of [`run`], over whatever stream. The near end resets it when all is done.
pub(super) fn serve(mut stream: impl Stream, results: &Results) {
    let mut command = [0; COMMAND];
    if stream.read_exact(&mut command).is_err() {
        return;
    }
    let number = |at: usize| u64::from_le_bytes(command[at..at + 8].try_into().expect("eight"));
    let plan = Plan {
        time: Duration::from_nanos(number(1)),
        seed: number(9),
    };
    if command[0] == Direction::FromPeer as u8 {
        return send(&mut stream, plan.seed);
    }
    let received = receive(&mut stream, plan);
    let result = results
        .lock()
        .expect("no panic")
        .remove(&stream.near_port());
    if let Some(result) = result {
        result.send(received).ok();
    }
    // Until the reset.
    while stream.read(&mut [0; CHUNK]).is_ok_and(|read| read > 0) {}
}

fn command(direction: Direction, plan: Plan) -> [u8; COMMAND] {
    let mut command = [direction as u8; COMMAND];
    command[1..9].copy_from_slice(&(plan.time.as_nanos() as u64).to_le_bytes());
    command[9..].copy_from_slice(&plan.seed.to_le_bytes());
    command
}

/// A connection of the kernel's from this port.
fn open(peer: Peer, port: u16) -> TcpStream {
    let address = |host: &str, port| SocketAddrV4::new(host.parse().expect("an address"), port);
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .expect("a socket");
    use_cubic(&socket);
    bind(&socket, &address(NEAR, port)).expect("bind");
    let to = match peer {
        Peer::Kernel => FAR,
        Peer::Tcpd => STACK_V4,
    };
    connect(&socket, &address(to, PORT)).expect("connect");
    socket.into()
}

/// Writes until the other end ends it.
fn send(stream: &mut impl Write, seed: u64) {
    let mut pattern = Pattern::new(seed);
    let mut chunk = vec![0; CHUNK];
    loop {
        pattern.fill(&mut chunk);
        if stream.write_all(&chunk).is_err() {
            return;
        }
    }
}

/// Counts for as long as planned, and looks at every byte.
fn receive(stream: &mut impl Stream, plan: Plan) -> Received {
    let mut pattern = Pattern::new(plan.seed);
    let (mut chunk, mut wanted) = (vec![0; CHUNK], vec![0; CHUNK]);
    let start = now();
    let mut bytes = 0;
    loop {
        let left = plan.time.saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        let read = match stream.read_for(&mut chunk, left) {
            Ok(0) => panic!("the stream ended after {bytes} bytes"),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(error) => panic!("after {bytes} bytes: {error}"),
        };
        pattern.fill(&mut wanted[..read]);
        assert!(chunk[..read] == wanted[..read], "wrong bytes after {bytes}");
        if start.elapsed() <= plan.time {
            bytes += read as u64;
        }
    }
    Received {
        bytes,
        time: plan.time,
    }
}

/// What the near end's kernel knows, and tcpd if it is the peer.
fn details(lab: &Lab, peer: Peer, stream: &TcpStream, port: u16) -> String {
    let info = tcp_info(stream);
    let near = format!(
        "near: cwnd {} ssthresh {} rtt {} rttvar {} rto {} retransmitted {} lost {} reordering {}",
        info.tcpi_snd_cwnd,
        info.tcpi_snd_ssthresh,
        info.tcpi_rtt,
        info.tcpi_rttvar,
        info.tcpi_rto,
        info.tcpi_total_retrans,
        info.tcpi_lost,
        info.tcpi_reordering
    );
    let far = match peer {
        Peer::Kernel => None,
        Peer::Tcpd => lab.look(port),
    };
    match far.map(|status| serde_json::to_string(&status)) {
        Some(Ok(far)) => format!("{near}\n      tcpd: {far}"),
        _ => near,
    }
}
