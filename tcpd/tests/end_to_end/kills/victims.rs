//! Who is killed, and how it is made sure that it is them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use libtcpclient::protocol::SOCKET_VARIABLE;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid,
};
use tcpd::sandbox::process::die_with_parent;
use tcpd::system::clock;
use tcpd_core::random::Generator;
use tcpd_core::time::Instant;

use super::client::role_of;
use super::inventory::{children, read};
use super::peers::Peers;
use crate::common::client_process::client_command;
use crate::common::daemon::Daemon;
use crate::common::tcpctl::tcpctl;

/// Clients at a time.
const CLIENTS: usize = 5;
/// The longest life of a tcpctl that is to be killed.
const LIFE_US: u64 = 8_000;
/// What they are asked.
const QUESTIONS: [&[&str]; 6] = [
    &["list", "--all"],
    &["list", "--json"],
    &["stats", "--all"],
    &["services"],
    &["reload"],
    &["ping"],
];
/// A spawner that dies young is started again after a pause, which doubles each time: no more than so many in a row,
const SPAWNERS: u64 = 6;
/// and then one in so long a time, after which there is no such pause.
const SPAWNERS_APART: Duration = Duration::from_secs(25);

/// The command that services execute.
pub(super) const COMMAND: &str = "/bin/cat";

/// What was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Killed {
    Worker,
    Command,
    Spawner,
    Client,
    Operator,
}

/// A process that cannot become another one while we look at it.
struct Process {
    pid: u32,
    pidfd: OwnedFd,
}

impl Process {
    fn open(pid: u32) -> Option<Process> {
        let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty()).ok()?;
        Some(Process { pid, pidfd })
    }

    /// Its title as `ps` shows it; empty when it has ended.
    fn title(&self) -> String {
        let title = read(&format!("/proc/{}/cmdline", self.pid));
        title.trim_end_matches('\0').to_owned()
    }

    /// Of a command: the port of its peer, as its environment says; `None` when it has ended.
    fn port_of_peer(&self) -> Option<u16> {
        let environment = read(&format!("/proc/{}/environ", self.pid));
        let mut variables = environment.split('\0');
        let port = variables.find_map(|variable| variable.strip_prefix("TCPREMOTEPORT="));
        port?.parse().ok()
    }

    fn kill(&self) {
        // It may have ended just now.
        pidfd_send_signal(&self.pidfd, Signal::KILL).ok();
    }
}

/// Workers of services, wherever their spawner is.
pub(super) struct Workers<'a> {
    daemon: &'a Daemon,
    /// The port of the one peer whose worker is to live.
    spared: u16,
}

impl<'a> Workers<'a> {
    pub(super) fn new(daemon: &'a Daemon, spared: u16) -> Self {
        Workers { daemon, spared }
    }

    pub(super) fn kill(&self, random: &mut Generator, peers: &Peers) -> Option<Killed> {
        let spawners = children(self.daemon.pid());
        let mut workers: Vec<u32> = spawners.into_iter().flat_map(children).collect();
        workers.extend(orphans());
        let victim = *workers.get(random.below(workers.len().max(1) as u64) as usize)?;
        let victim = Process::open(victim)?;
        let title = victim.title();
        let (killed, port) = match title.as_str() {
            // It has ended.
            "" => return None,
            COMMAND => (Killed::Command, Some(victim.port_of_peer()?)),
            // Forked, and not yet told from its parent.
            "tcpd: spawner" => (Killed::Worker, None),
            title => {
                let peer = title.strip_prefix("tcpd: worker ")?.rsplit(' ').next();
                let peer = peer.and_then(|peer| peer.parse::<SocketAddr>().ok());
                (Killed::Worker, peer.map(|peer| peer.port()))
            }
        };
        match port {
            Some(port) if port == self.spared => return None,
            Some(port) => peers.doom(port),
            None => peers.doom_somebody(),
        }
        victim.kill();
        Some(killed)
    }

    /// Takes the ends of workers that have become ours.
    pub(super) fn reap_orphans(&self) {
        for orphan in orphans() {
            let orphan = Pid::from_raw(orphan as i32).expect("a process id");
            waitpid(Some(orphan), WaitOptions::NOHANG).expect("our child");
        }
    }
}

/// Workers whose spawner has died.
fn orphans() -> Vec<u32> {
    let ours = children(std::process::id());
    let is_worker = |child: &u32| {
        let name = read(&format!("/proc/{child}/comm"));
        name.starts_with("tcpd: ") || name == "cat"
    };
    ours.into_iter().filter(is_worker).collect()
}

/// Spawners, one after the other.
pub(super) struct Spawners<'a> {
    daemon: &'a Daemon,
    killed: u64,
    /// The last one killed, and when.
    last: (u32, Instant),
}

impl<'a> Spawners<'a> {
    pub(super) fn new(daemon: &'a Daemon) -> Self {
        Spawners {
            daemon,
            killed: 0,
            last: (0, clock::now()),
        }
    }

    pub(super) fn kill(&mut self) -> Option<Killed> {
        // The daemon has no other child. It may be one that has not yet said hello.
        let spawner = *children(self.daemon.pid()).first()?;
        let (last, at) = self.last;
        let now = clock::now();
        if last == spawner || (self.killed >= SPAWNERS && now < at + SPAWNERS_APART) {
            return None;
        }
        Process::open(spawner)?.kill();
        self.last = (spawner, now);
        self.killed += 1;
        Some(Killed::Spawner)
    }
}

/// Client processes under load.
pub(super) struct Clients<'a> {
    daemon: &'a Daemon,
    kernel: SocketAddr,
    children: Vec<Child>,
}

impl<'a> Clients<'a> {
    pub(super) fn start(daemon: &'a Daemon, kernel: SocketAddr, random: &mut Generator) -> Self {
        let mut clients = Clients {
            daemon,
            kernel,
            children: Vec::new(),
        };
        for _ in 0..CLIENTS {
            clients.add(random);
        }
        clients
    }

    fn add(&mut self, random: &mut Generator) {
        let role = role_of(self.kernel, random.below(1 << 40));
        let mut command = client_command(self.daemon, &role);
        let child = command.stdout(Stdio::null()).spawn();
        self.children.push(child.expect("start a client"));
    }

    pub(super) fn kill(&mut self, random: &mut Generator) -> Option<Killed> {
        let victim = random.below(self.children.len() as u64) as usize;
        end_client(self.children.swap_remove(victim));
        self.add(random);
        Some(Killed::Client)
    }

    /// Ends those that are left.
    pub(super) fn end(self) {
        self.children.into_iter().for_each(end_client);
    }
}

/// A client ends by our signal: nothing went wrong in it before.
fn end_client(mut child: Child) {
    child.kill().expect("kill a client");
    let status = child.wait().expect("reap a client");
    assert_eq!(
        status.signal(),
        Some(Signal::KILL.as_raw()),
        "a client ended by itself: {status}"
    );
}

/// tcpctls, each asked something.
pub(super) struct Operators<'a> {
    daemon: &'a Daemon,
    program: &'static Path,
}

impl<'a> Operators<'a> {
    pub(super) fn new(daemon: &'a Daemon) -> Self {
        Operators {
            daemon,
            program: tcpctl(),
        }
    }

    /// Starts one and kills it; `None` when it was faster, and then it must have had its answer.
    pub(super) fn kill(&self, random: &mut Generator) -> Option<Killed> {
        let question = QUESTIONS[random.below(QUESTIONS.len() as u64) as usize];
        let mut command = Command::new(self.program);
        command.args(question).stdout(Stdio::null());
        command.env(SOCKET_VARIABLE, self.daemon.socket());
        let child = die_with_parent(&mut command, Signal::KILL).spawn();
        let mut child = child.expect("start tcpctl");
        // The moment is the test.
        thread::sleep(Duration::from_micros(random.below(LIFE_US)));
        child.kill().expect("kill tcpctl");
        let status = child.wait().expect("reap tcpctl");
        let killed = status.signal() == Some(Signal::KILL.as_raw());
        assert!(killed || status.success(), "tcpctl: {status}");
        killed.then_some(Killed::Operator)
    }
}
