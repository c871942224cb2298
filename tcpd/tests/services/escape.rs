//! A worker that tries to get out: at the daemon, its spawner, another worker, the control socket, the files of the daemon.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::common::daemon::Daemon;
use super::common::namespace::in_namespace;
use super::{connect, processes};

/// Reads who is who from its peer, tries everything, and says how each attempt went.
const ATTEMPTS: &str = r#"
import ctypes, errno, os, resource, signal, socket, sys

here = dict(word.split("=", 1) for word in sys.stdin.readline().split())
victims = {name: int(here[name]) for name in ("daemon", "spawner", "neighbour")}
libc = ctypes.CDLL(None, use_errno=True)

def checked(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return result

def attempt(name, action):
    try:
        action()
        print(name, "DONE")
    except OSError as error:
        print(name, errno.errorcode.get(error.errno, error.errno))

def steal_descriptor(pid):
    pidfd = os.pidfd_open(pid)
    checked(libc.syscall(438, pidfd, 0, 0))

def read_memory(pid):
    buffer = ctypes.create_string_buffer(8)
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    ours, theirs = Piece(ctypes.addressof(buffer), 8), Piece(0x400000, 8)
    checked(libc.process_vm_readv(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0))

def session(kind):
    with socket.socket(socket.AF_UNIX, kind) as client:
        client.connect(here["socket"])

for name, pid in victims.items():
    attempt(f"ptrace-{name}", lambda: checked(libc.ptrace(16, pid, 0, 0)))
    attempt(f"memory-file-{name}", lambda: open(f"/proc/{pid}/mem", "rb").read(1))
    attempt(f"memory-call-{name}", lambda: read_memory(pid))
    attempt(f"descriptors-{name}", lambda: os.readlink(f"/proc/{pid}/fd/0"))
    attempt(f"connection-{name}", lambda: os.open(f"/proc/{pid}/fd/0", os.O_RDWR))
    attempt(f"environment-{name}", lambda: open(f"/proc/{pid}/environ", "rb").read(1))
    attempt(f"descriptor-call-{name}", lambda: steal_descriptor(pid))
    attempt(f"limits-{name}", lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0)))
    attempt(f"priority-{name}", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
    attempt(f"affinity-{name}", lambda: os.sched_setaffinity(pid, {0}))
    attempt(f"terminate-{name}", lambda: os.kill(pid, signal.SIGTERM))
    attempt(f"kill-{name}", lambda: os.kill(pid, signal.SIGKILL))
attempt("second-session", lambda: session(socket.SOCK_SEQPACKET))
attempt("second-session-as-stream", lambda: session(socket.SOCK_STREAM))
attempt("secret", lambda: open(here["private"] + "/secret", "rb").read(1))
attempt("replace-socket", lambda: os.rename(here["socket"], here["socket"] + ".old"))
attempt("remove-socket", lambda: os.unlink(here["socket"]))
attempt("link-of-spawner", lambda: os.open(here["private"], os.O_RDONLY | os.O_DIRECTORY) and os.open(here["private"] + "/new", os.O_CREAT | os.O_WRONLY))
attempt("user-namespace", lambda: checked(libc.unshare(0x10000000)))
attempt("io-uring", lambda: checked(libc.syscall(425, 1, 0)))
child = os.fork()
if child == 0:
    os._exit(0)
attempt("own-child", lambda: os.kill(child, 0))
os.waitpid(child, 0)
sys.stdout.flush()
"#;

/// What is no escape.
const ALLOWED: &[&str] = &["own-child"];

fn service(name: &str, port: u16, words: &str, more: &str) -> String {
    format!("[[service]]\nname = \"{name}\"\nport = {port}\nexec = [{words}]\n{more}\n")
}

/// The process that serves a connection with `cat` after it has said its number.
fn neighbour(stream: &mut TcpStream) -> String {
    let mut said = [0; 16];
    let length = stream.read(&mut said).expect("its process");
    String::from_utf8_lossy(&said[..length]).trim().to_owned()
}

fn nothing_works(more: &str) {
    let python = format!("\"/usr/bin/env\", \"python3\", \"-c\", {ATTEMPTS:?}");
    let cat = "\"/bin/sh\", \"-c\", \"echo $$; exec cat\"";
    let config = service("escapes", 7, &python, more) + &service("neighbour", 9, cat, more);
    let daemon = Daemon::start(&config);
    let mut other = connect(9);
    let neighbour = neighbour(&mut other);
    let spawner = processes("tcpd: spawner").first().map(|(pid, _)| *pid);

    let mut stream = connect(7);
    let (socket, directory) = (daemon.socket(), daemon.directory());
    let who = format!(
        "daemon={} spawner={} neighbour={neighbour} socket={} private={}\n",
        daemon.pid(),
        spawner.expect("a spawner"),
        socket.display(),
        directory.join("private").display(),
    );
    stream.write_all(who.as_bytes()).expect("send");
    stream.shutdown(Shutdown::Write).expect("half-close");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("a report");
    let attempts: Vec<(&str, &str)> = said
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    assert_eq!(attempts.len(), 3 * 12 + 9, "{said}");
    let wrong =
        |(attempt, result): &&(&str, &str)| (*result == "DONE") != ALLOWED.contains(attempt);
    let wrong: Vec<_> = attempts.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:?}");

    other.write_all(b"still there?").expect("send");
    let mut back = [0; 12];
    other.read_exact(&mut back).expect("the neighbour is");
    assert_eq!(&back, b"still there?");
    assert_eq!(
        daemon.counter("sessions-ended-no-hello"),
        0,
        "none got as far as that"
    );
}

#[test]
fn a_command_with_the_daemons_own_user_cannot_get_out() {
    in_namespace(|| nothing_works(""));
}

#[test]
fn a_command_with_a_user_cannot_reach_that_users_other_commands() {
    in_namespace(|| {
        // Where there is one user only (an ordinary user's namespace), that is the case above.
        let map = std::fs::read_to_string("/proc/self/uid_map").expect("a map of users");
        if map.split_whitespace().nth(2) == Some("4294967295") {
            nothing_works("user = \"nobody\"");
        }
    });
}

#[test]
fn a_command_reads_and_writes_what_it_is_given_and_connects_nowhere() {
    in_namespace(|| {
        let place = std::env::temp_dir().join(format!("tcpd-test-place-{}", std::process::id()));
        std::fs::create_dir_all(place.join("in")).expect("a directory");
        std::fs::create_dir_all(place.join("out")).expect("a directory");
        std::fs::write(place.join("in/file"), "given").expect("a file");
        std::fs::write(place.join("secret"), "kept").expect("a file");
        let script = format!(
            "cd {0}; cat in/file; echo; cat secret || echo no-read; echo x > out/new && echo written; \
             echo x > in/new || echo no-write; python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 9))' \
             2>&1 | tail -1",
            place.display()
        );
        let system = "\"/usr\", \"/bin\", \"/lib\", \"/lib64\", \"/etc\", \"/dev\"";
        let system: Vec<&str> = system
            .split(", ")
            .filter(|path| std::path::Path::new(path.trim_matches('"')).exists())
            .collect();
        let more = format!(
            "readable = [{}, \"{1}/in\"]\nwritable = [\"{1}/out\"]\nnetwork = false",
            system.join(", "),
            place.display()
        );
        let words = format!("\"/bin/sh\", \"-c\", {script:?}");
        let _daemon = Daemon::start(&service("x", 7, &words, &more));
        let mut said = String::new();
        connect(7).read_to_string(&mut said).expect("text");
        std::fs::remove_dir_all(&place).expect("ours");
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[..4], ["given", "no-read", "written", "no-write"]);
        assert!(lines[4].contains("PermissionError"), "{lines:?}");
    });
}
