//! Goodput beside the kernel's over the same bad path: kernel to kernel and kernel to tcpd, packets of both through one relay that
//! gives every connection a network of its own ([`relay`](crate::common::relay)): so many connections can be watched at once without one
//! having to do with another.
//!
//! ```text
//!   this namespace                                     the far namespace
//!   kernel, cubic ── near0 ── relay: delay, rate, ── far0 ── kernel, cubic
//!                             queue, seeded loss         └── forwarded ── tcpd0 ── tcpd
//! ```
//!
//! The same chance for both:
//! * The wire: 100 Mbit/s each way, drop-tail queue of one bandwidth × delay (64 KiB at least), half of the round-trip time each way,
//!   the given loss in each direction, drawn from the pair's seed: so the n-th packet is lost in every run of a pair.
//! * Packets of at most 1,500 bytes: interfaces without offload, so kernels cut and checksum before the relay sees them.
//! * Buffers: each stack's own defaults; the kernel's limits are set to what Linux has on a machine with enough memory (6 MiB to
//!   receive, 4 MiB to send), whatever this one says. ECN as by default (passive on both sides: off).
//! * Cubic without pacing on the kernel's side (its interfaces have no fq). Nothing remembered of earlier connections.
//! * A pair is the kernel, tcpd, and the kernel again, one after the other or side by side, each for the same time, which the cell decides: 10 s, or longer
//!   so that about 150 losses are seen, 120 s at most. Its goodput is what the receiving program read in that time.
//!
//! A run in which the relay was late (for one packet in a thousand by a twentieth of the round trip, and by more than 1 ms, counted in
//! powers of two) is told in the output and made again, twice at most.
//!
//! Flags: `--pairs N` (5), `--loss P` and `--rtt MS` (only these; may be repeated), `--direction to|from`, `--seconds N` (for every
//! cell), `--seed N`, `--set key=value` (of tcpd's configuration; may be repeated), `--at-once MBITS` (200: what all connections watched at once may reach
//! together), `--verbose` (every run).

mod cell;
mod flow;
mod lab;
mod table;

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use self::cell::Cell;
use self::flow::{Direction, Peer, Plan};
use self::lab::Lab;
use self::table::{Pair, Summary};
use crate::{number, values};

/// How often a run is made at most.
const TRIES: u32 = 3;
/// The near end's port of the first connection.
const FIRST_PORT: u16 = 10_000;

/// Occasions on which a pair's connection is made.
const OCCASIONS: [Peer; 3] = [Peer::Kernel, Peer::Tcpd, Peer::Kernel];

/// One connection to watch.
#[derive(Clone, Copy, Debug)]
struct Job {
    cell: Cell,
    direction: Direction,
    pair: usize,
    /// Into [`OCCASIONS`].
    occasion: usize,
}

/// What the command line asks for.
struct Wanted {
    pairs: usize,
    seed: u64,
    time: Option<Duration>,
    at_once: f64,
    verbose: bool,
}

/// The whole bench, in a namespace of its own.
pub(crate) fn inside(arguments: &[String]) {
    let wanted = Wanted {
        pairs: number(arguments, "--pairs").unwrap_or(5),
        seed: number(arguments, "--seed").unwrap_or(1),
        time: number(arguments, "--seconds").map(Duration::from_secs_f64),
        at_once: number(arguments, "--at-once").unwrap_or(200.0),
        verbose: arguments.iter().any(|argument| argument == "--verbose"),
    };
    let (cells, directions) = (cells(arguments), directions(arguments));
    go_first();
    let lab = Lab::new(&values(arguments, "--set").collect::<Vec<_>>());
    let jobs = jobs(&cells, &directions, wanted.pairs);
    let results = watch(&lab, &wanted, &jobs);
    for direction in directions {
        let title = format!(
            "{}: median tcpd : kernel (kernel again : kernel), Mbit/s of the kernel; {} pairs",
            direction.name(),
            wanted.pairs
        );
        table::print(&title, |loss, round_trip| {
            let cell = Cell { loss, round_trip };
            Summary::of(&pairs(&results, cell, direction, wanted.pairs))
        });
    }
    let late = lab.relay.lateness();
    println!(
        "\nrelay: {} packets; given less than {:?} late but for 1 %, {:?} but for 0.1 %; {:?} at most",
        late.packets(),
        late.all_but(0.01),
        late.all_but(0.001),
        late.most
    );
    for (interface, dropped) in lab.dropped_elsewhere() {
        println!("dropped by {interface}: {dropped}");
    }
}

/// Before others' work on the machine, where we may; what we start inherits it.
fn go_first() {
    rustix::process::nice(-15).ok();
}

fn cells(arguments: &[String]) -> Vec<Cell> {
    let only = |flag| {
        let only: Vec<f64> = values(arguments, flag)
            .map(|text| text.parse().expect("a number"))
            .collect();
        move |value: f64| only.is_empty() || only.contains(&value)
    };
    let (loss, round_trip) = (only("--loss"), only("--rtt"));
    let asked = |cell: &Cell| loss(cell.loss) && round_trip(cell.round_trip as f64);
    Cell::all().filter(asked).collect()
}

fn directions(arguments: &[String]) -> Vec<Direction> {
    match values(arguments, "--direction").next() {
        None => Direction::BOTH.to_vec(),
        Some("to") => vec![Direction::ToPeer],
        Some("from") => vec![Direction::FromPeer],
        Some(other) => panic!("--direction {other}: to or from"),
    }
}

/// The members of a pair beside one another.
fn jobs(cells: &[Cell], directions: &[Direction], pairs: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    for &cell in cells {
        for &direction in directions {
            for pair in 0..pairs {
                jobs.extend((0..OCCASIONS.len()).map(|occasion| Job {
                    cell,
                    direction,
                    pair,
                    occasion,
                }));
            }
        }
    }
    jobs
}

/// Mbit/s of every job.
fn watch(lab: &Lab, wanted: &Wanted, jobs: &[Job]) -> Vec<(Job, f64)> {
    let results = Mutex::new(Vec::new());
    let (busy, freed) = (Mutex::new(0.0), Condvar::new());
    let ports = AtomicU16::new(FIRST_PORT);
    thread::scope(|scope| {
        for &job in jobs {
            let share = job.cell.expected();
            let room = |busy: &mut f64| *busy > 0.0 && *busy + share > wanted.at_once;
            let guard = busy.lock().expect("no panic");
            *freed.wait_while(guard, room).expect("no panic") += share;
            let (results, busy, freed, ports) = (&results, &busy, &freed, &ports);
            scope.spawn(move || {
                let megabits = run(lab, wanted, job, ports);
                results.lock().expect("no panic").push((job, megabits));
                *busy.lock().expect("no panic") -= share;
                freed.notify_all();
            });
        }
    });
    results.into_inner().expect("no panic")
}

/// Mbit/s, from a run in which the relay was in time.
fn run(lab: &Lab, wanted: &Wanted, job: Job, ports: &AtomicU16) -> f64 {
    let plan = Plan {
        time: wanted.time.unwrap_or_else(|| job.cell.time()),
        seed: wanted.seed + job.pair as u64,
    };
    let peer = OCCASIONS[job.occasion];
    let mut tries = 1;
    loop {
        let port = ports.fetch_add(1, Ordering::Relaxed);
        let path = job.cell.path();
        lab.relay.lay(port, [path.clone(), path], plan.seed);
        let flow = flow::run(lab, peer, job.direction, port, plan);
        let carried = lab.relay.carried(port);
        let late = carried.lateness.all_but(0.001);
        let megabits = flow.received.megabits();
        if wanted.verbose || late > job.cell.too_late() {
            println!(
                "{} %, {} ms, {}, pair {}, {peer:?}: {megabits:.2} Mbit/s; late {late:?}, at most {:?}\n      {:?}\n      {}",
                job.cell.loss,
                job.cell.round_trip,
                job.direction.name(),
                job.pair,
                carried.lateness.most,
                carried.counters,
                flow.details
            );
        }
        if late <= job.cell.too_late() || tries == TRIES {
            return megabits;
        }
        tries += 1;
    }
}

fn pairs(results: &[(Job, f64)], cell: Cell, direction: Direction, pairs: usize) -> Vec<Pair> {
    let find = |pair, occasion| {
        results.iter().find_map(|(job, megabits)| {
            let here = (job.cell, job.direction, job.pair, job.occasion);
            (here == (cell, direction, pair, occasion)).then_some(*megabits)
        })
    };
    let pair = |pair| {
        Some(Pair {
            kernel: find(pair, 0)?,
            tcpd: find(pair, 1)?,
            kernel_again: find(pair, 2)?,
        })
    };
    (0..pairs).filter_map(pair).collect()
}
