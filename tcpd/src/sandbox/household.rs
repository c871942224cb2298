//! The processes of a sandbox, from the keeper's side: its children, and every orphan below them.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, wait,
};

use super::signals::Signals;
use crate::system::clock;

/// Time to end by itself after SIGTERM, and how long SIGKILL may take.
const POLITELY: Duration = Duration::from_secs(2);
const FIRMLY: Duration = Duration::from_secs(5);
/// How often is looked for orphans that are new children.
const LOOK: Duration = Duration::from_millis(10);

/// Makes orphans of the sandbox children of this process.
pub(super) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Children that have ended, all of them, with their status.
pub(super) fn reap() -> Vec<(Pid, WaitStatus)> {
    let mut ended = Vec::new();
    while let Ok(Some(one)) = wait(WaitOptions::NOHANG) {
        ended.push(one);
    }
    ended
}

/// Ends every child and everything that becomes one: politely, then for good.
pub(super) fn end_all(signals: &Signals) {
    if !end_with(Signal::TERM, POLITELY, signals) {
        end_with(Signal::KILL, FIRMLY, signals);
    }
}

/// Signals each child once (SIGKILL: again and again, for there are orphans); whether no child is left within `limit`.
fn end_with(signal: Signal, limit: Duration, signals: &Signals) -> bool {
    let end = clock::now() + limit;
    let mut told = Vec::new();
    loop {
        reap();
        let children = children();
        if children.is_empty() {
            return true;
        }
        for child in children {
            if signal == Signal::KILL || !told.contains(&child) {
                // One that has just ended is reaped in the next round.
                let _ = kill_process(child, signal);
                told.push(child);
            }
        }
        let left = end.duration_since(clock::now());
        if left.is_zero() {
            return false;
        }
        // An error here would only make the rounds faster.
        let _ = signals.wait(&[], Some(LOOK.min(left)));
    }
}

/// Processes whose parent this one is.
fn children() -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pid = |entry: io::Result<fs::DirEntry>| {
        entry
            .ok()?
            .file_name()
            .to_str()?
            .parse()
            .ok()
            .and_then(Pid::from_raw)
    };
    let own = getpid();
    processes
        .filter_map(pid)
        .filter(|pid| parent_of(*pid) == Some(own))
        .collect()
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // "1 (name) S 0 …": the name may hold anything, so look from the last parenthesis on.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok().and_then(Pid::from_raw)
}
