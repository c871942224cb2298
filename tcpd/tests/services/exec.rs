//! Commands as services: programs that know nothing of tcpd, with a connection as their standard input and output.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use rustix::process::Signal;

use super::common::daemon::{Daemon, HOST_V4, HOST_V6, STACK_V4, STACK_V6};
use super::common::deadline::wait_for;
use super::common::namespace::in_namespace;
use super::common::pattern::{Pattern, expect_pattern, write_pattern};
use super::{PATIENCE, connect, connect_to, row, wait_for_row};

/// A service `name` on port 7 that runs `script` with sh.
fn shell(script: &str, more: &str) -> String {
    command(&format!("\"/bin/sh\", \"-c\", {script:?}"), more)
}

fn command(words: &str, more: &str) -> String {
    format!("[[service]]\nname = \"x\"\nport = 7\nexec = [{words}]\n{more}\n")
}

/// All that the other side says before it ends its direction.
fn all(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("text and its end");
    said
}

#[test]
fn an_unmodified_program_serves_a_stream_byte_for_byte_in_both_directions() {
    in_namespace(|| {
        let daemon = Daemon::start(&command("\"/bin/cat\"", ""));
        const BYTES: usize = 4 << 20;
        for (seed, address) in [(1, STACK_V4), (2, STACK_V6)] {
            let mut stream = connect_to(address, 7);
            let mut writer = stream.try_clone().expect("clone");
            let sender = std::thread::spawn(move || {
                write_pattern(&mut writer, &mut Pattern::new(seed), BYTES, 64 << 10);
                writer.shutdown(Shutdown::Write).expect("half-close");
            });
            expect_pattern(&mut stream, &mut Pattern::new(seed), BYTES, 64 << 10);
            assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
            sender.join().expect("sender");
        }
        let done = wait_for_row(&daemon, "x", "the ends", |row| row.workers == 0);
        assert_eq!((done.started, done.exits.by_status.get(&0)), (2, Some(&2)));
        assert_eq!((done.handler.as_str(), done.not_executed), ("/bin/cat", 0));
        assert!(done.usage.max_rss_bytes > 0);
    });
}

#[test]
fn a_command_learns_who_is_there_and_begins_where_it_is_told() {
    in_namespace(|| {
        let script = "pwd; env; ls /proc/self/fd; read line; echo heard $line";
        let more = "directory = \"/usr\"\nenvironment = [\"GREETING=good day\", \"PROTO=UDP\"]";
        let _daemon = Daemon::start(&shell(script, more));
        for (address, host) in [(STACK_V4, HOST_V4), (STACK_V6, HOST_V6)] {
            let mut stream = connect_to(address, 7);
            stream.write_all(b"it\n").expect("send");
            let port = stream.local_addr().expect("bound").port();
            let said = all(&mut stream);
            let mut lines: Vec<&str> = said.lines().collect();
            assert_eq!((lines.remove(0), lines.pop()), ("/usr", Some("heard it")));
            for wanted in [
                "PROTO=TCP",
                "GREETING=good day",
                "TCPLOCALPORT=7",
                &format!("TCPLOCALIP={address}"),
                &format!("TCPREMOTEIP={host}"),
                &format!("REMOTE_HOST={host}"),
                &format!("TCPREMOTEPORT={port}"),
            ] {
                assert!(lines.contains(&wanted), "{wanted} in {lines:?}");
            }
            let leaked = |line: &&&str| line.starts_with("TCPD_") || line.starts_with("CARGO");
            assert_eq!(lines.iter().find(leaked), None);
            // The three, and the directory that ls reads.
            let open = lines.iter().filter(|line| line.parse::<u32>().is_ok());
            assert_eq!(open.count(), 4, "{lines:?}");
        }
    });
}

#[test]
fn what_a_command_says_on_standard_error_is_logged_line_by_line() {
    in_namespace(|| {
        let script = "echo out; echo pid $$; echo first >&2; printf 'sec\\033ond\\nlast' >&2";
        let daemon = Daemon::start(&shell(script, ""));
        let said = all(&mut connect(7));
        let pid = said
            .lines()
            .nth(1)
            .and_then(|line| line.strip_prefix("pid "));
        let pid = format!("pid={}", pid.expect("its process"));
        for wanted in ["first", "sec\\u{1b}ond", "last"] {
            let line = wait_for("line in the log", PATIENCE.as_secs(), || {
                let log = daemon.log();
                let found = log.lines().find(|line| line.contains(wanted));
                found.map(str::to_owned)
            });
            assert!(
                line.contains("service=\"x\"") && line.contains(&pid),
                "{line}"
            );
        }
    });
}

#[test]
fn a_python_program_talks_with_its_peer() {
    in_namespace(|| {
        let program = "import sys\nfor line in sys.stdin:\n  print(line.strip()[::-1], flush=True)";
        let words = format!("\"/usr/bin/env\", \"python3\", \"-c\", {program:?}");
        let _daemon = Daemon::start(&command(&words, ""));
        let mut stream = connect(7);
        for (asked, answer) in [("olleh\n", "hello\n"), ("dlrow\n", "world\n")] {
            stream.write_all(asked.as_bytes()).expect("send");
            let mut back = [0; 6];
            stream
                .read_exact(&mut back)
                .expect("an answer before the end");
            assert_eq!(String::from_utf8_lossy(&back), answer);
        }
        stream.shutdown(Shutdown::Write).expect("half-close");
        assert_eq!(all(&mut stream), "");
    });
}

#[test]
fn a_program_whose_peer_has_gone_ends_by_a_broken_pipe() {
    in_namespace(|| {
        let daemon = Daemon::start(&command("\"/usr/bin/yes\"", ""));
        let mut stream = connect(7);
        stream.read_exact(&mut [0; 1000]).expect("yes");
        drop(stream);
        let done = wait_for_row(&daemon, "x", "the end", |row| row.workers == 0);
        let ends: Vec<_> = done.exits.by_signal.into_iter().collect();
        // yes(1) of some systems looks at the error instead.
        assert!(
            ends == [(13, 1)] || done.exits.by_status.get(&1) == Some(&1),
            "{ends:?}"
        );
    });
}

#[test]
fn a_program_that_cannot_be_executed_closes_its_connection_and_is_counted() {
    in_namespace(|| {
        let script = std::env::temp_dir().join(format!("tcpd-test-script-{}", std::process::id()));
        std::fs::write(&script, "#!/no/such/interpreter\n").expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).expect("executable");
        let daemon = Daemon::start(&command(&format!("{script:?}"), ""));
        let mut stream = connect(7);
        let ended = stream.read(&mut [0]);
        std::fs::remove_file(&script).expect("ours");
        match ended {
            Ok(length) => assert_eq!(length, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        let done = wait_for_row(&daemon, "x", "the end", |row| row.workers == 0);
        assert_eq!((done.not_executed, done.started), (1, 1));
        wait_for("word in the log", PATIENCE.as_secs(), || {
            let log = daemon.log();
            let told = log.contains("a command could not be executed")
                && log.contains("No such file or directory");
            told.then_some(())
        });
    });
}

#[test]
fn a_killed_command_costs_its_connection_only() {
    in_namespace(|| {
        let daemon = Daemon::start(&shell("echo $$; exec cat", ""));
        let hear_pid = |stream: &mut TcpStream| {
            let mut said = String::new();
            while !said.ends_with('\n') {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("its process");
                said.push(byte[0].into());
            }
            said.trim().parse().expect("a number")
        };
        let (mut victim, mut other) = (connect(7), connect(7));
        let pid: i32 = hear_pid(&mut victim);
        hear_pid(&mut other);
        super::signal(pid, Signal::KILL);
        match victim.read(&mut [0]) {
            Ok(length) => assert_eq!(length, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        other.write_all(b"still there?").expect("send");
        other.read_exact(&mut [0; 12]).expect("yes");
        let done = wait_for_row(&daemon, "x", "the end", |row| row.workers == 1);
        assert_eq!(done.exits.by_signal.get(&9), Some(&1));
    });
}

#[test]
fn idle_workers_wait_for_connections_and_are_made_again() {
    in_namespace(|| {
        let echo = super::service("echo", 9, "idle_workers = 2");
        let daemon = Daemon::start(&(command("\"/bin/cat\"", "idle_workers = 3") + &echo));
        for (name, port, idle) in [("x", 7, 3), ("echo", 9, 2)] {
            wait_for_row(&daemon, name, "idle workers", |row| row.idle == idle);
            assert_eq!(row(&daemon, name).started, 0);
            let mut streams: Vec<_> = (0..5).map(|_| connect(port)).collect();
            for stream in &mut streams {
                stream.write_all(b"hello").expect("send");
                let mut back = [0; 5];
                stream.read_exact(&mut back).expect("back");
                assert_eq!(&back, b"hello");
            }
            let busy = wait_for_row(&daemon, name, "others in their place", |row| {
                row.idle == idle && row.workers == 5
            });
            assert_eq!(busy.started, 5);
            drop(streams);
            let done = wait_for_row(&daemon, name, "the ends", |row| row.workers == 0);
            assert_eq!((done.idle, done.exits.by_status.get(&0)), (idle, Some(&5)));
        }
    });
}

#[test]
fn a_stop_ends_commands_and_what_they_have_started() {
    in_namespace(|| {
        let script = "sleep 1000 & echo $!; wait";
        let mut daemon = Daemon::start_with(
            &shell(script, "idle_workers = 1"),
            &["shutdown_grace=100ms"],
        );
        let mut stream = connect(7);
        let mut said = [0; 16];
        let length = stream.read(&mut said).expect("a process");
        let child = String::from_utf8_lossy(&said[..length]).trim().to_owned();
        assert!(alive(&child));
        daemon.signal(Signal::TERM);
        assert!(daemon.ended(PATIENCE.as_secs()).success());
        wait_for("end of what was started", PATIENCE.as_secs(), || {
            (!alive(&child) && super::processes("tcpd: ").is_empty()).then_some(())
        });
    });
}

/// Whether this process is there and no zombie.
pub(super) fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.starts_with(" Z"))
    })
}
