//! The daemon: a control thread and a stack thread, wired together.
//!
//! 1. [`prepare`], with one thread and the rights it was started with: the control socket, then the device. A daemon that
//!    runs already is noticed before anything is touched. Then every right is given up.
//! 2. [`Prepared::run`]: the stack thread and the spawner are started; this thread becomes the control thread until the end.

mod bridge;
pub mod channel;
pub mod config;
pub mod configured_services;
pub mod control_loop;
pub mod control_socket;
pub mod kept_secret;
pub mod logging;
pub mod notify;
pub mod orders;
pub mod privileges;
mod ring_buffer;
mod rows;
pub mod signals;
pub(crate) mod stack_config;
mod stack_loop;
mod sweeper;

use std::io;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use tcpd_core::random::Secret;
use tcpd_core::stack::{Stack, StackConfig};
use tcpd_core::time::Instant;

use self::bridge::BridgeConfig;
use self::channel::{OrderSender, ReportReceiver, ReportSender};
use self::config::{Config, Source};
use self::control_loop::{ControlLoop, Setup};
use self::control_socket::ControlSocket;
use self::orders::{Order, Report};
use self::stack_loop::StackLoop;
use crate::device::Device;
use crate::device::netlink::Range;
use crate::device::tun::{Tun, TunOptions};
use crate::exit_code::{Exit, Failure};
use crate::services::spawner_handle::SpawnerHandle;
use crate::services::spawner_handle::launch::Launcher;
use crate::services::spawner_handle::thread::LaunchThread;
use crate::services::supervisor::Supervisor;
use crate::system::{clock, entropy, private_directory};

/// A daemon that has its socket and its device, and no rights any more.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    source: Source,
    socket: ControlSocket,
    device: Tun,
    started: Instant,
    /// The one thread with the rights to switch users, where a service has one.
    launches: LaunchThread,
    may_switch_users: bool,
}

/// Opens what needs rights, and gives them up. Must be called from the only thread of the process.
///
/// # Errors
/// 75 when a daemon runs on the socket already; 77, 73 or 71 when socket or device cannot be made.
pub fn prepare(config: Config, source: Source) -> Result<Prepared, Failure> {
    let started = clock::now();
    let rights = |error: io::Error| Failure::system("cannot give up rights", &error);
    privileges::harden().map_err(rights)?;
    let with_user = configured_services::first_with_user(&config);
    privileges::keep_what_start_needs(with_user.is_some()).map_err(rights)?;
    check_users(with_user)?;
    let socket = ControlSocket::open(&config.control)?;
    let device = open_device(&config)?;
    let may_switch_users = configured_services::first_with_user(&config).is_some();
    let launches = LaunchThread::start(move || match may_switch_users {
        true => privileges::keep_for_spawner(),
        false => privileges::give_up_all(),
    })
    .map_err(rights)?;
    privileges::give_up_all().map_err(rights)?;
    Ok(Prepared {
        launches,
        may_switch_users,
        config,
        source,
        socket,
        device,
        started,
    })
}

fn open_device(config: &Config) -> Result<Tun, Failure> {
    let device = &config.device;
    let options = TunOptions {
        name: device.name.clone(),
        configure: device.configure,
        host: device
            .host_addresses()
            .map(|(address, prefix)| Range { address, prefix })
            .collect(),
        mtu: u32::from(device.mtu),
        offload: device.offload,
        multi_queue: device.queues > 1,
    };
    Tun::open(&options)
        .map_err(|error| Failure::new(Exit::from_code(error.exit_code()), error.to_string()))
}

impl Prepared {
    /// What it was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// 71 when the operating system refuses what is needed or the device fails, 70 when a thread of the daemon fails.
    pub fn run(self) -> Result<(), Failure> {
        let Prepared {
            config,
            source,
            socket,
            device,
            started,
            launches,
            may_switch_users,
        } = self;
        if socket.replaced_a_stale_one() {
            let path = config.control.socket.display();
            tracing::info!(socket = %path, "the socket of a daemon that is gone was replaced");
        }
        let (interface, offload, mtu) = (device.name().to_owned(), device.offloads(), device.mtu());
        let links =
            Links::new().map_err(|error| Failure::system("cannot make a channel", &error))?;
        let private = private_directory::beside(&config.control.socket);
        let (secret, quiet_time) = numbers(&config, &private)?;
        let mut stack = stack_config::stack_config(&config, mtu);
        stack.quiet_time = quiet_time;
        let bridge = stack_config::bridge_config(&config);
        let stack = start_stack_thread((stack, secret), bridge, Box::new(device), links.for_stack)?;
        let spawner = start_spawner(&private, launches, may_switch_users)?;
        let services = configured_services::enabled(&config.services, &config);
        configured_services::tell_weaknesses(&services);
        let uid = rustix::process::geteuid().as_raw();
        let supervisor = Supervisor::new(services, spawner, config.control.socket.clone(), uid);
        let (orders, reports) = links.for_control;
        tracing::info!(interface, mtu, offload, socket = %config.control.socket.display(), "tcpd starts");
        let setup = Setup {
            config,
            source,
            socket,
            orders,
            reports,
            interface,
            offload,
            started,
            may_switch_users,
        };
        let reset = ControlLoop::new(setup, supervisor)?.run()?;
        if stack.join().is_err() {
            return Err(Failure::new(
                Exit::Internal,
                "the stack thread has failed at its end",
            ));
        }
        tracing::info!(reset, "tcpd has stopped");
        Ok(())
    }
}

/// Both ends of both channels.
struct Links {
    for_control: (OrderSender<Order>, ReportReceiver<Report>),
    for_stack: ForStack,
}

struct ForStack {
    orders: std::sync::mpsc::Receiver<Order>,
    waiting: std::os::fd::OwnedFd,
    reports: ReportSender<Report>,
}

impl Links {
    fn new() -> io::Result<Self> {
        let (order_sender, orders, waiting) = channel::orders()?;
        let (reports, report_receiver) = channel::reports()?;
        Ok(Self {
            for_control: (order_sender, report_receiver),
            for_stack: ForStack {
                orders,
                waiting,
                reports,
            },
        })
    }
}

/// The secret for the numbers that connections begin with, and for how long none may begin (RFC 9293 §3.4.3): as configured, but at
/// least one MSL where the numbers given before are lost.
fn numbers(config: &Config, private: &Path) -> Result<(Secret, Option<Duration>), Failure> {
    let failed = |what: &'static str| move |error: io::Error| Failure::system(what, &error);
    private_directory::make(private).map_err(failed("the private directory"))?;
    let kept = kept_secret::keep(private).map_err(failed("no random bytes"))?;
    let file = private.join(kept_secret::NAME);
    let mut quiet_time = config.tcp.quiet_time;
    if let Some(why) = &kept.lost {
        quiet_time = quiet_time.max(config.tcp.msl);
        tracing::warn!(
            file = %file.display(),
            "the kept secret is not used: {why}. The numbers of earlier connections are unknown, so none is opened for {quiet_time:?}"
        );
    }
    if let Some(error) = &kept.not_kept {
        tracing::warn!(file = %file.display(), "the secret cannot be kept for the next daemon: {error}");
    }
    Ok((kept.secret, (!quiet_time.is_zero()).then_some(quiet_time)))
}

fn start_stack_thread(
    (stack, secret): (StackConfig, Secret),
    bridge: BridgeConfig,
    device: Box<dyn Device>,
    links: ForStack,
) -> Result<JoinHandle<()>, Failure> {
    let entropy = |error: io::Error| Failure::system("no random bytes", &error);
    let seed = u64::from_ne_bytes(entropy::random_bytes().map_err(entropy)?);
    let body = move || {
        let reports = links.reports.clone();
        let stack = Stack::new(stack, secret, seed, clock::now());
        match StackLoop::new(
            device,
            stack,
            bridge,
            links.orders,
            links.waiting,
            links.reports,
        ) {
            Ok(stack_loop) => stack_loop.run(),
            // Nobody is there to hear it only when the daemon is at its end anyway.
            Err(error) => _ = reports.send(Report::DeviceFailed { error }),
        }
    };
    let thread = std::thread::Builder::new()
        .name("stack".to_owned())
        .spawn(body);
    thread.map_err(|error| Failure::system("cannot start the stack thread", &error))
}

/// The spawner meets us in the private directory.
fn start_spawner(
    private: &Path,
    thread: LaunchThread,
    users: bool,
) -> Result<SpawnerHandle, Failure> {
    let failed = |error: io::Error| {
        Failure::system(
            format!("cannot start the spawner ({})", private.display()),
            &error,
        )
    };
    let launcher = Launcher::this_program(private).map_err(failed)?;
    SpawnerHandle::start_on(thread, launcher.for_users(users)).map_err(failed)
}

/// A service with a user takes rights that the daemon must have been started with.
fn check_users(with_user: Option<String>) -> Result<(), Failure> {
    let rights = |error: io::Error| Failure::system("cannot look at rights", &error);
    match with_user {
        Some(key) if !privileges::may_switch_users().map_err(rights)? => Err(Failure::new(
            Exit::Configuration,
            format!(
                "{key}: tcpd may not switch users; allowed: no user, or tcpd started with CAP_SETUID, CAP_SETGID and CAP_KILL \
                 (systemd: the drop-in tcpd.service.d/users.conf)"
            ),
        )),
        Some(_) | None => Ok(()),
    }
}
