//! Many connections, one after the other and at once: byte-exact, and nothing left over.

use std::net::Shutdown;

use super::common::daemon::Daemon;
use super::common::deadline::wait_for;
use super::common::namespace::in_namespace;
use super::common::pattern::{Pattern, expect_pattern, write_pattern};
use super::{PATIENCE, connect, processes, service, wait_for_row};

/// From 1 KiB to 1 MiB, most of them small: the size of connection `n`.
fn size(n: u64) -> usize {
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let doublings = mixed % 11;
    let base = 1024usize << doublings;
    if doublings == 10 {
        base
    } else {
        base + mixed as usize % base
    }
}

/// Sends a stream of its own to echo and expects it back, then the end.
fn exchange(n: u64) {
    let bytes = size(n);
    let mut stream = connect(7);
    let mut writer = stream.try_clone().expect("clone");
    let mut send = move || {
        write_pattern(&mut writer, &mut Pattern::new(n), bytes, 32 << 10);
        writer.shutdown(Shutdown::Write).expect("half-close");
    };
    // What fits in the socket's buffer needs no second thread.
    let sender = if bytes <= 64 << 10 {
        send();
        None
    } else {
        Some(std::thread::spawn(send))
    };
    expect_pattern(&mut stream, &mut Pattern::new(n), bytes, 32 << 10);
    assert_eq!(
        std::io::Read::read(&mut stream, &mut [0]).expect("the end"),
        0
    );
    if let Some(sender) = sender {
        sender.join().expect("sender");
    }
}

fn nothing_is_left_over(daemon: &Daemon, connections: u64) {
    let done = wait_for_row(daemon, "echo", "the ends", |row| {
        row.workers == 0 && row.waiting == 0
    });
    assert_eq!((done.started, done.failed), (connections, 0));
    assert_eq!(
        done.exits.by_status.into_iter().collect::<Vec<_>>(),
        [(0, connections)]
    );
    assert_eq!((done.exits.by_signal.len(), done.exits.unknown), (0, 0));
    assert!(done.usage.user_us + done.usage.system_us > 0 && done.usage.max_rss_bytes > 0);
    assert_eq!(processes("tcpd: worker"), []);
    wait_for("end of the workers' sessions", PATIENCE.as_secs(), || {
        let mut control = daemon.control();
        let workers = control
            .sessions()
            .filter(|row| row.as_ref().expect("a row").kind == "worker")
            .count();
        (workers == 0).then_some(())
    });
    let mut control = daemon.control();
    let connections: Vec<_> = control
        .list(&Default::default())
        .map(|row| row.expect("a row"))
        .collect();
    assert!(
        connections.iter().all(|row| row.owner.service.is_none()),
        "{connections:?}"
    );
}

#[test]
fn a_thousand_connections_one_after_the_other() {
    in_namespace(|| {
        let daemon = Daemon::start(&service("echo", 7, ""));
        (0..1000).for_each(exchange);
        nothing_is_left_over(&daemon, 1000);
    });
}

#[test]
fn two_hundred_connections_at_once() {
    in_namespace(|| {
        let daemon = Daemon::start(&service("echo", 7, "max_workers = 256\nbacklog = 256"));
        let clients: Vec<_> = (0..200)
            .map(|n| std::thread::spawn(move || exchange(n)))
            .collect();
        for client in clients {
            client.join().expect("client");
        }
        nothing_is_left_over(&daemon, 200);
    });
}
