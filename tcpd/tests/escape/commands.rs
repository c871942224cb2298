//! What is promised of a service's command: with the daemon's own user, with a user of its own, and what it may all the same.

use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use libc::{EACCES, EINVAL, EPERM, SIGSYS};
use tcpd::services::work::Command;
use tcpd::system::process::landlock_version;

use crate::attacker::{Layers, Outcome, Role, outcome_as};
use crate::attempts::Attempt;
use crate::layers::assert_errno;
use crate::world::{COMMAND, ECHO, WITH_SESSIONS, WITH_USER, World, connect, site, target};

/// What refuses an attempt of a command: 0 where it does nothing about it.
struct Expected {
    attempt: Attempt,
    /// Without any layer.
    free: i32,
    landlock: i32,
    seccomp: i32,
}

impl Expected {
    /// With all layers: the filter is asked first.
    fn both(&self) -> i32 {
        match self.seccomp {
            0 => self.landlock,
            errno => errno,
        }
    }
}

fn about_process(attempt: Attempt) -> Expected {
    let (landlock, seccomp) = match attempt {
        Attempt::OpenMemory { .. } | Attempt::OpenDescriptor { .. } => (EACCES, 0),
        Attempt::Signal { .. } | Attempt::SignalThread { .. } | Attempt::SignalByPidfd { .. } => {
            (scoped(), 0)
        }
        Attempt::LimitOther { .. } | Attempt::MoveToProcessors { .. } => (0, EPERM),
        _ => (EPERM, EPERM),
    };
    Expected {
        attempt,
        free: 0,
        landlock,
        seccomp,
    }
}

/// What landlock says about signals and abstract sockets, since Linux 6.12.
fn scoped() -> i32 {
    if landlock_version() >= 6 { EPERM } else { 0 }
}

/// A command's connection, and its process as a target: it can be dumped as every program can.
fn another_command(world: &World, port: u16) -> (std::net::TcpStream, crate::attacker::Target) {
    let mut stream = connect(port);
    // From its answer on it is the command, and waits for a word.
    let words = serde_json::to_string(&Attempt::Nothing).expect("JSON") + "\n";
    stream.write_all(words.as_bytes()).expect("send");
    let mut said = [0; 7];
    std::io::Read::read_exact(&mut stream, &mut said).expect("its word");
    let pid = world.worker_of(&stream);
    (stream, target(pid))
}

pub(crate) fn a_command_reaches_no_other_process(world: &mut World) {
    let with_user = world.has_users.then_some(WITH_USER);
    for port in [Some(COMMAND), with_user].into_iter().flatten() {
        let (_other, another) = another_command(world, port);
        let mut targets = world.targets().to_vec();
        targets.push(("another command", another));
        for (name, target) in targets {
            for row in target.attempts().into_iter().map(about_process) {
                let outcome = world.outcome(port, &row.attempt);
                // With another user the kernel refuses what a missing landlock would not.
                let errno = match (row.both(), name) {
                    (0, name) if port == WITH_USER && name != "another command" => EPERM,
                    (errno, _) => errno,
                };
                assert_errno(&outcome, errno, &(name, port, row.attempt));
            }
        }
    }
    world.nobody_noticed();
}

pub(crate) fn each_layer_of_a_command_does_its_part(world: &mut World) {
    let (_other, another) = another_command(world, COMMAND);
    let name = format!("tcpd-escape-command-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _abstract = UnixListener::bind_addr(&address).expect("bind");
    let private = world.daemon.directory().join("private");
    let row = |attempt, free, landlock, seccomp| Expected {
        attempt,
        free,
        landlock,
        seccomp,
    };
    let path = private.join("secret");
    let secret = path.clone();
    let public = site().join("public");
    let mut rows: Vec<Expected> = another.attempts().into_iter().map(about_process).collect();
    rows.extend([
        row(Attempt::ReadFile { path: path.clone() }, 0, EACCES, 0),
        row(Attempt::WriteFile { path }, 0, EACCES, 0),
        row(Attempt::ChangeMode { path: public }, 0, 0, EPERM),
        row(Attempt::AbstractSocket { name }, 0, scoped(), 0),
        row(Attempt::PriorityOfMany, EINVAL, EINVAL, EPERM),
        row(Attempt::IoPriorityOfMany, EINVAL, EINVAL, EPERM),
        row(Attempt::IoUring, 0, 0, EPERM),
        row(Attempt::LeaveNamespace, 0, 0, EPERM),
    ]);
    let command = Command {
        guarded: vec![private],
        network: true,
        ..Command::default()
    };
    let listed = Role::Command(Command {
        readable: vec!["/".into()],
        ..command.clone()
    });
    let role = Role::Command(command);
    for row in &rows {
        let with = |layers| outcome_as(&role, layers, &row.attempt);
        assert_errno(&with(Layers::None), row.free, &("free", &row.attempt));
        assert_errno(
            &with(Layers::Landlock),
            row.landlock,
            &("landlock", &row.attempt),
        );
        assert_errno(
            &with(Layers::Seccomp),
            row.seccomp,
            &("seccomp", &row.attempt),
        );
        assert_errno(
            &world.outcome(COMMAND, &row.attempt),
            row.both(),
            &("all", &row.attempt),
        );
    }
    // A list of what it may read does not open what is the daemon's, even if it names all there is.
    for (path, errno) in [(secret, EACCES), ("/etc/passwd".into(), 0)] {
        let attempt = Attempt::ReadFile { path };
        assert_errno(
            &outcome_as(&listed, Layers::Landlock, &attempt),
            errno,
            &attempt,
        );
    }
    // A session of its own, by which it resets somebody: each time another one, because it succeeds.
    for (layers, errno) in [
        (Layers::None, 0),
        (Layers::Landlock, 0),
        (Layers::Seccomp, EPERM),
    ] {
        let victim = connect(ECHO);
        let attempt = second_session(world, &victim);
        assert_errno(&outcome_as(&role, layers, &attempt), errno, &attempt);
    }
    let victim = connect(ECHO);
    let attempt = second_session(world, &victim);
    assert_errno(&world.outcome(COMMAND, &attempt), EPERM, &attempt);
    world.nobody_noticed();
}

fn second_session(world: &World, victim: &std::net::TcpStream) -> Attempt {
    Attempt::SecondSession {
        socket: world.daemon.socket(),
        connection: world.row_of(victim).id,
    }
}

pub(crate) fn a_command_does_its_work(world: &mut World) {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("the kernel listens");
    let to = tcp.local_addr().expect("its address");
    for attempt in [
        Attempt::Nothing,
        Attempt::ReadFile {
            path: "/etc/passwd".into(),
        },
        Attempt::WriteFile {
            path: site().join("new"),
        },
        Attempt::SearchTree,
        Attempt::Fork,
        Attempt::Execute,
        Attempt::KernelTcp { to },
        Attempt::SocketPair,
        Attempt::Pipe,
        Attempt::ExecutableMemory,
        Attempt::SharedMemory,
        Attempt::MemoryFile,
        Attempt::RaiseLimit,
    ] {
        assert_eq!(
            world.outcome(COMMAND, &attempt),
            Outcome::Succeeded,
            "{attempt:?}"
        );
    }
    // A filter of numbers cannot judge the calls of another ABI, so there are none.
    #[cfg(target_arch = "x86_64")]
    assert_eq!(
        world.outcome(COMMAND, &Attempt::CallOfAnotherAbi),
        Outcome::Killed(SIGSYS)
    );
}

/// `sessions = true`: it is then a client like every program of its user, and policy judges it.
pub(crate) fn a_command_with_sessions_acts_as_its_user(world: &mut World) {
    if !world.has_users {
        return; // An ordinary user's namespace has one user only.
    }
    let victim = connect(ECHO);
    let attempt = second_session(world, &victim);
    assert_errno(&world.outcome(WITH_USER, &attempt), EPERM, &attempt);
    let Attempt::SecondSession { socket, .. } = attempt else {
        return;
    };
    let attempt = Attempt::SecondSession {
        socket,
        connection: world.neighbour().id,
    };
    let outcome = world.outcome(WITH_SESSIONS, &attempt);
    let by_policy = matches!(&outcome, Outcome::Refused(0, why) if why.contains("not permitted"));
    assert!(by_policy, "{outcome:?}");
    world.nobody_noticed();
}
