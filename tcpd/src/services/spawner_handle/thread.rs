//! The thread on which spawners are executed, one after the other, and listened to.
//!
//! Capabilities are a thread's: what this one has, its spawners have, and no other thread of the daemon.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;

use mio::Waker;

use super::launch::{Launcher, Said};

/// A thread that waits for [`LaunchThread::launch`]. Dropping it lets it end when its spawner does.
#[derive(Debug)]
pub struct LaunchThread {
    launches: Sender<(Arc<Launcher>, Arc<Waker>)>,
    said: Receiver<Said>,
    thread: JoinHandle<()>,
}

impl LaunchThread {
    /// Starts the thread; `first` is the first thing it does, and decides about its rights.
    ///
    /// # Errors
    /// When there is no thread for us, or whatever `first` says.
    pub fn start(first: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (launches, next) = mpsc::channel::<(Arc<Launcher>, Arc<Waker>)>();
        let (say, said) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let body = move || {
            let began = first();
            let good = began.is_ok();
            if done.send(began).is_err() || !good {
                return;
            }
            while let Ok((launcher, waker)) = next.recv() {
                launcher.run(|what| {
                    let heard = say.send(what).is_ok();
                    if let Err(error) = waker.wake() {
                        tracing::error!(%error, "cannot wake the control thread");
                    }
                    heard
                });
            }
        };
        let thread = std::thread::Builder::new()
            .name("spawner link".to_owned())
            .spawn(body)?;
        let ended = |_| Err(io::ErrorKind::BrokenPipe.into());
        is_done.recv().unwrap_or_else(ended)?;
        Ok(Self {
            launches,
            said,
            thread,
        })
    }

    /// Executes a spawner. What there is to say about it comes from [`LaunchThread::said`], `Down` last.
    pub(super) fn launch(&self, launcher: &Arc<Launcher>, waker: &Arc<Waker>) -> io::Result<()> {
        let launch = (Arc::clone(launcher), Arc::clone(waker));
        let sent = self.launches.send(launch);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    pub(super) fn said(&self) -> Result<Said, TryRecvError> {
        self.said.try_recv()
    }

    /// Waits for the end of the thread, and so of its spawner, which must have been told to end.
    pub(super) fn end(self) {
        drop((self.launches, self.said));
        let _ = self.thread.join();
    }
}
