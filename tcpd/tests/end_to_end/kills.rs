//! SIGKILL of whatever can be killed, at random moments and under load: it costs the killed process' own connections, nothing stays
//! behind, and nobody else notices.
//!
//! The seed is printed; `TCPD_KILLS` (how many) and `TCPD_SEED` repeat a run as far as the machine's timing does.

mod client;
mod inventory;
mod kernel;
mod peers;
mod victims;

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::process::{getpid, set_child_subreaper};
use tcpd_core::random::Generator;

use self::inventory::Inventory;
use self::kernel::Kernel;
use self::peers::{PORTS, Peers};
use self::victims::{COMMAND, Clients, Killed, Operators, Spawners, Workers};
use crate::common::client_process::role;
use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{connect, echoes, ours, patient};
use crate::hostile::neighbour::Neighbour;

/// Kills in `cargo test`; `cargo xtask soak` makes it more.
const KILLS: usize = 500;
/// The longest pause between two kills.
const PAUSE_US: u64 = 8_000;
/// Old duplicates cannot come here, and what is in TIME-WAIT is to be gone when the books are compared.
const MSL: &str = "tcp.msl=200ms";
/// Who is killed between hand-off and adoption leaves a token and a connection behind for so long.
const HANDOFFS: &str = "control.handoff_timeout=5s";

/// A number from the environment.
pub(crate) fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

#[test]
fn five_hundred_kills_under_load_leave_nothing_and_disturb_nobody() {
    in_namespace(|| {
        if let Some(role) = role() {
            client::under_load(&role);
        }
        let seed = from_environment("TCPD_SEED").unwrap_or(u64::from(std::process::id()));
        let kills = from_environment("TCPD_KILLS").map_or(KILLS, |kills| kills as usize);
        println!("TCPD_SEED={seed} TCPD_KILLS={kills}");
        // Workers whose spawner is killed become ours, and not init's: we see them all, and reap them.
        set_child_subreaper(Some(getpid())).expect("become a subreaper");
        let daemon = Daemon::start_with(&services(), &[MSL, HANDOFFS]);
        let neighbour = Neighbour::start(&daemon);
        let bystander = TcpStream::connect(ours(7)).expect("connect");
        patient(&bystander);
        echoes(&bystander);
        // The daemon keeps the first arena for connections that live in sockets.
        let socket = connect(&daemon.session()).0.into_socket();
        drop(socket.expect("a socket"));
        let before = Inventory::settled(&daemon);

        let mut random = Generator::from_seed(seed);
        let kernel = Kernel::start();
        let peers = Peers::start(seed);
        let spared = bystander.local_addr().expect("its address").port();
        let mut scene = Scene {
            workers: Workers::new(&daemon, spared),
            spawners: Spawners::new(&daemon),
            clients: Clients::start(&daemon, kernel.address(), &mut random),
            operators: Operators::new(&daemon),
        };
        let mut killed = [0; 5];
        for number in 1..=kills {
            // The moment is the test.
            thread::sleep(Duration::from_micros(random.below(PAUSE_US)));
            killed[scene.kill(&mut random, &peers) as usize] += 1;
            if number % 100 == 0 {
                neighbour.moves_on();
            }
        }
        let [workers, commands, spawners, clients, operators] = killed;
        println!(
            "killed: {workers} workers, {commands} commands, {spawners} spawners, {clients} clients, {operators} tcpctl"
        );
        scene.clients.end();
        let served = peers.finish();
        kernel.finish();
        println!("{served} connections were served to their end meanwhile");
        echoes(&bystander);
        neighbour.moves_on();
        before.comes_back(&daemon);
        neighbour.finish();
        clean_books(&daemon);
    });
}

/// All of them give back what they get: tcpd itself and a command, each forked when it is needed and kept ready before.
fn services() -> String {
    let service = |(name, port, handler, idle)| {
        format!("[[service]]\nname = \"{name}\"\nport = {port}\n{handler}\nidle_workers = {idle}\n")
    };
    let command = format!("exec = [\"{COMMAND}\"]");
    let echo = "handler = \"echo\"".to_owned();
    let names = [
        ("echo", echo.clone(), 0),
        ("ready-echo", echo, 3),
        ("cat", command.clone(), 0),
        ("ready-cat", command, 3),
    ];
    let all = PORTS.into_iter().zip(names);
    all.map(|(port, (name, handler, idle))| service((name, port, handler, idle)))
        .collect()
}

/// Nobody lied, nobody was ended by the daemon, and it complained of nothing.
fn clean_books(daemon: &Daemon) {
    let mut control = daemon.control();
    let rows: Vec<_> = control.stats().map(|row| row.expect("a counter")).collect();
    for row in &rows {
        let ended_itself = ["by-client", "connector-gone", "socket-error", "token"]
            .iter()
            .any(|by| row.name == format!("sessions-ended-{by}"));
        let an_end = row.name.starts_with("sessions-ended-") && !ended_itself;
        if an_end || row.name.contains("violations") || row.name == "clients-turned-away" {
            assert_eq!(row.value, 0, "{}", row.name);
        }
    }
    let log = daemon.log();
    let complaints = log
        .lines()
        .filter(|line| line.contains("ERROR") || line.contains("panicked"));
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// Who can be killed.
struct Scene<'a> {
    workers: Workers<'a>,
    spawners: Spawners<'a>,
    clients: Clients<'a>,
    operators: Operators<'a>,
}

impl Scene<'_> {
    /// Kills somebody who was alive.
    fn kill(&mut self, random: &mut Generator, peers: &Peers) -> Killed {
        wait_for("somebody to kill", 30, || {
            let choice = random.below(100);
            let killed = match choice {
                0..3 => self.spawners.kill(),
                3..48 => self.workers.kill(random, peers),
                48..72 => self.clients.kill(random),
                _ => self.operators.kill(random),
            };
            self.workers.reap_orphans();
            killed
        })
    }
}
