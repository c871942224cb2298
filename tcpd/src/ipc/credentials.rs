//! Who is at the other end of a session, as the kernel says it. Never a field of a message.

use std::fs;

/// The process that connected, at the moment it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Effective user (SO_PEERCRED), in the daemon's user namespace.
    pub uid: u32,
    /// Effective group (SO_PEERCRED).
    pub gid: u32,
    /// Supplementary groups (SO_PEERGROUPS).
    pub groups: Vec<u32>,
    /// Process; 0 when it is in a PID namespace that the daemon cannot see into.
    pub pid: u32,
}

impl Identity {
    /// Whether the process has `gid` as its group or among its supplementary groups.
    pub fn is_in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// The command name of a process (at most 15 bytes, `/proc/PID/comm`), for people; `None` when it is gone.
pub fn command_name(pid: u32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
}

/// When a process started, in clock ticks since the boot (field 22 of `/proc/PID/stat`, proc_pid_stat(5)): with it a number that
/// another process got tells itself from the one before. `None` when there is none.
pub fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in parentheses, and may have some of its own.
    let fields = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
    let text = std::str::from_utf8(fields).ok()?;
    text.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The number of a group of this machine, from /etc/group: the group is a system group, made by the package.
pub fn group_id(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let fields = groups
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    fields.split(':').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_root_is_zero() {
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("roo"), None);
        assert_eq!(group_id(""), None);
    }

    #[test]
    fn a_process_has_a_command_name() {
        assert!(command_name(std::process::id()).is_some_and(|name| !name.is_empty()));
        assert_eq!(command_name(u32::MAX), None);
    }

    #[test]
    fn a_process_started_before_its_child_did() {
        let own = start_time(std::process::id()).expect("we live");
        let init = start_time(1).expect("it lives");
        assert!(init <= own, "{init} {own}");
        assert_eq!(start_time(u32::MAX), None);
    }
}
