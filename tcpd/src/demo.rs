//! `tcpd demo`: a tour of about ten seconds. The kernel's TCP talks to tcpd in a sandbox, and everything that happens is shown as it
//! was seen, on the wire and in the daemon.
//!
//! 1. Outside: run this program again in a sandbox ([`crate::sandbox`]), with a short MSL.
//! 2. Inside: [`capture`] what crosses the interface; take the [`steps`] in order, each of which does something, checks that
//!    it really happened, and shows it.
//! 3. The first step that fails ends the tour with its reason.
//!
//! The client program of the last step is this program too, a third time ([`client`]): it knows the daemon's socket and nothing else.

mod capture;
mod client;
mod show;
mod steps;
mod tools;

use std::net::SocketAddr;
use std::process::ExitCode;

use self::show::Show;
use self::steps::Tour;
use crate::exit_code::{Exit, Failure};
use crate::sandbox::{self, SandboxArgs};

/// The sandbox's MSL: TIME-WAIT lasts 2 MSL, and the tour shows its end.
const MSL: &str = "tcp.msl=2s";

/// What `tcpd demo` is told: nothing by a person.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DemoArgs {
    /// The tour itself: set by the outer stage alone
    #[arg(long, hide = true)]
    pub inside: bool,
    /// The client program: where to connect to
    #[arg(long, hide = true, value_name = "ADDRESS")]
    pub client: Option<SocketAddr>,
}

/// Runs the tour. Exit 0 only if every step really happened; otherwise the reason, and 77 if the sandbox's needs are missing.
///
/// Must be called from the only thread of the process.
pub fn run(args: &DemoArgs) -> Result<ExitCode, Failure> {
    if let Some(server) = args.client {
        return client::run(server);
    }
    if args.inside {
        return tour();
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::system("demo: find tcpd's own program", &error))?;
    sandbox::run(SandboxArgs {
        set: vec![MSL.to_owned()],
        command: vec![program.into(), "demo".into(), "--inside".into()],
        ..SandboxArgs::default()
    })
}

fn tour() -> Result<ExitCode, Failure> {
    let outcome = Tour::begin(Show::new()).and_then(Tour::walk);
    match outcome {
        Ok(()) => Ok(Exit::Ok.into()),
        Err(reason) => Err(Failure::new(Exit::Unavailable, format!("demo: {reason}"))),
    }
}
