//! An honest client with a transfer that runs both ways for as long as the test tells lies beside it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libtcpclient::{Builder, TcpStream};

use crate::common::daemon::{Daemon, HOST_V4};
use crate::common::deadline::wait_for;
use crate::common::pattern::Pattern;

/// At least this much goes each way.
const LEAST: u64 = 25 << 20;
const CHUNK: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(20);

/// The transfer.
pub(crate) struct Neighbour {
    stop: Arc<AtomicBool>,
    /// Bytes received and found right, both ways.
    moved: Arc<AtomicU64>,
    /// Each gives the bytes it sent or received.
    senders: Vec<JoinHandle<u64>>,
    receivers: Vec<JoinHandle<u64>>,
}

impl Neighbour {
    /// A session of its own, connected to the kernel.
    pub(crate) fn start(daemon: &Daemon) -> Neighbour {
        let session = daemon.session();
        let listener = std::net::TcpListener::bind((HOST_V4, 0)).expect("the kernel listens");
        let at = listener.local_addr().expect("its address");
        let ours = Builder::new()
            .session(&session)
            .connect(at)
            .expect("connect");
        let (theirs, _) = listener.accept().expect("the kernel accepts");
        for timeout in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            timeout(&ours, Some(PATIENCE)).expect("a timeout");
        }
        theirs.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        theirs.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        let (stop, moved) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (ours, theirs) = (Arc::new(ours), Arc::new(theirs));
        let sender_of_ours = send(&stop, 1, {
            let ours = Arc::clone(&ours);
            move |bytes| match bytes {
                Some(bytes) => (&*ours).write_all(bytes),
                None => ours.shutdown(Shutdown::Write),
            }
        });
        let sender_of_theirs = send(&stop, 2, {
            let theirs = Arc::clone(&theirs);
            move |bytes| match bytes {
                Some(bytes) => (&*theirs).write_all(bytes),
                None => theirs.shutdown(Shutdown::Write),
            }
        });
        Neighbour {
            senders: vec![sender_of_ours, sender_of_theirs],
            receivers: vec![
                receive(&moved, 1, move |bytes| (&*theirs).read(bytes)),
                receive(&moved, 2, move |bytes| (&*ours).read(bytes)),
            ],
            stop,
            moved,
        }
    }

    /// Bytes still arrive, and they are right.
    pub(crate) fn moves_on(&self) {
        let before = self.moved.load(Relaxed);
        wait_for("progress of the neighbour", 20, || {
            assert!(!self.receivers.iter().any(JoinHandle::is_finished));
            (self.moved.load(Relaxed) > before + 4 * CHUNK as u64).then_some(())
        });
    }

    /// Bytes that have arrived and were right, both ways together.
    pub(crate) fn moved(&self) -> u64 {
        assert!(!self.receivers.iter().any(JoinHandle::is_finished));
        self.moved.load(Relaxed)
    }

    /// Ends the transfer in order: what was sent has arrived, all of it and nothing else.
    pub(crate) fn finish(self) {
        self.stop.store(true, Relaxed);
        let bytes = |threads: Vec<JoinHandle<u64>>| -> Vec<u64> {
            let joined = threads.into_iter().map(JoinHandle::join);
            joined.map(|bytes| bytes.expect("no panic")).collect()
        };
        let sent = bytes(self.senders);
        assert!(sent.iter().all(|bytes| *bytes >= LEAST));
        assert_eq!(bytes(self.receivers), sent);
    }
}

/// Sends the pattern until told to stop, and at least [`LEAST`] of it.
fn send(
    stop: &Arc<AtomicBool>,
    seed: u64,
    mut write: impl FnMut(Option<&[u8]>) -> std::io::Result<()> + Send + 'static,
) -> JoinHandle<u64> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let (mut pattern, mut buffer, mut sent) = (Pattern::new(seed), vec![0; CHUNK], 0);
        while sent < LEAST || !stop.load(Relaxed) {
            pattern.fill(&mut buffer);
            write(Some(&buffer)).expect("the neighbour writes");
            sent += CHUNK as u64;
        }
        write(None).expect("the neighbour shuts its half");
        sent
    })
}

/// Reads to the end and compares.
fn receive(
    moved: &Arc<AtomicU64>,
    seed: u64,
    mut read: impl FnMut(&mut [u8]) -> std::io::Result<usize> + Send + 'static,
) -> JoinHandle<u64> {
    let moved = Arc::clone(moved);
    thread::spawn(move || {
        let (mut pattern, mut received) = (Pattern::new(seed), 0);
        let (mut buffer, mut wanted) = (vec![0; CHUNK], vec![0; CHUNK]);
        loop {
            let length = read(&mut buffer).expect("the neighbour reads");
            if length == 0 {
                return received;
            }
            pattern.fill(&mut wanted[..length]);
            assert!(
                buffer[..length] == wanted[..length],
                "the neighbour's bytes are wrong after {received}"
            );
            received += length as u64;
            moved.fetch_add(length as u64, Relaxed);
        }
    })
}
