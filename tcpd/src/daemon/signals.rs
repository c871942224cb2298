//! Signals as events of the control thread's poll.

use std::io;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals as Delivery;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM, SIGINT: stop gracefully; the second time, now.
    Stop,
    /// SIGUSR1: the connection table into the log.
    Dump,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The signals the daemon takes.
pub struct Signals(Delivery);

impl Signals {
    /// Takes SIGTERM, SIGINT, SIGUSR1 and SIGHUP for the process.
    pub fn take() -> io::Result<Self> {
        Delivery::new([SIGTERM, SIGINT, SIGUSR1, SIGHUP]).map(Self)
    }

    /// What has been asked since the last call.
    pub fn asked(&mut self) -> Vec<Asked> {
        let asked = |signal| match signal {
            SIGUSR1 => Asked::Dump,
            SIGHUP => Asked::Reload,
            _ => Asked::Stop,
        };
        self.0.pending().map(asked).collect()
    }
}

impl Source for Signals {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.0.register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.0.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.0.deregister(registry)
    }
}
