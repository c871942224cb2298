//! The session's thread: what the daemon says goes to who waits for it, and so does the end.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::{Ended, Shared, Told, Waiter, lock};
use crate::client::error::SessionError;
use crate::client::stream::Watch;
use crate::protocol::{Event, FromDaemon, MAX_MESSAGE, Reply, Request};
use crate::shm::ClientSlot;
use crate::socket::{Heard, Received, says_gone};

impl Shared {
    /// The session's thread: until end of file or a message that makes no sense.
    pub(super) fn run(&self) {
        let mut buffer = vec![0; MAX_MESSAGE];
        let ended = loop {
            self.take_marks();
            match self.sleep() {
                Ok(false) => continue,
                Ok(true) => {}
                Err(_) => break Ended::Gone,
            }
            match self.socket.recv_with_fds(&mut buffer, 1) {
                Ok((Received::Message(len), descriptors)) => {
                    if let Err(ended) = self.dispatch(&buffer[..len], descriptors) {
                        break ended;
                    }
                }
                Ok((Received::End, _)) => break Ended::Gone,
                Err(error) => match error.kind() {
                    io::ErrorKind::InvalidData => {
                        break Ended::BadDaemon(
                            "a message that is empty, too long or with too many descriptors",
                        );
                    }
                    _ => break Ended::Gone,
                },
            }
        };
        self.fail(ended);
    }

    /// Sends a request; its number.
    pub(super) fn send(&self, request: &Request, waiter: Waiter) -> Result<u32, SessionError> {
        let number = {
            let mut table = lock(&self.table);
            if table.ended.is_some() {
                return Err(table.error());
            }
            let number = table.free_number();
            table.pending.insert(number, waiter);
            number
        };
        match self.socket.send(&request.encode(number)) {
            Ok(()) => Ok(number),
            Err(error) => {
                lock(&self.table).pending.remove(&number);
                match says_gone(&error) {
                    true => Err(self.error()),
                    false => Err(error.into()),
                }
            }
        }
    }

    /// As [`super::Session::tell`], from the session's thread.
    pub(in crate::client) fn tell(&self, request: &Request) {
        let _ = self.send(request, Waiter::Nobody);
    }

    /// Shows what became ready to those who poll.
    fn take_marks(&self) {
        for thread in 0..self.welcome.stack_threads {
            let ready = &self.arena.doorbells(thread).to_client;
            while let Some(marked) = ready.take() {
                for slot in marked {
                    let watch = lock(&self.table).slots.get(&slot).cloned().flatten();
                    if let Some(watch) = watch {
                        watch.refresh();
                    }
                }
            }
        }
    }

    /// Waits for a message or a bell; true for a message (or end of file).
    fn sleep(&self) -> io::Result<bool> {
        let blocks = || (0..self.welcome.stack_threads).map(|n| &self.arena.doorbells(n).to_client);
        let may_sleep = blocks().all(|ready| ready.prepare_sleep());
        let mut fds: Vec<PollFd<'_>> = self
            .bells
            .iter()
            .map(|bell| PollFd::new(bell, PollFlags::IN))
            .chain([PollFd::new(&self.socket, PollFlags::IN)])
            .collect();
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let limit = (!may_sleep).then_some(&now);
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, limit))?;
        blocks().for_each(|ready| ready.awake());
        let heard: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let [bells @ .., message] = &heard[..] else {
            return Ok(false);
        };
        for (bell, heard) in self.bells.iter().zip(bells) {
            if *heard && bell.silence()? == Heard::Closed && !*message {
                // Without its bell nobody would be told of anything.
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(*message)
    }

    fn dispatch(&self, message: &[u8], mut descriptors: Vec<OwnedFd>) -> Result<(), Ended> {
        let message = FromDaemon::decode(message).map_err(Ended::BadMessage)?;
        let announced = matches!(message, FromDaemon::Reply(_, Reply::Stream));
        if announced == descriptors.is_empty() {
            return Err(Ended::BadDaemon(
                "another number of descriptors than the message has",
            ));
        }
        match message {
            FromDaemon::Reply(number, reply) => {
                let waiting = lock(&self.table).pending.remove(&number);
                let Some(waiting) = waiting else {
                    return Err(Ended::BadDaemon("an answer to what was not asked"));
                };
                match waiting {
                    Waiter::Nobody => {}
                    // It holds one, and gets one; who asked may have been given up.
                    Waiter::Call(sender) => _ = sender.try_send((reply, descriptors.pop())),
                    Waiter::Told(told) => told.answered(self, reply),
                }
            }
            FromDaemon::Event(Event::SessionEnding(failure)) => {
                lock(&self.table).ending = Some(failure);
            }
            // Accepts of a closed listener are answered; draining shows in refusals.
            FromDaemon::Event(Event::Draining { .. } | Event::ListenerClosed { .. }) => {}
        }
        Ok(())
    }

    /// Ends the session: everybody who waits for an answer, for data or for space is told. The
    /// first reason stays.
    pub(super) fn fail(&self, ended: Ended) -> SessionError {
        let (slots, told) = {
            let mut table = lock(&self.table);
            table.ended.get_or_insert(ended);
            self.dead.store(true, Ordering::SeqCst);
            let slots: Vec<(u32, Option<Arc<Watch>>)> = table
                .slots
                .iter()
                .map(|(slot, watch)| (*slot, watch.clone()))
                .collect();
            let mut told: Vec<Arc<dyn Told>> = table.listeners.values().cloned().collect();
            for (_, waiter) in table.pending.drain() {
                if let Waiter::Told(who) = waiter {
                    told.push(who);
                }
            }
            (slots, told)
        };
        self.ended.notify_all();
        let _ = self.socket.shutdown();
        for (slot, watch) in slots {
            if let Some(watch) = watch {
                watch.end(true, true);
            }
            if let Some(slot) = ClientSlot::new(self.arena.clone(), slot, 0) {
                slot.wake_all();
            }
        }
        for who in told {
            who.over();
        }
        self.error()
    }

    pub(super) fn error(&self) -> SessionError {
        lock(&self.table).error()
    }
}
