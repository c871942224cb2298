//! Giving the connection to somebody else: a hand-off, a socket.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{TcpStream, set_nanos, timeout};
use crate::client::error::SessionError;
use crate::client::session::{Session, lock};
use crate::protocol::{Opened, StreamOptions};

/// What a program said of its stream, and the daemon does not know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::client) struct Manners {
    nonblocking: bool,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    linger: Option<Duration>,
    read_shut: bool,
    write_shut: bool,
}

/// What is left of a stream whose connection was given away.
#[derive(Debug)]
pub(in crate::client) struct Given<T> {
    /// What the daemon gave for it.
    pub(in crate::client) answer: T,
    pub(in crate::client) opened: Opened,
    pub(in crate::client) options: StreamOptions,
    pub(in crate::client) manners: Manners,
}

impl TcpStream {
    /// Makes the request (`ask`, about the connection of this number) that takes the connection out of its slot. When it is
    /// refused nothing has changed.
    ///
    /// No thread touches the slot between the request and the answer, for the daemon may give it to another connection: all
    /// do so under a half's lock, and the session's thread has forgotten it.
    pub(in crate::client) fn give_away<T>(
        &self,
        ask: impl FnOnce(&Session, u64) -> Result<T, SessionError>,
    ) -> Result<Given<T>, SessionError> {
        let inner = &self.inner;
        inner.present()?;
        let receive = lock(&inner.receive);
        let send = lock(&inner.send);
        // Another thread may have given it away before.
        inner.present()?;
        let (session, slot) = (&inner.session, &inner.slot);
        // Who sleeps there waits for a lock from now on.
        slot.wake_all();
        session.leave_slot(slot);
        let watch = inner.watch.get();
        if let Some(watch) = watch {
            watch.settle();
        }
        let answer = match ask(session, inner.opened.connection) {
            Ok(answer) => answer,
            Err(error) => {
                session.return_to_slot(slot, watch);
                drop((receive, send));
                if let Some(watch) = watch {
                    // What was marked in between was marked for nobody.
                    watch.refresh();
                }
                return Err(error);
            }
        };
        inner.retired.store(true, Ordering::Release);
        let manners = Manners {
            nonblocking: inner.nonblocking.load(Ordering::Relaxed),
            read_timeout: timeout(&inner.read_timeout),
            write_timeout: timeout(&inner.write_timeout),
            linger: *lock(&inner.linger),
            read_shut: receive.shut,
            write_shut: send.shut,
        };
        drop((receive, send));
        if let Some(watch) = watch {
            watch.end(true, true);
        }
        Ok(Given {
            answer,
            opened: inner.opened,
            options: *lock(&inner.options),
            manners,
        })
    }

    /// Goes on as its giver left it.
    pub(in crate::client) fn behave(&self, manners: &Manners) {
        let inner = &self.inner;
        inner
            .nonblocking
            .store(manners.nonblocking, Ordering::Relaxed);
        set_nanos(&inner.read_timeout, manners.read_timeout);
        set_nanos(&inner.write_timeout, manners.write_timeout);
        *lock(&inner.linger) = manners.linger;
        lock(&inner.receive).shut = manners.read_shut;
        lock(&inner.send).shut = manners.write_shut;
    }
}
