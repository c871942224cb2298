//! What users may have: counted by their real uids, refused by rule, and held without harm near their memory's end.

use std::io::{Read, Write};
use std::net::TcpStream as KernelStream;
use std::thread;

use libtcpclient::client::control::Control;
use libtcpclient::protocol::status::{UserKind, UserRow};
use libtcpclient::{Builder, Session, TcpStream};

use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{PATIENCE, connect, kernel_listener, ours, patient};
use crate::common::pattern::{Pattern, expect_pattern, write_pattern};
use crate::common::user::{as_user, there_are_others};

const ALICE: u32 = 61_000;
const BOB: u32 = 61_001;
const MIB: usize = 1 << 20;
const CHUNK: usize = 64 << 10;
/// What a user's rings may occupy.
const BUDGET: u64 = 8 << 20;

fn session_of(daemon: &Daemon, uid: u32) -> Session {
    match uid {
        0 => daemon.session(),
        uid => as_user(uid, || daemon.session()),
    }
}

fn rows(control: &mut Control) -> Vec<UserRow> {
    let rows = control.users();
    rows.map(|row| row.expect("a row")).collect()
}

fn row_of(daemon: &Daemon, uid: u32) -> UserRow {
    let found = rows(&mut daemon.control());
    let row = found.iter().find(|row| row.uid == Some(uid));
    row.unwrap_or_else(|| panic!("no row of {uid}: {found:?}"))
        .clone()
}

/// A connection of tcpd's to the kernel that `session` cannot have, and why not.
fn refusal(session: &Session) -> String {
    let (_listener, at) = kernel_listener();
    let refused = Builder::new().session(session).connect(at);
    refused.expect_err("it is refused").to_string()
}

/// What can be seen with one user. Its sessions are not limited here: the test's own questions take some.
fn root_has_the_limits_that_it_is_given() {
    let few = ["limits.connections_per_uid=1", "limits.listeners_per_uid=1"];
    let daemon = Daemon::start_with("", &[few[0], few[1], "limits.root=true"]);
    let session = daemon.session();
    let _held = connect(&session);
    let why = refusal(&session);
    assert!(why.contains("rule limits.connections_per_uid"), "{why}");
    let builder = Builder::new().session(&session);
    let _listener = builder.listen(ours(5000)).expect("one");
    let why = Builder::new().session(&session).listen(ours(5001));
    let why = why.expect_err("one is enough").to_string();
    assert!(why.contains("rule limits.listeners_per_uid"), "{why}");
}

#[test]
fn connections_listeners_and_sessions_are_counted_by_uid_and_refused_by_rule() {
    in_namespace(|| {
        if !there_are_others() {
            return root_has_the_limits_that_it_is_given();
        }
        let daemon = Daemon::start_with(
            "",
            &[
                "limits.connections_per_uid=2",
                "limits.listeners_per_uid=1",
                "limits.sessions_per_uid=2",
            ],
        );
        let (one, two) = (session_of(&daemon, ALICE), session_of(&daemon, ALICE));
        let bob = session_of(&daemon, BOB);
        let held = [connect(&one), connect(&two)];
        let why = refusal(&one);
        assert!(
            why.contains("rule limits.connections_per_uid: this user has 2 of 2"),
            "{why}"
        );
        let _other = connect(&bob);
        let _listener = Builder::new()
            .session(&one)
            .listen(ours(5000))
            .expect("one");
        let why = Builder::new().session(&two).listen(ours(5001));
        let why = why.expect_err("one is enough").to_string();
        assert!(
            why.contains("rule limits.listeners_per_uid: this user has 1 of 1"),
            "{why}"
        );
        let why = as_user(ALICE, || Session::open_at(&daemon.socket()));
        let why = why.expect_err("two are enough").to_string();
        assert!(why.contains("limits.sessions_per_uid"), "{why}");

        // Root sees everybody, a user itself.
        let alice = row_of(&daemon, ALICE);
        assert_eq!((alice.connections, alice.connections_limit), (2, Some(2)));
        assert_eq!((alice.listeners, alice.sessions), (1, 2));
        let refused: Vec<(&str, u64)> = alice
            .refused
            .iter()
            .map(|(rule, times)| (rule.as_str(), *times))
            .collect();
        assert_eq!(
            refused,
            [
                ("limits.connections_per_uid", 1),
                ("limits.listeners_per_uid", 1),
                ("limits.sessions_per_uid", 1)
            ]
        );
        let all = rows(&mut daemon.control());
        let sum = all
            .iter()
            .find(|row| row.kind == UserKind::All)
            .expect("the whole");
        assert_eq!(sum.connections, 3);
        assert_eq!(daemon.counter("refused-by-limits.connections_per_uid"), 1);
        let own = as_user(BOB, || rows(&mut daemon.control()));
        assert_eq!(
            own.iter().map(|row| row.uid).collect::<Vec<_>>(),
            [Some(BOB)]
        );

        // A connection that is over makes room.
        drop(held);
        wait_for("room", 20, || {
            (row_of(&daemon, ALICE).connections == 0).then_some(())
        });
        connect(&one);
    });
}

/// A connection whose kernel end sends a pattern for as long as it lives, and what was read of it.
struct Slow {
    stream: TcpStream,
    pattern: Pattern,
    sender: thread::JoinHandle<u64>,
    /// Read so far.
    read: usize,
    total: usize,
}

impl Slow {
    /// So many bytes are on their way, or why not.
    fn start(session: &Session, seed: u64, total: usize) -> Result<Slow, String> {
        let (listener, at) = kernel_listener();
        let stream = Builder::new().session(session).connect(at);
        let stream = stream.map_err(|refused| refused.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (mut theirs, _) = listener.accept().expect("the kernel accepts");
        patient(&theirs);
        let sender = thread::spawn(move || {
            write_pattern(&mut theirs, &mut Pattern::new(seed), total, CHUNK);
            total as u64
        });
        Ok(Slow {
            stream,
            pattern: Pattern::new(seed),
            sender,
            read: 0,
            total,
        })
    }

    fn read(&mut self, bytes: usize) {
        expect_pattern(&mut self.stream, &mut self.pattern, bytes, CHUNK);
        self.read += bytes;
    }

    fn window(&self) -> u64 {
        let status = self.stream.status().expect("it is open");
        status.rcv.expect("it is open").wnd_bytes
    }

    /// All of it arrives, and it is right.
    fn finish(mut self) {
        let left = self.total - self.read;
        self.read(left);
        assert_eq!(self.sender.join().expect("no panic"), self.total as u64);
    }
}

#[test]
fn a_slow_reader_at_its_budget_is_held_without_harm_and_its_neighbour_does_not_notice() {
    in_namespace(|| {
        if !there_are_others() {
            return;
        }
        let budget = format!("limits.ring_bytes_per_uid={}MiB", BUDGET >> 20);
        let daemon = Daemon::start_with("", &[&budget]);
        let alice = session_of(&daemon, ALICE);
        // Fast at first, so that the rings grow, as far as they may; then nobody reads.
        let mut slow: Vec<Slow> = (0..4)
            .map(|seed| {
                let mut one = Slow::start(&alice, seed, 24 * MIB).expect("there is room");
                one.read(8 * MIB);
                one
            })
            .collect();
        // More and more of them, until she may have no more: by its rule.
        let why = loop {
            match Slow::start(&alice, slow.len() as u64, 160 << 10) {
                Ok(one) => slow.push(one),
                Err(why) => break why,
            }
            assert!(slow.len() < 300, "{:?}", row_of(&daemon, ALICE));
        };
        let rule = "rule limits.ring_bytes_per_uid: the rings of this user occupy";
        assert!(why.contains(rule), "{why}");
        // Less than a segment is closed for a peer that avoids silly windows.
        wait_for("closed windows", 20, || {
            slow.iter().all(|one| one.window() < 1460).then_some(())
        });
        let row = row_of(&daemon, ALICE);
        assert!(
            row.pressed && row.refused["limits.ring_bytes_per_uid"] >= 1,
            "{row:?}"
        );
        assert!(row.ring_bytes < BUDGET + BUDGET / 4, "{row:?}");
        assert_eq!(row.ring_bytes_limit, Some(BUDGET));

        // The neighbour: a new connection, a ring that grows, all of it right.
        let bob = session_of(&daemon, BOB);
        let mut neighbour = Slow::start(&bob, 77, 32 * MIB).expect("there is room");
        neighbour.read(16 * MIB);
        let capacity = neighbour.stream.status().expect("it is open").rings;
        assert!(capacity.receive_capacity_bytes > 64 << 10, "{capacity:?}");
        neighbour.finish();
        assert!(!row_of(&daemon, BOB).pressed);
        assert!(row_of(&daemon, ALICE).pressed, "meanwhile");

        // She reads: nothing is lost, the windows open again.
        let mut last = slow.swap_remove(0);
        for one in slow {
            one.finish();
        }
        last.read(8 * MIB);
        wait_for("end of the pressure", 20, || {
            (!row_of(&daemon, ALICE).pressed).then_some(())
        });
        wait_for("a window that opens", 20, || {
            let next = (last.total - last.read).min(CHUNK);
            last.read(next);
            (last.window() > 16 << 10).then_some(())
        });
        last.finish();
        connect(&alice);
        assert_eq!(daemon.counter("sessions-ended-quota"), 0);
    });
}

/// The rule of the whole daemon: root has a share too.
#[test]
fn near_the_total_limit_everybody_is_held_to_a_share_without_harm() {
    in_namespace(|| {
        let all = format!("limits.ring_bytes={}MiB", BUDGET >> 20);
        let daemon = Daemon::start_with("", &[&all]);
        let session = daemon.session();
        // Each fast at first, so that its rings grow, as far as they may; then nobody reads.
        let mut slow: Vec<Slow> = Vec::new();
        let why = loop {
            match Slow::start(&session, slow.len() as u64, 12 * MIB) {
                Ok(mut one) => {
                    one.read(8 * MIB);
                    slow.push(one);
                }
                Err(why) => break why,
            }
            assert!(slow.len() < 100, "{:?}", rows(&mut daemon.control()));
        };
        assert!(
            why.contains("rule limits.ring_bytes: of 8.0 MiB for all the rings"),
            "{why}"
        );
        let whole = || {
            let rows = rows(&mut daemon.control());
            let row = rows.into_iter().find(|row| row.kind == UserKind::All);
            row.expect("the whole")
        };
        let row = whole();
        assert!(
            row.pressed && row.ring_bytes < BUDGET + BUDGET / 4,
            "{row:?}"
        );
        assert_eq!(row.ring_bytes_limit, Some(BUDGET));
        slow.into_iter().for_each(Slow::finish);
        wait_for("end of the pressure", 20, || {
            (!whole().pressed).then_some(())
        });
        connect(&session);
        assert_eq!(daemon.counter("sessions-ended-quota"), 0);
    });
}

/// SYNs to a listener whose user may have no more connections are left unanswered; there is room when one has ended.
#[test]
fn a_listener_at_its_users_limit_keeps_others_waiting_and_loses_none() {
    in_namespace(|| {
        let daemon = Daemon::start_with("", &["limits.connections_per_uid=1", "limits.root=true"]);
        let uid = if there_are_others() { ALICE } else { 0 };
        let alice = session_of(&daemon, uid);
        let listener = Builder::new().session(&alice).listen(ours(5000));
        let listener = listener.expect("tcpd listens");
        let mut first = KernelStream::connect(ours(5000)).expect("the kernel connects");
        let second = thread::spawn(|| KernelStream::connect(ours(5000)));
        wait_for("a SYN that is left unanswered", 20, || {
            (daemon.counter("account-limit") > 0).then_some(())
        });
        let (accepted, _) = listener.accept().expect("tcpd accepts");
        first.write_all(b"x").expect("send");
        drop((accepted, first));
        let mut second = second.join().expect("no panic").expect("it gets in");
        let (mut accepted, _) = listener.accept().expect("tcpd accepts");
        second.write_all(b"hello").expect("send");
        let mut hello = [0; 5];
        accepted.read_exact(&mut hello).expect("receive");
        assert!(row_of(&daemon, uid).refused["limits.connections_per_uid"] > 0);
    });
}
