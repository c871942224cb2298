//! The traffic as others see it: tcpdump records it on the TUN, tshark looks for anything wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use libtcpclient::Builder;
use rustix::process::{Pid, Signal, kill_process};
use tcpd::sandbox::process::die_with_parent;

use crate::common::daemon::{Daemon, HOST_V4, HOST_V6, PATIENT, STACK_V4, STACK_V6};
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pattern::{Pattern, expect_pattern, write_pattern};

const MIB: usize = 1 << 20;
const CHUNK: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(20);
/// Closed; what comes from it is the last packet of a capture.
const LAST_PORT: u16 = 998;

/// What says that something is missing in a capture.
const LOST: &str = "tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment";

/// A capture that runs.
struct Capture {
    tcpdump: Child,
    said: BufReader<std::process::ChildStderr>,
    file: PathBuf,
}

impl Capture {
    /// Starts tcpdump on the TUN and waits until it listens.
    fn start(directory: &Path) -> Capture {
        let file = directory.join("capture.pcap");
        let mut command = Command::new("tcpdump");
        command.args(["-i", "tcpd0", "-Z", "root", "-B", "65536", "-U", "-w"]);
        command.arg(&file).stderr(Stdio::piped());
        let tcpdump = die_with_parent(&mut command, Signal::KILL).spawn();
        let mut tcpdump = tcpdump
            .unwrap_or_else(|error| panic!("this test needs tcpdump, which does not run: {error}"));
        let mut said = BufReader::new(tcpdump.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            let read = said.read_line(&mut line).expect("tcpdump speaks");
            assert!(read > 0, "tcpdump ended before it listened");
        }
        Capture {
            tcpdump,
            said,
            file,
        }
    }

    /// Ends it; nothing may be missing in it.
    fn stop(mut self) -> PathBuf {
        // A reset from this port is the last packet, and it is 40 bytes long.
        let last = SocketAddr::new(STACK_V4.parse().expect("an address"), LAST_PORT);
        TcpStream::connect(last).expect_err("nobody listens");
        wait_for("last packet in the capture", 20, || {
            let bytes = std::fs::read(&self.file).ok()?;
            let tcp = bytes.last_chunk::<20>()?;
            (tcp[..2] == LAST_PORT.to_be_bytes() && tcp[13] & 4 != 0).then_some(())
        });
        kill_process(Pid::from_child(&self.tcpdump), Signal::INT).expect("stop tcpdump");
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).expect("tcpdump speaks");
        self.tcpdump.wait().expect("tcpdump ends");
        assert!(
            rest.contains("\n0 packets dropped by kernel"),
            "the capture is not whole: {rest}"
        );
        self.file
    }
}

/// The packets of a capture that match a display filter, a line each, as tshark shows them.
fn matching(file: &Path, filter: &str) -> Vec<String> {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args([
            "-o",
            "tcp.check_checksum:TRUE",
            "-o",
            "ip.check_checksum:TRUE",
        ])
        .args(["-Y", filter])
        .output()
        .unwrap_or_else(|error| panic!("this test needs tshark, which does not run: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark: {errors}");
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().map(str::to_owned).collect()
}

/// No packet matches; the first of those that do are shown.
fn none(file: &Path, filter: &str) {
    let found = matching(file, filter);
    let first = found[..found.len().min(20)].join("\n");
    assert!(
        found.is_empty(),
        "{} packets are {filter}:\n{first}",
        found.len()
    );
}

fn connect(address: &str, port: u16) -> TcpStream {
    let at = SocketAddr::new(address.parse().expect("an address"), port);
    let stream = TcpStream::connect_timeout(&at, PATIENCE).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Sends and gets back, closes its half, reads to the end.
fn echo(address: &str, bytes: usize) {
    let stream = connect(address, 7);
    thread::scope(|scope| {
        scope.spawn(|| {
            write_pattern(&mut &stream, &mut Pattern::new(5), bytes, CHUNK);
            stream.shutdown(Shutdown::Write).expect("half-close");
        });
        expect_pattern(&mut &stream, &mut Pattern::new(5), bytes, CHUNK);
        assert_eq!((&stream).read(&mut [0]).expect("the end"), 0);
    });
}

fn curl(url: &str) {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--fail",
        "--globoff",
        "--max-time",
        "20",
    ]);
    let output = command.args(["--output", "/dev/null", url]).output();
    let output =
        output.unwrap_or_else(|error| panic!("this test needs curl, which does not run: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl: {errors}");
}

/// A program of tcpd's with the kernel: bulk both ways, half-close, and an abort.
fn program(daemon: &Daemon, host: &str) {
    let session = daemon.session();
    let listener = TcpListener::bind((host, 0)).expect("the kernel listens");
    let at = listener.local_addr().expect("its address");
    let connect = || {
        let ours = Builder::new().session(&session).connect(at);
        (ours.expect("connect"), listener.accept().expect("accept").0)
    };
    let (ours, theirs) = connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            write_pattern(&mut &ours, &mut Pattern::new(6), 4 * MIB, CHUNK);
            ours.shutdown(Shutdown::Write).expect("half-close");
        });
        expect_pattern(&mut &theirs, &mut Pattern::new(6), 4 * MIB, CHUNK);
        assert_eq!((&theirs).read(&mut [0]).expect("the end"), 0);
        scope.spawn(|| write_pattern(&mut &theirs, &mut Pattern::new(7), 4 * MIB, CHUNK));
        expect_pattern(&mut &ours, &mut Pattern::new(7), 4 * MIB, CHUNK);
    });
    drop((ours, theirs));
    let (ours, mut theirs) = connect();
    ours.abort().expect("abort");
    theirs.read(&mut [0]).expect_err("a reset");
}

/// The mixed run; the capture of it.
fn captured(set: &[&str], judge: impl FnOnce(&Path)) {
    let site = std::env::temp_dir().join(format!("tcpd-test-captured-{}", std::process::id()));
    std::fs::create_dir_all(&site).expect("a directory");
    std::fs::write(site.join("data.bin"), vec![9; 3 * MIB]).expect("a file");
    let config = format!(
        "[[service]]\nname = \"echo\"\nport = 7\nhandler = \"echo\"\n\
         [[service]]\nname = \"http\"\nport = 80\nhandler = \"http\"\ndirectory = {:?}\n",
        site.display().to_string()
    );
    let daemon = Daemon::start_with(&config, set);
    let capture = Capture::start(daemon.directory());
    for (stack, host) in [(STACK_V4, HOST_V4), (STACK_V6, HOST_V6)] {
        for bytes in [1, 1000, 100_000, 2 * MIB] {
            echo(stack, bytes);
        }
        curl(&format!("http://[{stack}]/data.bin").replace(&format!("[{STACK_V4}]"), STACK_V4));
        // The kernel resets, and is reset.
        let mut stream = connect(stack, 7);
        stream.write_all(b"x").expect("send");
        stream.read_exact(&mut [0]).expect("receive");
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("linger 0");
        drop(stream);
        let closed = SocketAddr::new(stack.parse().expect("an address"), 999);
        TcpStream::connect(closed).expect_err("nobody listens");
        program(&daemon, host);
    }
    let file = capture.stop();
    // It is what it should be: both versions, handshakes, resets, and bulk.
    for (what, least) in [
        ("ip && tcp.flags.syn == 1 && tcp.flags.ack == 1", 7),
        ("ipv6 && tcp.flags.syn == 1 && tcp.flags.ack == 1", 7),
        ("tcp.flags.reset == 1", 7),
        ("tcp.len > 1000", 200),
    ] {
        let found = matching(&file, what).len();
        assert!(found >= least, "{found} packets are {what}");
    }
    none(&file, "_ws.malformed");
    judge(&file);
    std::fs::remove_dir_all(&site).expect("the directory goes");
}

#[test]
fn no_segment_is_malformed_and_no_checksum_bad_and_nothing_is_sent_twice() {
    in_namespace(|| {
        let set: Vec<&str> = [&["device.offload=false"], &PATIENT[..]].concat();
        captured(&set, |file| {
            none(file, "ip.checksum.status == \"Bad\"");
            let ours = format!("(ip.src == {STACK_V4} || ipv6.src == {STACK_V6})");
            none(
                file,
                &format!("{ours} && tcp && !(tcp.checksum.status == \"Good\")"),
            );
            // The kernel writes 0xffff where RFC 1624 has 0, once in 65,536 packets; both mean the same.
            let checked = "tcp.checksum.status == \"Good\" || tcp.checksum == 0xffff";
            none(file, &format!("tcp && !({checked})"));
            // The link loses nothing: who says otherwise is wrong. Probes for lost tails are left out, the kernel's here and tcpd's by
            // its settings: they come when the other end had to wait for a processor.
            none(file, LOST);
            let again = [
                "tcp.analysis.retransmission",
                "tcp.analysis.spurious_retransmission",
                "tcp.analysis.fast_retransmission",
                "tcp.analysis.out_of_order",
            ];
            none(file, &format!("{ours} && ({})", again.join(" || ")));
        });
    });
}

#[test]
fn no_segment_is_malformed_with_offload() {
    in_namespace(|| {
        captured(&[], |file| {
            none(file, LOST);
        });
    });
}
