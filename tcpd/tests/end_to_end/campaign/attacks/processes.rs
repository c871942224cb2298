//! Processes that come and go.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Release;

use libtcpclient::protocol::{Listen, Reply, Request, StreamOptions};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Signal, getpid, kill_process};
use tcpd_core::random::Generator;

use super::super::attacker::Target;
use crate::hostile::liar::{Liar, connect_to};

/// Sessions that one process opens before it dies.
const SESSIONS: usize = 10_000;
/// Of these, how many it has at a time: what a user may have, and descriptors.
const AT_ONCE: usize = 400;

fn die() {
    kill_process(getpid(), Signal::KILL).expect("a signal to ourselves");
}

/// Ten thousand sessions, then death.
pub(super) fn sessions(target: &Target, random: &mut Generator) {
    let mut all: Vec<Liar> = Vec::new();
    for _ in 0..SESSIONS {
        if let Some(liar) = target.open() {
            all.push(liar);
        }
        if all.len() >= AT_ONCE {
            all.swap_remove(random.below(AT_ONCE as u64) as usize);
        }
    }
    die();
}

/// Connections and listeners until there are no more, nothing of it closed; then death.
pub(super) fn leak(target: &Target, random: &mut Generator) {
    let Some(mut liar) = target.open() else {
        return;
    };
    let listen = Request::Listen(Listen {
        address: None,
        port: 0,
        reuse: true,
        backlog: 1,
        options: StreamOptions::default(),
    });
    let connect = connect_to(target.peer);
    let mut opened = Vec::new();
    for _ in 0..300 {
        let request = if random.chance(0.3) {
            &listen
        } else {
            &connect
        };
        match liar.try_ask(request) {
            Some(Reply::Connected(connection)) => opened.push(connection),
            Some(_) => {}
            None => return,
        }
    }
    for connection in &opened {
        // Something that its deaf peer will never take.
        let words = &liar.arena.header(connection.slot).transmit_client;
        words.write.fetch_add(60_000, Release);
        let _ = liar.arena.doorbells(0).to_daemon.mark(connection.slot);
    }
    liar.bell.ring().ok();
    die();
}

/// A child inherits the session, and its parent dies.
#[expect(
    clippy::zombie_processes,
    reason = "its parent is not there to wait for it: that is the attack"
)]
pub(super) fn heir(target: &Target, _random: &mut Generator) {
    let Some(liar) = target.open() else {
        return;
    };
    for inherited in [liar.socket.as_fd(), liar.bell.as_fd(), liar.arena.as_fd()] {
        fcntl_setfd(inherited, FdFlags::empty()).expect("an open descriptor");
    }
    let mut child = Command::new("sleep");
    child.arg("3").stdin(Stdio::null());
    child.stdout(Stdio::null()).stderr(Stdio::null());
    child.spawn().expect("a child");
    die();
}

/// As many sessions as the daemon lets it have, at once, and then silence.
pub(super) fn crowd(target: &Target, _random: &mut Generator) {
    let mut all = Vec::new();
    while (all.len() as u64) < target.seed {
        if let Some(Liar { socket, bell, .. }) = target.open() {
            all.push((socket, bell));
        }
    }
    loop {
        std::thread::park();
    }
}
