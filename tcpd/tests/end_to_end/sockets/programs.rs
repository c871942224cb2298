//! Unmodified programs with a connection for their standard input and output.

use std::net::TcpStream as KernelStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use super::*;

/// Runs `command` on the socket, and closes our descriptors of it.
fn run_on(socket: UnixStream, command: &mut Command) -> Child {
    let copy = socket.try_clone().expect("dup");
    command
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::from(OwnedFd::from(copy)))
        .spawn()
        .expect("start the program")
}

fn ends_well(mut child: Child) {
    let status = wait_for("end of the program", 20, || {
        child.try_wait().expect("our child")
    });
    assert!(status.success(), "{status}");
}

/// The program runs with no descriptor of ours open beside its own.
fn on_a_connection(daemon: &Daemon, command: &mut Command) -> (Child, KernelStream) {
    let session = daemon.session();
    let (socket, theirs) = connected(&session);
    (run_on(socket, command), theirs)
}

#[test]
fn cat_is_an_echo_service() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let (cat, mut theirs) = on_a_connection(&daemon, &mut Command::new("cat"));
        passes(&mut &theirs, &mut &theirs);
        let mut back = theirs.try_clone().expect("dup");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                write_pattern(&mut theirs, &mut Pattern::new(4), 10 * MIB, 64 << 10);
                theirs.shutdown(Shutdown::Write).expect("shut");
            });
            expect_pattern(&mut back, &mut Pattern::new(4), 10 * MIB, 64 << 10);
        });
        assert_eq!(heard(&mut back), (Vec::new(), None));
        ends_well(cat);
        nothing_left(&daemon);
    });
}

/// What a program may do with a socket: poll, epoll, recv with flags, sendfile, dup, non-blocking calls, half-close, exec.
const PYTHON: &str = r#"
import os, select, socket, subprocess, sys, tempfile

conn = socket.socket(fileno=os.dup(0))
assert conn.family == socket.AF_UNIX and conn.type == socket.SOCK_STREAM

poll = select.poll()
poll.register(conn, select.POLLIN | select.POLLOUT)
assert poll.poll(0) == [(conn.fileno(), select.POLLOUT)], "nothing to read yet, room to write"
conn.sendall(b"ready\n")

epoll = select.epoll()
epoll.register(conn.fileno(), select.EPOLLIN | select.EPOLLET)
assert epoll.poll(30) == [(conn.fileno(), select.EPOLLIN)]
assert conn.recv(100, socket.MSG_PEEK) == b"word\n"
assert conn.recv(100) == b"word\n"
conn.setblocking(False)
try:
    conn.recv(1)
    raise AssertionError("there was nothing")
except BlockingIOError:
    pass
conn.setblocking(True)

with tempfile.TemporaryFile() as file:
    file.write(b"0123456789" * 100000)
    file.flush()
    sent = 0
    while sent < 1000000:
        sent += os.sendfile(conn.fileno(), file.fileno(), sent, 1000000 - sent)

subprocess.run(["sh", "-c", "echo from a child"], stdout=conn.fileno(), check=True)
conn.shutdown(socket.SHUT_WR)
rest = b""
while chunk := os.read(0, 65536):
    rest += chunk
assert rest == b"x" * 300000, len(rest)
os.close(0)
os.close(1)
"#;

#[test]
fn a_python_program_uses_it_as_it_uses_any_socket() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let mut python = Command::new("python3");
        let (python, mut theirs) = on_a_connection(&daemon, python.args(["-c", PYTHON]));
        let mut ready = [0; 6];
        theirs.read_exact(&mut ready).expect("receive");
        assert_eq!(&ready, b"ready\n");
        theirs.write_all(b"word\n").expect("send");
        let (bytes, end) = heard(&mut theirs);
        assert_eq!(end, None);
        let wanted = [b"0123456789".repeat(100_000), b"from a child\n".to_vec()].concat();
        assert!(bytes == wanted, "{} bytes", bytes.len());
        theirs.write_all(&vec![b'x'; 300_000]).expect("send");
        theirs.shutdown(Shutdown::Write).expect("shut");
        ends_well(python);
        nothing_left(&daemon);
    });
}

/// The process that asked executes another program: that is the holder, in `tcpctl list` and `show`.
#[test]
fn the_holder_is_shown_with_its_process_and_program_until_it_ends() {
    use libtcpclient::protocol::status::{EndpointKind, OwnerKind, TcpState};
    in_namespace(|| {
        let daemon = Daemon::start("");
        let holder = |kind: EndpointKind| {
            wait_for("connection of that kind", 20, || {
                let rows = daemon.connections();
                let mut rows = rows
                    .into_iter()
                    .filter(|row| row.state != TcpState::TimeWait);
                rows.find(|row| row.owner.endpoint == Some(kind))
            })
        };
        let session = daemon.session();
        let (ours, mut theirs) = connect(&session);
        let row = holder(EndpointKind::Ring);
        assert_eq!(row.owner.pid, Some(std::process::id()));
        let mut socket = socket_of(ours);
        let row = holder(EndpointKind::Socket);
        assert_eq!(row.owner.kind, OwnerKind::Client);
        assert_eq!(row.owner.pid, Some(std::process::id()));
        let name = std::fs::read_to_string("/proc/self/comm").expect("our name");
        assert_eq!(row.owner.program.as_deref(), Some(name.trim()));
        let status = daemon.control().show(&row.id).expect("it lives");
        assert_eq!(status.row.owner, row.owner);
        drop(session);
        passes(&mut theirs, &mut socket);
        assert_eq!(holder(EndpointKind::Socket).owner, row.owner);
    });
}
