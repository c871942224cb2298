//! Neither side of a socket is given more than it takes.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::*;

/// What the rings may hold at most, and what a socketpair and a kernel's buffers may on a machine with large limits.
const RING: usize = 4 * MIB;
const KERNEL: usize = 16 * MIB;

fn receive_window(daemon: &Daemon) -> Option<u64> {
    let row = daemon.connections().pop()?;
    let status = daemon.control().show(&row.id).ok()?;
    Some(status.rcv?.wnd_bytes)
}

#[test]
fn a_holder_that_does_not_read_closes_the_window_and_goes_on_byte_by_byte() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut socket, mut theirs) = connected(&session);
        let mut pattern = Pattern::new(8);
        let mut piece = vec![0; 64 << 10];
        let mut written = 0;
        theirs.set_nonblocking(true).expect("a socket");
        let mut next = pattern.clone();
        next.fill(&mut piece);
        wait_for("closed window", 20, || {
            match theirs.write(&piece) {
                Ok(count) => {
                    pattern.fill(&mut vec![0; count]);
                    written += count;
                    next = pattern.clone();
                    next.fill(&mut piece);
                    None
                }
                // Less than a segment.
                Err(_) => (receive_window(&daemon)? < 1448).then_some(()),
            }
        });
        assert!(written < RING + KERNEL, "{written} bytes nobody asked for");
        theirs.set_nonblocking(false).expect("a socket");
        std::thread::scope(|scope| {
            scope.spawn(|| write_pattern(&mut theirs, &mut pattern, 16 * MIB, 64 << 10));
            let all = written + 16 * MIB;
            expect_pattern(&mut socket, &mut Pattern::new(8), all, 50_000);
        });
    });
}

#[test]
fn a_peer_that_does_not_read_blocks_the_holder_and_goes_on_byte_by_byte() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut socket, mut theirs) = connected(&session);
        let bytes = 64 * MIB;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                write_pattern(&mut socket, &mut Pattern::new(9), bytes, 100_000);
                socket.shutdown(Shutdown::Write).expect("shut");
            });
            wait_for("probes of a closed window", 20, || {
                let row = daemon.connections().pop()?;
                let status = daemon.control().show(&row.id).ok()?;
                (status.counters?.zero_window_probes >= 2).then_some(())
            });
            expect_pattern(&mut theirs, &mut Pattern::new(9), bytes, 64 << 10);
        });
        assert_eq!(heard(&mut theirs), (Vec::new(), None));
    });
}

#[test]
fn bulk_each_way_at_once_arrives_byte_by_byte() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (socket, theirs) = connected(&session);
        let bytes = 50 * MIB;
        std::thread::scope(|scope| {
            scope.spawn(|| write_pattern(&mut &socket, &mut Pattern::new(1), bytes, 70_000));
            scope.spawn(|| write_pattern(&mut &theirs, &mut Pattern::new(2), bytes, 70_000));
            scope.spawn(|| expect_pattern(&mut &theirs, &mut Pattern::new(1), bytes, 64 << 10));
            expect_pattern(&mut &socket, &mut Pattern::new(2), bytes, 64 << 10);
        });
    });
}

#[test]
fn every_mix_of_write_and_read_sizes_arrives_byte_by_byte() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        for (write, read) in [
            (1, 1),
            (1, MIB),
            (7, 1000),
            (4096, 3),
            (65_537, 511),
            (MIB, 1),
        ] {
            let bytes = (20_000 * write.min(read)).min(2 * MIB);
            let (socket, theirs) = connected(&session);
            let (mut near, mut far) = (&socket, &theirs);
            std::thread::scope(|scope| {
                scope.spawn(|| write_pattern(&mut near, &mut Pattern::new(3), bytes, write));
                expect_pattern(&mut far, &mut Pattern::new(3), bytes, read);
            });
            std::thread::scope(|scope| {
                scope.spawn(|| write_pattern(&mut far, &mut Pattern::new(4), bytes, write));
                expect_pattern(&mut near, &mut Pattern::new(4), bytes, read);
            });
        }
    });
}

/// May a process have so many descriptors, the last 64 are not for sockets.
const DESCRIPTORS: u64 = 250;

#[test]
fn the_last_descriptors_stay_for_sessions() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let few = Rlimit {
            current: Some(DESCRIPTORS),
            maximum: Some(DESCRIPTORS),
        };
        let pid = Pid::from_raw(daemon.pid() as i32);
        prlimit(pid, Resource::Nofile, few).expect("our child");
        let mut sockets = Vec::new();
        let (mut ours, mut theirs, refused) = loop {
            let (ours, theirs) = connect(&session);
            match ours.clone().into_socket() {
                Ok(socket) => sockets.push((socket, theirs)),
                Err(refused) => break (ours, theirs, refused.to_string()),
            }
            assert!(sockets.len() < DESCRIPTORS as usize, "nobody counts them");
        };
        let rule = "rule RLIMIT_NOFILE: of 250 descriptors the daemon keeps 64 for sessions";
        assert!(refused.contains(rule), "{refused}");
        assert!(sockets.len() > 150, "{} sockets", sockets.len());
        assert_eq!(daemon.counter("refused-by-RLIMIT_NOFILE"), 1);
        // Nothing has happened to the connection, and others can come.
        passes(&mut ours, &mut theirs);
        let sessions: Vec<Session> = (0..8).map(|_| daemon.session()).collect();
        for session in &sessions {
            let (mut ours, mut theirs) = connect(session);
            passes(&mut theirs, &mut ours);
        }
        drop((sessions, sockets));
        let again = wait_for("room", 20, || ours.clone().into_socket().ok());
        let mut socket = again;
        passes(&mut socket, &mut theirs);
    });
}
