use std::os::unix::net::UnixListener;

use super::*;
use crate::daemon::config::Config;

/// A directory of its own for each test, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tcpd-socket-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }

    fn control(&self) -> Control {
        Control {
            socket: self.0.join("tcpd.sock"),
            mode: 0o640,
            group: None,
            ..Config::default().control
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_client_is_known_by_the_kernels_word() {
    let directory = Directory::new("identity");
    let control = directory.control();
    let socket = ControlSocket::make(&control).expect("a socket");
    let mode = std::fs::metadata(&control.socket)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(
        socket.accept().expect_err("nobody yet").kind(),
        ErrorKind::WouldBlock
    );
    let _client = Seqpacket::connect(&control.socket).expect("it listens");
    let (_, identity, pidfd) = socket.accept().expect("a client");
    assert_eq!(identity.uid, rustix::process::geteuid().as_raw());
    assert_eq!(identity.pid, std::process::id());
    assert_eq!(
        identity.groups.len(),
        rustix::process::getgroups().expect("groups").len()
    );
    assert!(pidfd.is_some());
    drop(socket);
    assert!(!control.socket.exists());
}

#[test]
fn a_second_daemon_is_told_that_one_runs() {
    let directory = Directory::new("second");
    let control = directory.control();
    let first = ControlSocket::make(&control).expect("a socket");
    let failure = ControlSocket::make(&control).expect_err("one runs");
    assert_eq!(failure.exit, Exit::AlreadyRunning);
    assert_eq!(
        failure.message,
        format!(
            "a daemon is already running on {}",
            control.socket.display()
        )
    );
    Seqpacket::connect(&control.socket).expect("the first still listens");
    drop(first);
}

#[test]
fn somebody_without_our_lock_who_listens_is_respected() {
    let directory = Directory::new("other");
    let control = directory.control();
    let _other = SeqpacketListener::bind(&control.socket).expect("a socket");
    let failure = ControlSocket::make(&control).expect_err("taken");
    assert_eq!(failure.exit, Exit::AlreadyRunning);
    assert!(failure.message.contains("tcpd.socket"), "{failure}");
    let directory = Directory::new("stream");
    let control = directory.control();
    let _other = UnixListener::bind(&control.socket).expect("a stream socket");
    assert_eq!(
        ControlSocket::make(&control).expect_err("taken").exit,
        Exit::AlreadyRunning
    );
}

#[test]
fn a_stale_socket_is_replaced() {
    let directory = Directory::new("stale");
    let control = directory.control();
    // A daemon that was killed leaves its file.
    drop(SeqpacketListener::bind(&control.socket).expect("a socket"));
    assert!(control.socket.exists());
    let socket = ControlSocket::make(&control).expect("the file is stale");
    assert!(socket.replaced_a_stale_one());
    Seqpacket::connect(&control.socket).expect("it listens");
}

#[test]
fn what_is_not_a_socket_is_not_touched() {
    let directory = Directory::new("file");
    let control = directory.control();
    std::fs::write(&control.socket, "precious").expect("writable");
    let failure = ControlSocket::make(&control).expect_err("a file is in the way");
    assert_eq!(failure.exit, Exit::CannotCreate);
    assert!(
        failure.message.ends_with("exists and is not a socket"),
        "{failure}"
    );
    assert_eq!(
        std::fs::read_to_string(&control.socket).expect("it is there"),
        "precious"
    );
}

#[test]
fn the_file_of_another_daemon_is_not_removed() {
    let directory = Directory::new("replaced");
    let control = directory.control();
    let first = ControlSocket::make(&control).expect("a socket");
    std::fs::remove_file(&control.socket).expect("somebody removes it");
    let _other = SeqpacketListener::bind(&control.socket).expect("another socket");
    drop(first);
    assert!(control.socket.exists());
}
