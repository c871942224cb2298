//! Each layer of the confinement by itself: what it refuses, and that the same attempt succeeds without it.
//!
//! | layer | whose | what it is there for |
//! |---|---|---|
//! | not dumpable | the victim's: daemon, spawner, every worker | its memory and its descriptors |
//! | landlock | the attacker's | whom it can trace and signal, files, the kernel's TCP, abstract sockets |
//! | seccomp | the attacker's | every call that its work does not need |

use std::io::{Error, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;

use libc::{EACCES, EPERM, SIGSYS};
use tcpd::services::builtin::Handler;
use tcpd::system::process::landlock_version;

use crate::attacker::{Layers, Outcome, Role, Target, Victim, outcome, outcome_as};
use crate::attempts::Attempt;
use crate::world::{ECHO, World, connect, site};

/// What the layers do about an attempt, each by itself; 0: nothing. The filter kills for all of them.
struct Expected {
    attempt: Attempt,
    not_dumpable: i32,
    landlock: i32,
}

fn expected(target: Target) -> Vec<Expected> {
    let scoped = if landlock_version() >= 6 { EPERM } else { 0 };
    let refused = |attempt: &Attempt| match attempt {
        Attempt::OpenMemory { .. } | Attempt::OpenDescriptor { .. } => (EACCES, EACCES),
        Attempt::Signal { .. } | Attempt::SignalThread { .. } | Attempt::SignalByPidfd { .. } => {
            (0, scoped)
        }
        Attempt::LimitOther { .. } | Attempt::MoveToProcessors { .. } => (0, 0),
        _ => (EPERM, EPERM),
    };
    let with_errno = |attempt: Attempt| {
        let (not_dumpable, landlock) = refused(&attempt);
        Expected {
            attempt,
            not_dumpable,
            landlock,
        }
    };
    target.attempts().into_iter().map(with_errno).collect()
}

/// 0 stands for success.
pub(crate) fn assert_errno(outcome: &Outcome, errno: i32, what: &dyn std::fmt::Debug) {
    let as_expected = match errno {
        0 => *outcome == Outcome::Succeeded,
        errno => outcome.is_refused(errno),
    };
    let expected = Error::from_raw_os_error(errno);
    assert!(as_expected, "{what:?}: {outcome:?}, expected {expected}");
}

pub(crate) fn each_layer_keeps_other_processes_out_of_reach(_: &mut World) {
    assert!(landlock_version() > 0, "this kernel has no landlock");
    let (open, shut) = (Victim::start(true), Victim::start(false));
    let against_shut = expected(shut.target);
    for (row, shut) in expected(open.target).iter().zip(against_shut) {
        let attempt = &row.attempt;
        assert_errno(&outcome(Layers::None, attempt), 0, attempt);
        assert_errno(
            &outcome(Layers::None, &shut.attempt),
            row.not_dumpable,
            &shut.attempt,
        );
        assert_errno(&outcome(Layers::Landlock, attempt), row.landlock, attempt);
        assert_eq!(
            outcome(Layers::Seccomp, attempt),
            Outcome::Killed(SIGSYS),
            "{attempt:?}"
        );
    }
    for layers in [Layers::Landlock, Layers::Seccomp, Layers::Both] {
        assert_eq!(
            outcome(layers, &Attempt::Nothing),
            Outcome::Succeeded,
            "{layers:?}"
        );
    }
}

pub(crate) fn daemon_spawner_and_workers_are_not_dumpable(world: &mut World) {
    for (name, target) in world.targets() {
        for row in expected(target).iter().filter(|row| row.not_dumpable != 0) {
            let (attempt, what) = (&row.attempt, format!("{name}: {:?}", row.attempt));
            assert_errno(&outcome(Layers::None, attempt), row.not_dumpable, &what);
            // It is there, and there is something to take: root with every capability gets it.
            assert_errno(&outcome(Layers::Root, attempt), 0, &what);
        }
    }
    world.nobody_noticed();
}

/// Attempts that need no other process, and what landlock by itself says about them.
fn alone(world: &World) -> Vec<(Attempt, i32)> {
    let file = site().join("public");
    let free = |attempt| (attempt, 0);
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_mut, reason = "one more there")
    )]
    let mut all = vec![
        (
            Attempt::ReadFile {
                path: "/etc/passwd".into(),
            },
            EACCES,
        ),
        (
            Attempt::ReadFile {
                path: secret(world),
            },
            EACCES,
        ),
        (Attempt::WriteFile { path: file.clone() }, EACCES),
        (
            Attempt::WriteFile {
                path: site().join("new"),
            },
            EACCES,
        ),
        (
            Attempt::ReadFileBeneath {
                path: "/etc/passwd".into(),
            },
            EACCES,
        ),
        free(Attempt::ChangeMode { path: file }),
        (Attempt::SearchTree, EACCES),
        free(Attempt::Fork),
        (Attempt::Execute, EACCES),
        free(Attempt::KernelUdp),
        free(Attempt::SocketPair),
        free(Attempt::Pipe),
        free(Attempt::IoUring),
        free(Attempt::ExecutableMemory),
        free(Attempt::MakeExecutable),
        free(Attempt::SharedMemory),
        free(Attempt::MemoryFile),
        free(Attempt::BecomeDumpable),
        free(Attempt::ChangeUser),
        free(Attempt::LeaveNamespace),
        free(Attempt::RaiseLimit),
        free(Attempt::ErrorsNonblocking),
        free(Attempt::ErrorsNonblockingByIoctl),
        free(Attempt::ErrorsDuplicated),
        free(Attempt::ErrorsShutDown),
        free(Attempt::ErrorsOptions),
        free(Attempt::ErrorsRead),
    ];
    #[cfg(target_arch = "x86_64")]
    all.push(free(Attempt::CallOfAnotherAbi));
    all
}

/// The secret behind initial sequence numbers, which belongs to the daemon's user.
fn secret(world: &World) -> PathBuf {
    world.daemon.directory().join("private/secret")
}

pub(crate) fn each_layer_keeps_a_process_to_its_work(world: &mut World) {
    for (attempt, landlock) in alone(world) {
        each_layer_refuses(world, &attempt, landlock);
    }
    world.nobody_noticed();
}

/// Nothing keeps a process without confinement from it; landlock refuses it with this errno (0: not at all), seccomp kills for it, alone
/// and in a worker.
fn each_layer_refuses(world: &mut World, attempt: &Attempt, landlock: i32) {
    assert_errno(&outcome(Layers::None, attempt), 0, attempt);
    assert_errno(&outcome(Layers::Landlock, attempt), landlock, attempt);
    let killed = Outcome::Killed(SIGSYS);
    assert_eq!(outcome(Layers::Seccomp, attempt), killed, "{attempt:?}");
    assert_eq!(world.outcome(ECHO, attempt), killed, "{attempt:?}");
}

pub(crate) fn each_layer_keeps_the_kernels_sockets_out_of_reach(world: &mut World) {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("the kernel listens");
    let to = tcp.local_addr().expect("its address");
    let name = format!("tcpd-escape-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _abstract = UnixListener::bind_addr(&address).expect("bind");
    let version = landlock_version();
    let since = |first, errno| if version >= first { errno } else { 0 };
    for (attempt, landlock) in [
        (Attempt::KernelTcp { to }, since(4, EACCES)),
        (Attempt::AbstractSocket { name }, since(6, EPERM)),
    ] {
        each_layer_refuses(world, &attempt, landlock);
    }
}

/// The one thing that landlock leaves open is closed by the filter alone.
pub(crate) fn only_the_filter_stands_before_a_second_session(world: &mut World) {
    for (layers, succeeds) in [
        (Layers::None, true),
        (Layers::Landlock, true),
        (Layers::Seccomp, false),
        (Layers::Both, false),
    ] {
        let mut victim = connect(ECHO);
        let attempt = Attempt::SecondSession {
            socket: world.daemon.socket(),
            connection: world.row_of(&victim).id,
        };
        let outcome = outcome(layers, &attempt);
        if succeeds {
            assert_eq!(outcome, Outcome::Succeeded, "{layers:?}");
            let error = std::io::Read::read(&mut victim, &mut [0]).expect_err("a reset");
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        } else {
            assert_eq!(outcome, Outcome::Killed(SIGSYS), "{layers:?}");
        }
    }
}

/// `http` may open files, so there landlock alone decides which.
pub(crate) fn http_opens_the_files_of_its_site_and_no_others(world: &mut World) {
    let beneath = |path: PathBuf| Attempt::ReadFileBeneath { path };
    let memory = format!("/proc/{}/mem", world.daemon.pid());
    for path in ["/etc/passwd".into(), memory.into(), secret(world)] {
        let attempt = beneath(path);
        assert_errno(
            &world.outcome(crate::world::HTTP, &attempt),
            EACCES,
            &attempt,
        );
    }
    let attempt = beneath("/etc/passwd".into());
    let http = Role::Worker(Handler::Http { directory: site() });
    let with = |layers| outcome_as(&http, layers, &attempt);
    assert_errno(&with(Layers::Seccomp), 0, &attempt);
    assert_errno(&with(Layers::Both), EACCES, &attempt);
    let own = beneath(site().join("public"));
    assert_errno(&world.outcome(crate::world::HTTP, &own), 0, &own);
    // Anything else is as for every worker.
    let write = Attempt::WriteFile {
        path: site().join("new"),
    };
    assert_eq!(
        world.outcome(crate::world::HTTP, &write),
        Outcome::Killed(SIGSYS)
    );
    world.nobody_noticed();
}
