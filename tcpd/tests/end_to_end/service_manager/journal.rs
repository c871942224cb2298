//! The journal, with one of the test's own in its place.

use std::fs::{self, File};
use std::os::linux::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use super::{Manager, answers, executes, terminate};
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::program::Ended;

/// A journal in the daemon's own view of the file system: the test's directory is its /run.
struct Journal(UnixDatagram);

impl Journal {
    fn in_the_run_of(manager: &Manager) -> Journal {
        let place = manager.directory.join("systemd/journal");
        fs::create_dir_all(&place).expect("a directory");
        let socket = UnixDatagram::bind(place.join("socket")).expect("a socket");
        let patience = Some(Duration::from_secs(20));
        socket.set_read_timeout(patience).expect("a socket");
        Journal(socket)
    }

    /// Starts the daemon with that /run, and with its standard error going to `log`.
    fn start(manager: &Manager, set: &[&str], log: &File) -> Ended {
        let script = "mount --make-rprivate / && mount --bind \"$0\" /run && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script])
            .arg(&manager.directory);
        executes(&mut command, &manager.command(set)).stderr(log.try_clone().expect("a file"));
        let metadata = log.metadata().expect("a file");
        let stream = format!("{}:{}", metadata.st_dev(), metadata.st_ino());
        command.env("JOURNAL_STREAM", stream);
        Ended(command.spawn().expect("start tcpd"))
    }

    /// The next entry whose MESSAGE begins so: its fields.
    fn entry(&self, message: &str) -> Vec<(String, String)> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = self
                .0
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("no {message:?}: {error}"));
            let fields = fields(&buffer[..length]);
            let is_it =
                |(name, value): &(String, String)| name == "MESSAGE" && value.starts_with(message);
            if fields.iter().any(is_it) {
                return fields;
            }
        }
    }
}

/// The native protocol: name, line end, length, value, line end.
fn fields(mut entry: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let mut fields = Vec::new();
    while !entry.is_empty() {
        let end = entry
            .iter()
            .position(|byte| *byte == b'\n')
            .expect("a name");
        let (name, rest) = (text(&entry[..end]), &entry[end + 1..]);
        let (length, rest) = rest.split_at(8);
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes")) as usize;
        assert_eq!(rest[length], b'\n', "{name}");
        fields.push((name, text(&rest[..length])));
        entry = &rest[length + 1..];
    }
    fields
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|field| field.0 == name);
    found.map(|(_, value)| &value[..])
}

#[test]
fn under_systemd_the_log_goes_to_the_journal_and_its_lines_are_whole() {
    in_namespace(|| {
        let manager = Manager::new();
        let journal = Journal::in_the_run_of(&manager);
        let log = File::create(manager.directory.join("log")).expect("a file");
        let mut daemon = Journal::start(&manager, &["log.to=auto"], &log);
        let starts = journal.entry("tcpd starts ");
        let message = field(&starts, "MESSAGE").expect("a message");
        assert!(message.contains(" interface=\"tcpd0\" "), "{message}");
        assert_eq!(field(&starts, "F_INTERFACE"), Some("tcpd0"));
        assert_eq!(field(&starts, "F_MTU"), Some("1500"));
        assert_eq!(field(&starts, "PRIORITY"), Some("6"));
        assert_eq!(field(&starts, "SYSLOG_IDENTIFIER"), Some("tcpd"));
        assert_eq!(field(&starts, "TARGET"), Some("tcpd::daemon"));
        manager.hear("READY=1");
        terminate(&mut daemon);
        journal.entry("tcpd has stopped reset=0");
        let log = fs::read_to_string(manager.directory.join("log")).expect("a file");
        assert_eq!(log, "", "nothing is said twice");
    });
}

#[test]
fn a_journal_that_takes_nothing_holds_nobody_up() {
    in_namespace(|| {
        let manager = Manager::new();
        // Nobody ever reads here.
        let _journal = Journal::in_the_run_of(&manager);
        let log = File::create(manager.directory.join("log")).expect("a file");
        let mut daemon = Journal::start(&manager, &["log.to=auto"], &log);
        manager.hear("READY=1");
        let mut control = answers(&manager.socket());
        let lost = wait_for("lost lines", 20, || {
            control.reload().expect("nothing has changed");
            while manager.next(Duration::from_millis(1)).is_some() {}
            let status = control.daemon_status().expect("an answer");
            (status.lost_log_lines > 0).then_some(status.lost_log_lines)
        });
        assert!(lost > 0);
        terminate(&mut daemon);
    });
}

#[test]
fn without_a_journal_standard_error_has_the_lines_unless_the_journal_was_asked_for() {
    in_namespace(|| {
        let manager = Manager::new();
        let place = manager.directory.join("log");
        let log = File::create(&place).expect("a file");
        let mut daemon = Journal::start(&manager, &["log.to=auto"], &log);
        manager.hear("READY=1");
        terminate(&mut daemon);
        let said = fs::read_to_string(&place).expect("a file");
        assert!(said.contains("tcpd has stopped reset=0"), "{said}");

        let log = File::create(&place).expect("a file");
        let mut daemon = Journal::start(&manager, &["log.to=journal"], &log);
        assert_eq!(daemon.0.wait().expect("our child").code(), Some(71));
        assert_eq!(
            fs::read_to_string(&place).expect("a file"),
            "tcpd: log.to: cannot reach the journal: No such file or directory (os error 2)\n"
        );
        assert!(!manager.socket().exists());
    });
}
