//! Processes that attack: the running test, run once more and told which attack to make.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use libtcpclient::protocol::SOCKET_VARIABLE;
use rustix::process::{Signal, kill_process, set_parent_process_death_signal};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
use tcpd::sandbox::process::{die_with_parent, pid_of};
use tcpd_core::random::Generator;

use super::attacks::{ALL, Attack, CROWD, NOTHING};
use super::measures::pin;
use crate::common::daemon::{Daemon, HOST_V4};
use crate::hostile::liar::Liar;

/// In an attacker's process: the attack, the seed, the processor, and where peers of the kernel are.
const ATTACK: &str = "TCPD_TEST_ATTACK";
/// Connections that the kernel's end keeps open, without reading.
const PEERS: usize = 256;
/// Nobody: neither root nor the daemon's user, so that every quota counts.
const NOBODY: u32 = 65534;

/// Where an attack goes to.
pub(super) struct Target {
    pub(super) socket: PathBuf,
    /// The kernel listens here, and never reads.
    pub(super) peer: SocketAddr,
    pub(super) seed: u64,
}

impl Target {
    pub(super) fn open(&self) -> Option<Liar> {
        Liar::try_open(&self.socket)
    }
}

/// In an attacker's process it attacks until it is killed, or until the attack itself ends the process.
pub(super) fn attack_if_told() -> bool {
    let Ok(told) = std::env::var(ATTACK) else {
        return false;
    };
    let words: Vec<&str> = told.split(' ').collect();
    let [name, seed, processor, peer] = words[..] else {
        panic!("{told}");
    };
    pin(processor.parse().expect("a number"));
    become_nobody();
    let target = Target {
        socket: std::env::var_os(SOCKET_VARIABLE).expect("a socket").into(),
        peer: peer.parse().expect("an address"),
        seed: seed.parse().expect("a number"),
    };
    let mut random = Generator::from_seed(target.seed);
    let all = ALL.iter().chain([&CROWD, &NOTHING]);
    let attack = all
        .into_iter()
        .find(|attack| attack.name == name)
        .expect("an attack");
    loop {
        (attack.act)(&target, &mut random);
    }
}

/// Without root's rights, where there is another user at all.
fn become_nobody() {
    set_thread_groups(&[]).ok();
    let (gid, uid) = (
        rustix::process::Gid::from_raw(NOBODY),
        rustix::process::Uid::from_raw(NOBODY),
    );
    if set_thread_gid(gid).is_ok() {
        set_thread_uid(uid).ok();
    }
    // Another user means that nobody's death signal is set any more.
    set_parent_process_death_signal(Some(Signal::KILL)).expect("a signal");
}

/// The attackers at work.
pub(super) struct Attackers {
    socket: PathBuf,
    processor: usize,
    seed: u64,
    peer: TcpListener,
    peers: VecDeque<std::net::TcpStream>,
    running: Vec<(&'static Attack, Child)>,
    started: u64,
}

impl Attackers {
    fn of(daemon: &Daemon, processor: usize, seed: u64) -> Attackers {
        let peer = TcpListener::bind((HOST_V4, 0)).expect("the kernel listens");
        peer.set_nonblocking(true).expect("a socket");
        Attackers {
            socket: daemon.socket(),
            processor,
            seed,
            peer,
            peers: VecDeque::new(),
            running: Vec::new(),
            started: 0,
        }
    }

    /// One for each attack.
    pub(super) fn start(daemon: &Daemon, processor: usize, seed: u64) -> Attackers {
        let mut attackers = Attackers::of(daemon, processor, seed);
        let named = std::env::var("TCPD_ATTACKS").ok();
        let wanted = |attack: &&Attack| {
            let all = named.as_ref();
            all.is_none_or(|names| names.split(',').any(|name| name == attack.name))
        };
        for attack in ALL.iter().filter(wanted) {
            let process = attackers.launch(attack.name);
            attackers.running.push((attack, process));
        }
        attackers
    }

    /// One attack alone, with this number as its seed, on any processor.
    pub(super) fn with(daemon: &Daemon, name: &str, seed: u64) -> Attackers {
        let mut attackers = Attackers::of(daemon, super::measures::processors()[0], seed - 1);
        let process = attackers.launch(name);
        attackers.running.push((&CROWD, process));
        attackers
    }

    fn launch(&mut self, name: &str) -> Child {
        self.started += 1;
        let peer = self.peer.local_addr().expect("its address");
        let seed = self.seed + self.started;
        start(name, seed, self.processor, &peer.to_string(), &self.socket)
    }

    /// Lets peers in, and starts again who has ended.
    pub(super) fn tend(&mut self) {
        loop {
            match self.peer.accept() {
                Ok((peer, _)) => self.peers.push_back(peer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
            if self.peers.len() > PEERS {
                self.peers.pop_front();
            }
        }
        for place in 0..self.running.len() {
            let (attack, process) = &mut self.running[place];
            if let Some(status) = process.try_wait().expect("look at an attacker") {
                assert_ne!(status.code(), Some(101), "{} cannot attack", attack.name);
                let name = attack.name;
                self.running[place].1 = self.launch(name);
            }
        }
    }

    /// How many there have been.
    pub(super) fn started(&self) -> u64 {
        self.started
    }

    /// Sends it to all of them.
    pub(super) fn signal(&self, signal: Signal) {
        for (_, process) in &self.running {
            tell(process, signal);
        }
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        for (_, process) in &mut self.running {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

fn tell(process: &Child, signal: Signal) {
    if let Some(pid) = pid_of(process) {
        // It may have ended by itself.
        kill_process(pid, signal).ok();
    }
}

/// Starts the running test once more, as this attacker.
fn start(name: &str, seed: u64, processor: usize, peer: &str, socket: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("path of the test binary"));
    // This process was given the name of the test to run, and nothing else than it.
    command.args(std::env::args_os().skip(1));
    command.env(ATTACK, format!("{name} {seed} {processor} {peer}"));
    command.env(SOCKET_VARIABLE, socket);
    command.stdout(Stdio::null()).stderr(Stdio::inherit());
    let process = die_with_parent(&mut command, Signal::KILL).spawn();
    process.expect("start an attacker")
}

/// Processes that do nothing, as fast as they can: what attackers are compared with.
pub(super) struct Busy(Vec<Child>);

impl Busy {
    /// So many, on this processor, stopped.
    pub(super) fn start(processor: usize, count: u64) -> Busy {
        let nowhere = Path::new("/");
        let one = |_| start(NOTHING.name, 1, processor, "0.0.0.0:0", nowhere);
        let busy = Busy((0..count).map(one).collect());
        busy.signal(Signal::STOP);
        busy
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.0.iter().for_each(|process| tell(process, signal));
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for process in &mut self.0 {
            process.kill().ok();
            process.wait().ok();
        }
    }
}
