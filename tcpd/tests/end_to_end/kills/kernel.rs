//! The kernel's ends of what clients open: each lasts until its client ends it, or is no more.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use crate::common::daemon::{HOST_V4, STACK_V4};
use crate::common::deadline::wait_for;
use crate::common::pair::{PATIENCE, patient};
use crate::common::pattern::Pattern;

/// First byte of a connection: what comes is to be given back.
pub(super) const ECHO: u8 = b'e';
/// First byte: the client listens at the port that follows, and wants to be called there as long as this connection lasts.
pub(super) const CALL: u8 = b'c';

/// A listener of the kernel, and a thread for each connection.
pub(super) struct Kernel {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Kernel {
    pub(super) fn start() -> Kernel {
        let listener = TcpListener::bind((HOST_V4, 0)).expect("the kernel listens");
        let address = listener.local_addr().expect("its address");
        let (over, open) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let thread = thread::spawn({
            let (over, open) = (Arc::clone(&over), Arc::clone(&open));
            move || accept(&listener, &over, &open)
        });
        Kernel {
            address,
            over,
            open,
            thread,
        }
    }

    /// Where clients connect.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All clients are dead: every end of theirs must have learnt that.
    pub(super) fn finish(self) {
        wait_for("end of every connection of dead clients", 20, || {
            (self.open.load(Relaxed) == 0).then_some(())
        });
        self.over.store(true, Relaxed);
        drop(TcpStream::connect(self.address));
        self.thread.join().expect("no panic");
    }
}

fn accept(listener: &TcpListener, over: &AtomicBool, open: &Arc<AtomicUsize>) {
    for stream in listener.incoming() {
        if over.load(Relaxed) {
            return;
        }
        let stream = stream.expect("the kernel accepts");
        patient(&stream);
        open.fetch_add(1, Relaxed);
        let open = Arc::clone(open);
        thread::spawn(move || {
            serve(stream);
            open.fetch_sub(1, Relaxed);
        });
    }
}

fn serve(mut stream: TcpStream) {
    let mut first = [0];
    match stream.read(&mut first) {
        Ok(1) if first[0] == ECHO => echo(stream),
        Ok(1) if first[0] == CALL => call(stream),
        // It was killed, or went away, before it could say anything.
        _ => {}
    }
}

/// Gives everything back until the end, or an error.
fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// Calls the client's listener again and again: each call is exact, or breaks off with the client.
fn call(mut stream: TcpStream) {
    let mut port = [0; 2];
    if stream.read_exact(&mut port).is_err() {
        return;
    }
    let at = SocketAddr::new(
        STACK_V4.parse().expect("an address"),
        u16::from_be_bytes(port),
    );
    let (mut pattern, mut sent, mut got) = (Pattern::new(1), vec![0; 10_000], vec![0; 10_000]);
    loop {
        // Refused, or accepted by nobody: the client is gone.
        let Ok(mut called) = TcpStream::connect_timeout(&at, PATIENCE) else {
            return;
        };
        patient(&called);
        pattern.fill(&mut sent);
        if called.write_all(&sent).is_err() || called.read_exact(&mut got).is_err() {
            return;
        }
        assert!(sent == got, "a client's listener gave other bytes back");
    }
}
