//! Bulk transfer over veth and over tcpd's TUN: as fast as it goes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tcpd::sandbox::namespace::{Namespace, loopback_up};

use crate::common::daemon::{Daemon, STACK_V4};
use crate::common::deadline::wait_for;
use crate::{now, use_cubic};

/// Where the kernel's peer of the veth listens, and where everybody else does.
const PORT: u16 = 5001;
const VETH_NEAR: &str = "198.19.0.1";
const VETH_FAR: &str = "198.19.0.2";

/// How much, how often.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) bytes: usize,
    pub(crate) rounds: usize,
}

/// The table.
pub(crate) fn inside(plan: Plan) {
    let far = veth_with_peer();
    let daemon = Daemon::start("");
    let client = tcpd_peer_process(&daemon);
    let veth: SocketAddr = format!("{VETH_FAR}:{PORT}").parse().expect("an address");
    let tcpd: SocketAddr = format!("{STACK_V4}:{PORT}").parse().expect("an address");
    println!(
        "bulk, one stream of {} MiB, cubic on every kernel socket, Gbit/s",
        plan.bytes >> 20
    );
    println!("{:<26}{:>8}{:>8}{:>8}", "", "veth", "tcpd", "ratio");
    for direction in [Direction::ToPeer, Direction::FromPeer] {
        let mut ratios = Vec::new();
        for round in 1..=plan.rounds {
            let kernel = gigabits(transfer(veth, direction, plan.bytes), plan.bytes);
            let ours = gigabits(transfer(tcpd, direction, plan.bytes), plan.bytes);
            println!(
                "{:<26}{kernel:>8.2}{ours:>8.2}{:>8.2}",
                format!("{} round {round}", direction.name()),
                ours / kernel
            );
            ratios.push(ours / kernel);
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "{:<26}{:>24.2}",
            format!("{} median", direction.name()),
            ratios[ratios.len() / 2]
        );
    }
    for mut child in [far, client] {
        child.kill().ok();
        child.wait().ok();
    }
}

/// Which way the bytes go, seen from the kernel socket that is timed.
#[derive(Clone, Copy)]
enum Direction {
    ToPeer,
    FromPeer,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::ToPeer => "kernel sends, peer reads",
            Direction::FromPeer => "peer writes, kernel reads",
        }
    }
}

fn gigabits(time: Duration, bytes: usize) -> f64 {
    bytes as f64 * 8.0 / time.as_secs_f64() / 1e9
}

/// One transfer from or to this process over the kernel's TCP; done when the last byte is known to have arrived.
fn transfer(peer: SocketAddr, direction: Direction, bytes: usize) -> Duration {
    let mut stream = TcpStream::connect(peer).expect("connect to the peer");
    use_cubic(&stream);
    let mut command = [0; 9];
    command[0] = direction as u8;
    command[1..].copy_from_slice(&(bytes as u64).to_le_bytes());
    let start = now();
    stream.write_all(&command).expect("tell the peer");
    match direction {
        Direction::ToPeer => {
            write_bytes(&mut stream, bytes);
            stream
                .read_exact(&mut [0])
                .expect("the peer's word that all is there");
        }
        Direction::FromPeer => read_bytes(&mut stream, bytes),
    }
    start.elapsed()
}

/// The other side of [`transfer`], over whatever stream.
fn serve(stream: &mut (impl Read + Write)) {
    let mut command = [0; 9];
    stream.read_exact(&mut command).expect("a command");
    let bytes = u64::from_le_bytes(command[1..].try_into().expect("eight bytes")) as usize;
    if command[0] == Direction::ToPeer as u8 {
        read_bytes(stream, bytes);
        stream.write_all(&[1]).expect("say that all is there");
    } else {
        write_bytes(stream, bytes);
    }
    // The other side closes first.
    assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
}

fn write_bytes(stream: &mut impl Write, bytes: usize) {
    let chunk = vec![0x5a; 256 << 10];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(chunk.len());
        stream.write_all(&chunk[..part]).expect("write");
        left -= part;
    }
}

fn read_bytes(stream: &mut impl Read, bytes: usize) {
    let mut chunk = vec![0; 256 << 10];
    let mut left = bytes;
    while left > 0 {
        let most = left.min(chunk.len());
        match stream.read(&mut chunk[..most]).expect("read") {
            0 => panic!("the stream ended {left} bytes early"),
            read => left -= read,
        }
    }
}

/// A veth pair whose far end is in a namespace of its own, with [`kernel_peer`] in it.
fn veth_with_peer() -> Child {
    ip("link add near type veth peer name far");
    ip(&format!("addr add {VETH_NEAR}/24 dev near"));
    ip("link set near up");
    let mut command = Command::new(std::env::current_exe().expect("path of this program"));
    command
        .args(["kernel-peer", VETH_FAR])
        .stdout(Stdio::piped());
    let mut child = Namespace::around(&mut command)
        .spawn()
        .expect("start the kernel's peer");
    ip(&format!("link set far netns {}", child.id()));
    await_ready(&mut child);
    child
}

/// The kernel's peer of the veth, in a process and a namespace of its own.
pub(crate) fn kernel_peer(address: &str) {
    loopback_up().expect("bring lo up");
    wait_for("far end of the veth pair", 10, || {
        Command::new("ip")
            .args(["link", "show", "far"])
            .output()
            .ok()?
            .status
            .success()
            .then_some(())
    });
    ip(&format!("addr add {address}/24 dev far"));
    ip("link set far up");
    let listener = TcpListener::bind((address, PORT)).expect("listen");
    use_cubic(&listener);
    println!("ready");
    for stream in listener.incoming() {
        serve(&mut stream.expect("accept"));
    }
}

fn tcpd_peer_process(daemon: &Daemon) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("path of this program"))
        .arg("tcpd-peer")
        .env("TCPD_SOCKET", daemon.socket())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the program on tcpd");
    await_ready(&mut child);
    child
}

/// The program on tcpd.
pub(crate) fn tcpd_peer() {
    let listener = libtcpclient::TcpListener::bind((STACK_V4, PORT)).expect("listen on tcpd");
    println!("ready");
    for stream in listener.incoming() {
        serve(&mut stream.expect("accept"));
    }
}

fn await_ready(child: &mut Child) {
    let mut line = [0; 6];
    let stdout = child.stdout.as_mut().expect("its stdout is piped");
    stdout.read_exact(&mut line).expect("the peer says ready");
}

fn ip(arguments: &str) {
    let status = Command::new("ip")
        .args(arguments.split(' '))
        .status()
        .expect("ip is installed (iproute2)");
    assert!(status.success(), "ip {arguments}: {status}");
}
