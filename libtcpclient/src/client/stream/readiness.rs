//! What a stream's descriptor shows to poll and epoll.
//!
//! The daemon is asked for a mark in the ready bitmap only while something is *not* ready; the
//! session's thread takes the mark and looks again. So a busy stream costs nothing here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::client::session::lock;
use crate::shm::ClientSlot;
use crate::socket::Notifier;

/// The readiness of one stream. Shared between the stream and the session's thread.
#[derive(Debug)]
pub(in crate::client) struct Watch {
    slot: ClientSlot,
    notifier: Arc<Notifier>,
    shown: Mutex<Shown>,
    /// This side ended something that the slot does not know of: every read returns at once.
    read_over: AtomicBool,
    /// The same for every write.
    write_over: AtomicBool,
}

#[derive(Debug)]
struct Shown {
    readable: bool,
    writable: bool,
}

impl Watch {
    pub(super) fn new(slot: ClientSlot) -> io::Result<Watch> {
        Ok(Watch::with(slot, Arc::new(Notifier::new()?)))
    }

    /// With a notifier that shows no more than that it is writable.
    pub(super) fn with(slot: ClientSlot, notifier: Arc<Notifier>) -> Watch {
        Watch {
            slot,
            notifier,
            shown: Mutex::new(Shown {
                readable: false,
                writable: true,
            }),
            read_over: AtomicBool::new(false),
            write_over: AtomicBool::new(false),
        }
    }

    /// After this nobody is in the middle of looking: for when [`Session::leave_slot`](crate::client::session::Session::leave_slot) has
    /// taken it from those who do.
    pub(super) fn settle(&self) {
        drop(lock(&self.shown));
    }

    /// From now on these are ready, to say that they are over.
    pub(in crate::client) fn end(&self, reading: bool, writing: bool) {
        self.read_over.fetch_or(reading, Ordering::AcqRel);
        self.write_over.fetch_or(writing, Ordering::AcqRel);
        self.refresh();
    }

    /// Looks what is ready, asks for a mark where nothing is, and shows it.
    pub(in crate::client) fn refresh(&self) {
        let mut shown = lock(&self.shown);
        let slot = &self.slot;
        let readable = self.read_over.load(Ordering::Acquire) || slot.is_readable() || {
            slot.prepare_poll_received();
            slot.is_readable()
        };
        let writable = self.write_over.load(Ordering::Acquire) || slot.is_writable() || {
            slot.prepare_poll_acknowledged();
            slot.is_writable()
        };
        if shown.readable != readable {
            shown.readable = readable;
            self.notifier.show_readable(readable);
        }
        if shown.writable != writable {
            shown.writable = writable;
            self.notifier.show_writable(writable);
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifier.as_fd()
    }
}
