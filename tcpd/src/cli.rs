//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::demo::DemoArgs;
use crate::exit_code::Exit;
use crate::sandbox::SandboxArgs;
use crate::scenario::ScenarioArgs;

/// TCP as a service: a daemon with a user-space TCP/IP stack on a TUN interface.
#[derive(Debug, Parser)]
#[command(name = "tcpd", version, after_help = Exit::HELP, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground (under systemd: with readiness, watchdog and socket activation)
    Run(ConfigurationArgs),
    /// Check a configuration and print everything that is wrong with it
    Check {
        /// The file; without it /etc/tcpd/tcpd.toml
        file: Option<PathBuf>,
        /// Check as if this were set
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Run a command (or a shell) in a private network namespace with a daemon and services of its own
    Sandbox(SandboxArgs),
    /// A tour of about ten seconds in a sandbox: the kernel's TCP talks to tcpd
    Demo(DemoArgs),
    /// Play a textbook's situation in virtual time, and explain every packet; without a name, list them
    Scenario(ScenarioArgs),
    /// The process that forks workers; the daemon starts it
    #[command(hide = true)]
    Spawner,
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigurationArgs {
    /// Configuration file; without it /etc/tcpd/tcpd.toml, if it exists
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Overrides one key, as tcp.msl=5s; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_sandbox_takes_its_command_as_it_is() {
        let cli = Cli::try_parse_from(["tcpd", "sandbox", "--", "nc", "-N", "198.18.0.2", "7"])
            .expect("parses");
        let Command::Sandbox(SandboxArgs { command, .. }) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!(command, ["nc", "-N", "198.18.0.2", "7"]);
    }
}
