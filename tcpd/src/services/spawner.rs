//! The spawner: the process that forks workers.
//!
//! tcpd executes itself once as `tcpd spawner`. The new process is small, has one thread, none of the daemon's descriptors
//! and no capability (but those to switch users, when a service has a `user`), and can therefore fork cheaply and safely.
//!
//! 1. Take name and nonce of the link from the environment, and forget the environment.
//! 2. Give up every right.
//! 3. Say Hello over the link.
//! 4. For ever: receive an order, carry it out, report. When tcpd is gone, end.
//!
//! Workers are its children, but it is not their guard: it reaps one only on order, so that an id that tcpd knows
//! never becomes another process' id.

use std::collections::HashMap;
use std::env;
use std::io;
use std::process::ExitCode;

use ipc_channel::IpcError;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::CapabilitySet;

use super::line::{self, Lower, Upper};
use super::link::{
    Assignment, End, EndStatus, Hello, LINK_VARIABLE, NONCE_VARIABLE, Nonce, Order, Report, Ticket,
    USERS_VARIABLE,
};
use super::rights;
use super::work::Work;
use super::worker::{self, Adopt};
use crate::exit_code::Exit;
use crate::system::clock;
use crate::system::process::{self, Fork};
use crate::system::process_title::{self, ProcessTitle};

/// `tcpd spawner`: serves the daemon that started it until that ends.
///
/// Must be called from the only thread of the process.
#[must_use]
pub fn main() -> ExitCode {
    main_with(worker::adopt_from_daemon)
}

/// The same with another way for workers to reach their connection; for tests.
#[must_use]
pub fn main_with(adopt: Adopt) -> ExitCode {
    let kept = match env::var_os(USERS_VARIABLE) {
        Some(_) => rights::FOR_USERS,
        None => CapabilitySet::empty(),
    };
    let Some((name, nonce)) = from_environment() else {
        eprintln!("tcpd: the spawner is started by the daemon, not by hand");
        return Exit::Usage.into();
    };
    match Spawner::start(name, nonce, kept, adopt).and_then(Spawner::serve) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            eprintln!("tcpd: spawner: {error}");
            Exit::System.into()
        }
    }
}

/// Name and nonce of the link.
fn from_environment() -> Option<(String, Nonce)> {
    let name = env::var(LINK_VARIABLE).ok()?;
    let nonce = Nonce::from_hexadecimal(&env::var(NONCE_VARIABLE).ok()?)?;
    Some((name, nonce))
}

/// The process at work.
struct Spawner {
    orders: IpcReceiver<Order>,
    reports: IpcSender<Report>,
    title: ProcessTitle,
    adopt: Adopt,
    /// To the workers that may be given a connection later or may say why they did not run, by process.
    lines: HashMap<i32, Upper>,
}

impl Spawner {
    fn start(name: String, nonce: Nonce, kept: CapabilitySet, adopt: Adopt) -> io::Result<Self> {
        // SAFETY: this process has one thread and has taken what it needs of arguments and environment; it was
        // executed with three descriptors and has opened none; nobody relies on a signal handler.
        let mut title = unsafe {
            process::close_from(3)?;
            process::reset_signals();
            process::wipe_environment();
            ProcessTitle::find()?
        };
        title.set("tcpd: spawner");
        process_title::set_short_name("tcpd: spawner")?;
        rights::keep_only(kept)?;
        // Finding the kernel's fast clock takes a system call that workers may not make; they inherit what is found.
        clock::now();

        let (orders_sender, orders) = ipc::channel()?;
        let (reports, reports_receiver) = ipc::channel()?;
        let hello = Hello {
            nonce,
            orders: orders_sender,
            reports: reports_receiver,
        };
        IpcSender::connect(name)?
            .send(hello)
            .map_err(io::Error::other)?;
        Ok(Self {
            orders,
            reports,
            title,
            adopt,
            lines: HashMap::new(),
        })
    }

    fn serve(mut self) -> io::Result<()> {
        loop {
            let report = match self.orders.recv() {
                Ok(Order::Spawn(assignment)) => self.spawn(&assignment),
                Ok(Order::Assign { job, pid, ticket }) => Report::Assigned {
                    job,
                    given: self.assign(pid, &ticket),
                },
                Ok(Order::Reap { pid }) => Report::Ended {
                    pid,
                    end: self.reap(pid),
                },
                Ok(Order::Kill { workers }) => {
                    workers.into_iter().for_each(kill);
                    Report::Killed
                }
                Ok(Order::Stop) | Err(IpcError::Disconnected) => return Ok(()),
                Err(error) => return Err(io::Error::other(error)),
            };
            if self.reports.send(report).is_err() {
                return Ok(()); // tcpd is gone.
            }
        }
    }

    fn spawn(&mut self, assignment: &Assignment) -> Report {
        let job = assignment.job;
        let error = |error: io::Error| Report::NotStarted {
            job,
            error: error.to_string(),
        };
        let (upper, lower) = match line_for(assignment) {
            Ok(Some((upper, lower))) => (Some(upper), Some(lower)),
            Ok(None) => (None, None),
            Err(failed) => return error(failed),
        };
        // SAFETY: this process has one thread.
        match unsafe { process::fork() } {
            Ok(Fork::Child) => worker::run(assignment, &mut self.title, self.adopt, lower),
            Ok(Fork::Parent(pid)) => {
                let pid = pid.as_raw_nonzero().get();
                if let Some(upper) = upper {
                    self.lines.insert(pid, upper);
                }
                Report::Started { job, pid }
            }
            Err(failed) => error(failed),
        }
    }

    /// Whether the worker has its ticket now.
    fn assign(&self, pid: i32, ticket: &Ticket) -> bool {
        self.lines.get(&pid).is_some_and(|line| line.give(ticket))
    }

    fn reap(&mut self, pid: i32) -> Option<End> {
        let not_executed = self.lines.remove(&pid).and_then(|line| line.not_executed());
        let ended = process::reap(Pid::from_raw(pid)?).ok()?;
        let status = if libc::WIFSIGNALED(ended.status) {
            EndStatus::Killed(libc::WTERMSIG(ended.status))
        } else {
            EndStatus::Exited(libc::WEXITSTATUS(ended.status))
        };
        Some(End {
            status,
            user: ended.user,
            system: ended.system,
            max_resident: ended.max_resident_kib * 1024,
            minor_faults: ended.minor_faults,
            major_faults: ended.major_faults,
            context_switches: ended.context_switches,
            not_executed,
        })
    }
}

/// A worker that begins with its connection and runs no command needs no line.
fn line_for(assignment: &Assignment) -> io::Result<Option<(Upper, Lower)>> {
    match (&assignment.work, &assignment.ticket) {
        (Work::Builtin(_), Some(_)) => Ok(None),
        (Work::Exec(_), _) | (_, None) => line::line().map(Some),
    }
}

/// Kills a worker and its process group, if it is still the process that was meant.
fn kill((pid, identity): (i32, u64)) {
    let Some(pid) = Pid::from_raw(pid) else {
        return;
    };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    if rustix::fs::fstat(&pidfd).is_ok_and(|found| found.st_ino == identity) {
        process::kill_group(&pidfd);
        // One that has ended meanwhile is left alone.
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}
