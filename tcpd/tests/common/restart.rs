//! A daemon that ends and starts again. Needs `mod daemon` beside it.

use rustix::process::Signal;

use super::daemon::{Daemon, spawn};

impl Daemon {
    /// Ends it by this signal, and starts another in the same directory with the same configuration.
    pub(crate) fn restart(mut self, signal: Signal) -> Daemon {
        self.signal(signal);
        self.ended(20);
        self.child = spawn(&self.directory, &self.set);
        self.answering()
    }
}
