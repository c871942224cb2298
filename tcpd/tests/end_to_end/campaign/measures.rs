//! What the daemon has in its hands, and how fast its neighbour is.

use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::pair::connect;
use crate::hostile::neighbour::Neighbour;

/// Memory beyond its start that a daemon may keep, in bytes: the allocator's, and tables that were long once.
const KEPT: u64 = 24 << 20;

/// Threads that are started when there is work for them, and stay.
const SWEEPERS: usize = 8;

/// Lets this process and what it starts have so many descriptors, or as many as it may.
pub(super) fn raise_descriptors(wanted: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let most = now.maximum.unwrap_or(u64::MAX);
    for maximum in [most.max(wanted), most] {
        let limit = Rlimit {
            current: Some(maximum),
            maximum: Some(maximum),
        };
        if setrlimit(Resource::Nofile, limit).is_ok() {
            return maximum;
        }
    }
    now.current.unwrap_or(u64::MAX)
}

/// How long it takes.
#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
pub(super) fn time(what: impl FnOnce()) -> Duration {
    let start = Instant::now();
    what();
    start.elapsed()
}

/// Two processors, one for each side; twice the same where there is only one.
pub(super) fn processors() -> [usize; 2] {
    let mine = sched_getaffinity(None).expect("an affinity");
    let mut all = (0..CpuSet::MAX_CPU).filter(|cpu| mine.is_set(*cpu));
    let first = all.next().expect("a processor");
    [first, all.next().unwrap_or(first)]
}

/// From now on this thread, and what it starts, has this processor alone.
pub(super) fn pin(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).expect("a processor of ours");
}

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footprint {
    /// Resident memory, bytes.
    pub(super) memory: u64,
    pub(super) descriptors: usize,
    pub(super) threads: usize,
    /// Of the daemon and, below them, of the spawner.
    pub(super) children: usize,
}

impl Footprint {
    /// Once nothing changes any more: what started it has ended, and so have its first clients. One of them had a socket, for the arena of
    /// which the daemon keeps a descriptor from then on.
    pub(super) fn at_rest(daemon: &Daemon) -> Footprint {
        let socket = connect(&daemon.session()).0.into_socket();
        drop(socket.expect("a socket"));
        let (mut last, mut same) = (Footprint::of(daemon), 0);
        wait_for("daemon at rest", 30, || {
            let now = Footprint::of(daemon);
            same = if now == last { same + 1 } else { 0 };
            last = now;
            (same > 100).then_some(last)
        })
    }

    pub(super) fn of(daemon: &Daemon) -> Footprint {
        let place = format!("/proc/{}", daemon.pid());
        let status = fs::read_to_string(format!("{place}/status")).expect("the daemon lives");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes =
            resident.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        let count = |what: &str| {
            fs::read_dir(format!("{place}/{what}"))
                .expect("the daemon lives")
                .count()
        };
        Footprint {
            memory: kibibytes.expect("VmRSS") << 10,
            descriptors: count("fd"),
            threads: count("task"),
            children: descendants(daemon.pid()),
        }
    }
}

fn descendants(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let children = tasks.flatten().flat_map(|task| {
        let list = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        list.split_whitespace()
            .map(|pid| pid.parse().expect("a process id"))
            .collect::<Vec<u32>>()
    });
    children.map(|child| 1 + descendants(child)).sum()
}

/// The daemon holds again what it held, but for a little memory.
pub(super) fn is_back(daemon: &Daemon, start: &Footprint) {
    let mut last = *start;
    let patience = AssertUnwindSafe(|| {
        wait_for("daemon that holds what it held before", 30, || {
            last = Footprint::of(daemon);
            let same = last.descriptors <= start.descriptors
                && last.threads <= start.threads + SWEEPERS
                && last.children == start.children;
            (same && last.memory <= start.memory + KEPT).then_some(())
        });
    });
    let waited = catch_unwind(patience);
    println!("at the start {start:?}\nafterwards   {last:?}");
    if let Err(panic) = waited {
        resume_unwind(panic);
    }
}

/// The neighbour's rates, in bytes a second.
#[derive(Debug, Default)]
pub(super) struct Throughput {
    pub(super) peace: Vec<f64>,
    pub(super) war: Vec<f64>,
}

impl Throughput {
    fn share(&self) -> f64 {
        median(&self.war) / median(&self.peace)
    }

    /// The neighbour has at least this share in war of what it has in peace.
    pub(super) fn is_least(&self, share: f64) -> bool {
        self.share() >= share
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |rates| median(rates) / f64::from(1 << 20);
        write!(
            f,
            "neighbour: {:.0} MiB/s in peace, {:.0} MiB/s under attack, ratio {:.2}",
            mebibytes(&self.peace),
            mebibytes(&self.war),
            self.share()
        )
    }
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Bytes a second, over this time.
pub(super) fn rate(neighbour: &Neighbour, time: Duration) -> f64 {
    rate_while(neighbour, time, || {})
}

/// The same, doing something every few milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "throughput is measured in real time"
)]
pub(super) fn rate_while(neighbour: &Neighbour, time: Duration, mut tend: impl FnMut()) -> f64 {
    let (before, start) = (neighbour.moved(), Instant::now());
    wait_for("end of the measurement", 60, || {
        tend();
        (start.elapsed() >= time).then_some(())
    });
    (neighbour.moved() - before) as f64 / start.elapsed().as_secs_f64()
}
