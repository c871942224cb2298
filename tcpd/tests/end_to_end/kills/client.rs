//! A client that does a bit of everything until it is killed.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::thread;
use std::time::Duration;

use libtcpclient::client::control::{Control, socket_path};
use libtcpclient::{Builder, Session, TcpStream};
use tcpd_core::random::Generator;

use super::kernel::{CALL, ECHO};
use crate::common::pair::{PATIENCE, ours};
use crate::common::pattern::Pattern;

/// The most that is on its way in a conversation.
const MOST: u64 = 100_000;

/// What a client is told: where the kernel's end is, and its seed.
pub(super) fn role_of(kernel: SocketAddr, seed: u64) -> String {
    format!("{kernel} {seed}")
}

/// In a client process: whatever goes wrong ends it, which the test takes for a failure.
pub(super) fn under_load(role: &str) -> ! {
    let (kernel, seed) = role.split_once(' ').expect("two words");
    let kernel: SocketAddr = kernel.parse().expect("an address");
    let seed: u64 = seed.parse().expect("a number");
    let session = Session::open().expect("a session");
    let parts: [fn(&Session, SocketAddr, u64); 8] = [
        converse,
        converse,
        converse_by_socket,
        be_called,
        pass_on,
        come_and_go,
        hope,
        look,
    ];
    for (part, number) in parts.into_iter().zip(0..) {
        let session = session.clone();
        thread::spawn(move || {
            // For ever, or it has failed.
            catch_unwind(AssertUnwindSafe(|| part(&session, kernel, seed + number))).ok();
            exit(1);
        });
    }
    loop {
        thread::park();
    }
}

fn connect(session: &Session, kernel: SocketAddr, first: u8) -> TcpStream {
    let stream = Builder::new().session(session).connect(kernel);
    let mut stream = stream.expect("connect through tcpd");
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        set(&stream, Some(PATIENCE)).expect("a timeout");
    }
    stream.write_all(&[first]).expect("send");
    stream
}

/// Sends words of any length and gets them back.
fn converse(session: &Session, kernel: SocketAddr, seed: u64) {
    converse_over(connect(session, kernel, ECHO), seed);
}

/// The same over connections that live in sockets.
fn converse_by_socket(session: &Session, kernel: SocketAddr, seed: u64) {
    let stream = connect(session, kernel, ECHO);
    let socket = stream.into_socket().expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    converse_over(socket, seed);
}

fn converse_over(mut stream: impl Read + Write, seed: u64) {
    let (mut random, mut pattern) = (Generator::from_seed(seed), Pattern::new(seed));
    let (mut word, mut back) = (Vec::new(), Vec::new());
    loop {
        let length = 1 + random.below(MOST) as usize;
        word.resize(length, 0);
        back.resize(length, 0);
        pattern.fill(&mut word);
        stream.write_all(&word).expect("send");
        stream.read_exact(&mut back).expect("receive");
        assert!(word == back, "other bytes came back");
        pause(&mut random);
    }
}

/// Listens, asks the kernel to call, and gives back what the callers say.
fn be_called(session: &Session, kernel: SocketAddr, _seed: u64) {
    let listener = Builder::new().session(session).listen(ours(0));
    let listener = listener.expect("listen");
    let port = listener.local_addr().expect("its address").port();
    let mut asking = connect(session, kernel, CALL);
    asking.write_all(&port.to_be_bytes()).expect("send");
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (mut called, _) = listener.accept().expect("accept");
        loop {
            let length = called.read(&mut buffer).expect("receive");
            if length == 0 {
                break;
            }
            called.write_all(&buffer[..length]).expect("send");
        }
    }
}

/// Hands connections off in the middle of a conversation and adopts them on another session, or lets them wait in vain.
fn pass_on(session: &Session, kernel: SocketAddr, seed: u64) {
    let mut random = Generator::from_seed(seed);
    let other = Session::open().expect("another session");
    loop {
        let mut stream = connect(session, kernel, ECHO);
        stream.write_all(b"one").expect("send");
        let handoff = stream.into_handoff().expect("a hand-off");
        pause(&mut random);
        if random.chance(0.1) {
            continue;
        }
        let adopted = Builder::new().session(&other).adopt(handoff);
        let mut stream = adopted.expect("adopt it");
        let set = stream.set_read_timeout(Some(PATIENCE));
        set.expect("a timeout");
        stream.write_all(b"two").expect("send");
        let mut back = [0; 6];
        stream.read_exact(&mut back).expect("receive");
        assert_eq!(&back, b"onetwo");
    }
}

/// Opens connections and ends them in every way there is.
fn come_and_go(session: &Session, kernel: SocketAddr, seed: u64) {
    let mut random = Generator::from_seed(seed);
    loop {
        let mut stream = connect(session, kernel, ECHO);
        let word = vec![7; 1 + random.below(MOST) as usize];
        stream.write_all(&word).expect("send");
        match random.below(5) {
            0 => stream.close().expect("close"),
            3 => drop(stream.into_socket().expect("a socket")),
            1 => stream.abort().expect("abort"),
            2 => stream
                .read_exact(&mut vec![0; word.len()])
                .expect("receive"),
            _ => drop(stream),
        }
        pause(&mut random);
    }
}

/// Connects to where nobody is.
fn hope(session: &Session, _kernel: SocketAddr, seed: u64) {
    let nowhere = SocketAddr::new("198.18.0.77".parse().expect("an address"), 80);
    let mut random = Generator::from_seed(seed);
    loop {
        let timeout = Duration::from_millis(1 + random.below(300));
        let hope = Builder::new().session(session).timeout(timeout);
        hope.connect(nowhere).expect_err("nobody is there");
    }
}

/// Asks for every table.
fn look(_session: &Session, _kernel: SocketAddr, seed: u64) {
    let mut random = Generator::from_seed(seed);
    loop {
        let mut control = Control::connect_to(&socket_path()).expect("a control session");
        control.daemon_status().expect("a status");
        for row in control.list(&Default::default()) {
            row.expect("a row");
        }
        for row in control.sessions() {
            row.expect("a row");
        }
        pause(&mut random);
    }
}

/// Leaves the others some of the processor.
fn pause(random: &mut Generator) {
    thread::sleep(Duration::from_millis(random.below(20)));
}
