//! The spawner: the process that forks workers.
//!
//! tcpd executes itself once as `tcpd spawner`. The new process is small, has one thread, no capability and none of
//! the daemon's descriptors, and can therefore fork cheaply and safely.
//!
//! 1. Take name and nonce of the link from the environment, and forget the environment.
//! 2. Give up every right.
//! 3. Say Hello over the link.
//! 4. For ever: receive an order, carry it out, report. When tcpd is gone, end.
//!
//! Workers are its children, but it is not their guard: it reaps one only on order, so that an id that tcpd knows
//! never becomes another process' id.

use std::env;
use std::io;
use std::process::ExitCode;

use ipc_channel::IpcError;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use rustix::process::Pid;

use super::link::{
    Assignment, End, EndStatus, Hello, LINK_VARIABLE, NONCE_VARIABLE, Nonce, Order, Report,
};
use super::worker::{self, Adopt};
use crate::exit_code::Exit;
use crate::system::clock;
use crate::system::process::{self, Fork};
use crate::system::process_title::{self, ProcessTitle};

mod confine;

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
    let Some((name, nonce)) = from_environment() else {
        eprintln!("tcpd: the spawner is started by the daemon, not by hand");
        return Exit::Usage.into();
    };
    match Spawner::start(name, nonce, adopt).and_then(Spawner::serve) {
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
}

impl Spawner {
    fn start(name: String, nonce: Nonce, adopt: Adopt) -> io::Result<Self> {
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
        confine::give_up_rights()?;
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
        })
    }

    fn serve(mut self) -> io::Result<()> {
        loop {
            let report = match self.orders.recv() {
                Ok(Order::Spawn(assignment)) => self.spawn(&assignment),
                Ok(Order::Reap { pid }) => Report::Ended {
                    pid,
                    end: reap(pid),
                },
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
        // SAFETY: this process has one thread.
        match unsafe { process::fork() } {
            Ok(Fork::Child) => worker::run(assignment, &mut self.title, self.adopt),
            Ok(Fork::Parent(pid)) => Report::Started {
                job,
                pid: pid.as_raw_nonzero().get(),
            },
            Err(error) => Report::NotStarted {
                job,
                error: error.to_string(),
            },
        }
    }
}

fn reap(pid: i32) -> Option<End> {
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
    })
}
