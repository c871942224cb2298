//! What there is: processes, descriptors, memory, sessions, slots, tokens, connections. Compared exactly, before and after.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;

/// How long the books may take to come right: as long as a token lives, and some.
const SETTLING_SECONDS: u64 = 25;

/// How many there are of each thing, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Inventory(BTreeMap<String, u64>);

impl Inventory {
    /// The first one that is the same twice in a row.
    pub(super) fn settled(daemon: &Daemon) -> Inventory {
        let mut last = Inventory::of(daemon);
        wait_for("inventory that stays", 10, || {
            let now = Inventory::of(daemon);
            let settled = now == last;
            last = now;
            settled.then(|| last.clone())
        })
    }

    /// Waits until all is as it was; what is different meanwhile stands in the test's output.
    pub(super) fn comes_back(&self, daemon: &Daemon) {
        let mut last = self.clone();
        wait_for("inventory as it was", SETTLING_SECONDS, || {
            let now = Inventory::of(daemon);
            if now != last {
                println!("different: {:?}", self.difference(&now));
            }
            last = now;
            (last == *self).then_some(())
        });
    }

    fn difference<'a>(&'a self, now: &'a Inventory) -> Vec<(&'a str, u64, u64)> {
        let names = self.0.keys().chain(now.0.keys());
        let mut all: Vec<_> = names
            .map(|name| {
                let of = |inventory: &Inventory| inventory.0.get(name).copied().unwrap_or(0);
                (name.as_str(), of(self), of(now))
            })
            .filter(|(_, before, after)| before != after)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn of(daemon: &Daemon) -> Inventory {
        let mut inventory = Inventory::default();
        inventory.add_processes(std::process::id(), daemon.pid());
        inventory.add_gauges(daemon);
        inventory.add_files(&daemon.directory().join("private"));
        inventory
    }

    fn add(&mut self, name: String) {
        self.add_many(name, 1);
    }

    fn add_many(&mut self, name: String, count: u64) {
        *self.0.entry(name).or_insert(0) += count;
    }

    /// Every descendant of `parent`; of the daemon and the spawner also what they hold.
    fn add_processes(&mut self, parent: u32, daemon: u32) {
        for child in children(parent) {
            let name = read(&format!("/proc/{child}/comm"));
            self.add(format!("process {name}"));
            if child == daemon || parent == daemon {
                self.add_holdings(child, &name);
            }
            self.add_processes(child, daemon);
        }
    }

    fn add_holdings(&mut self, process: u32, name: &str) {
        for descriptor in entries(&format!("/proc/{process}/fd")) {
            // It may have been closed since.
            let path = fs::read_link(format!("/proc/{process}/fd/{descriptor}"));
            let kind = path.unwrap_or_default().display().to_string();
            let kind: String = kind.chars().filter(|c| !c.is_ascii_digit()).collect();
            self.add(format!("descriptor of {name}: {kind}"));
        }
        for task in entries(&format!("/proc/{process}/task")) {
            let task = read(&format!("/proc/{process}/task/{task}/comm"));
            // They come with the first work that there is, and stay; at most so many (daemon/sweeper.rs).
            if task == "sweeper" {
                continue;
            }
            self.add(format!("thread of {name}: {task}"));
        }
        let maps = read(&format!("/proc/{process}/maps"));
        let arenas = maps.lines().filter(|line| line.contains("/memfd:")).count();
        self.add_many(format!("arenas mapped by {name}"), arenas as u64);
    }

    /// What the daemon says itself.
    fn add_gauges(&mut self, daemon: &Daemon) {
        let mut control = daemon.control();
        for row in control.stats().map(|row| row.expect("a counter")) {
            if ["sessions", "arenas", "slots", "tokens"].contains(&row.name.as_str()) {
                self.add_many(row.name, row.value);
            }
        }
        for row in control.list(&Default::default()) {
            let row = row.expect("a row");
            self.add(format!("connection: {:?}, {}", row.owner.kind, row.state));
        }
        for row in control.listeners(&Default::default()) {
            let row = row.expect("a row");
            self.add(format!("listener: {:?}", row.owner.kind));
            self.add_many("connections not accepted".into(), row.queued.into());
            self.add_many("half-open connections".into(), row.half_open.into());
        }
        for row in control.services().map(|row| row.expect("a row")) {
            self.add_many(format!("workers of {}", row.name), row.workers.into());
            self.add_many(format!("idle workers of {}", row.name), row.idle.into());
        }
        let status = control.daemon_status().expect("the daemon lives");
        self.add_many("spawner".into(), status.spawner_pid.is_some().into());
    }

    fn add_files(&mut self, directory: &Path) {
        for entry in entries(&directory.display().to_string()) {
            self.add(format!("file {entry}"));
        }
    }
}

/// The children of every thread of a process; none when it is gone.
pub(super) fn children(process: u32) -> Vec<u32> {
    let tasks = entries(&format!("/proc/{process}/task"));
    let children = tasks
        .iter()
        .map(|task| read(&format!("/proc/{process}/task/{task}/children")));
    let words = children.collect::<Vec<_>>().join(" ");
    words
        .split_whitespace()
        .map(|child| child.parse().expect("a process id"))
        .collect()
}

/// A file of /proc; empty when its process is gone.
pub(super) fn read(path: &str) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

fn entries(directory: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries.map_while(Result::ok).map(|entry| entry.file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}
