//! What users call; and what the model says to the answers.

use tcpd_core::sim::pair::End;
use tcpd_core::stack::{CloseError, EndpointId, OpenError, ReceiveError, SendError, State};

use super::{World, connect_options, listen_options, options_of};
use crate::machine::{Patience, Reuse};
use crate::model::{Call, byte_of};

impl World {
    fn current(&self, end: End) -> Option<EndpointId> {
        self.hosts[end as usize].holds.last().copied()
    }

    pub(super) fn listen(&mut self, end: End) -> Result<(), String> {
        let had_one = self.hosts[end as usize].listener.is_some();
        let busy = self.model.living(end).is_some();
        let answer = self.event(end, Call::Listen.why(), |host, now| {
            host.stack.listen(now, listen_options(end))
        })?;
        match answer {
            Ok(_) if had_one => Err("two listeners share a port".into()),
            Ok(listener) => {
                self.hosts[end as usize].listener = Some(listener);
                Ok(())
            }
            Err(OpenError::AddressInUse) if had_one || busy => Ok(()),
            Err(error) => Err(format!(
                "{end:?}: a free port cannot be listened on: {error}"
            )),
        }
    }

    pub(super) fn close_listener(&mut self, end: End) -> Result<(), String> {
        let Some(listener) = self.hosts[end as usize].listener.take() else {
            return Ok(());
        };
        self.event(end, Call::CloseListener.why(), |host, now| {
            host.stack.close_listener(now, listener);
        })
    }

    pub(super) fn connect(&mut self, end: End, reuse: Reuse) -> Result<(), String> {
        let listens = self.hosts[end as usize].listener.is_some();
        let state = self.model.state(end);
        let options = connect_options(end, self.setup.ipv6, reuse);
        let answer = self.event(end, Call::Connect.why(), |host, now| {
            host.stack.connect(now, options)
        })?;
        match answer {
            Ok(_) if listens => Err("a connect took the port of a listener".into()),
            Ok(id) => match state {
                State::Closed | State::TimeWait => {
                    self.hosts[end as usize].holds.push(id);
                    Ok(())
                }
                _ => Err(format!("a second connection of a pair that is in {state}")),
            },
            Err(OpenError::AddressInUse) if listens || state != State::Closed => Ok(()),
            Err(error) => Err(format!("{end:?}: a free pair cannot be opened: {error}")),
        }
    }

    pub(super) fn accept(&mut self, end: End) -> Result<(), String> {
        let Some(listener) = self.hosts[end as usize].listener else {
            return Ok(());
        };
        let accepted = self.event(end, Call::Accept.why(), |host, now| {
            host.stack.accept(now, listener)
        })?;
        if let Some(id) = accepted {
            self.model.accepted(end, id)?;
            self.hosts[end as usize].holds.push(id);
        }
        Ok(())
    }

    pub(super) fn send(&mut self, end: End, bytes: u16) -> Result<(), String> {
        let Some(id) = self.current(end) else {
            return Ok(());
        };
        let side = self.model.side_of(end, id)?;
        let (start, number) = (self.model.sides[side].written, side);
        let text: Vec<u8> = (start..start + u64::from(bytes))
            .map(|position| byte_of(number, position))
            .collect();
        let now = self.now;
        let answer = self.event(end, Call::Send.why(), |host, now| {
            host.stack.send(now, id, &text)
        })?;
        let known = &mut self.model.sides[side];
        match answer {
            Ok(0) => Err("a SEND that took nothing".into()),
            Ok(_) if known.write_closed => Err("a SEND after CLOSE was taken".into()),
            Ok(count) => {
                known.wrote(count as u64, now);
                Ok(())
            }
            Err(SendError::Full) => Ok(()),
            Err(SendError::Closing) if known.write_closed => Ok(()),
            Err(SendError::Ended(reason)) if known.reason == Some(reason) => Ok(()),
            Err(error) => Err(format!(
                "{end:?}: SEND says {error}, the model {:?}",
                known.reason
            )),
        }
    }

    pub(super) fn receive(&mut self, end: End, bytes: u16) -> Result<(), String> {
        match self.current(end) {
            Some(id) => self.receive_from(end, id, bytes).map(|_| ()),
            None => Ok(()),
        }
    }

    /// RECEIVE; true when nothing more will come.
    pub(super) fn receive_from(
        &mut self,
        end: End,
        id: EndpointId,
        bytes: u16,
    ) -> Result<bool, String> {
        let side = self.model.side_of(end, id)?;
        let mut out = vec![0; usize::from(bytes)];
        let answer = self.event(end, Call::Receive.why(), |host, now| {
            host.stack.receive_into(now, id, &mut out)
        })?;
        match answer {
            Ok(0) => self.model.read_the_end(side).map(|()| true),
            Ok(count) => self.model.read(side, &out[..count]).map(|()| false),
            Err(ReceiveError::Empty) => Ok(false),
            Err(ReceiveError::Ended(reason)) => {
                self.model.read_an_error(side, reason).map(|()| true)
            }
            Err(error) => Err(format!("{end:?}: RECEIVE says {error}")),
        }
    }

    pub(super) fn shutdown_write(&mut self, end: End) -> Result<(), String> {
        match self.current(end) {
            Some(id) => self.shutdown_write_of(end, id),
            None => Ok(()),
        }
    }

    pub(super) fn shutdown_write_of(&mut self, end: End, id: EndpointId) -> Result<(), String> {
        let side = self.model.side_of(end, id)?;
        let closed_before = self.model.sides[side].write_closed;
        self.model.sides[side].write_closed = true;
        let answer = self.event(end, Call::ShutdownWrite.why(), |host, now| {
            host.stack.shutdown_write(now, id)
        })?;
        let known = &mut self.model.sides[side];
        match answer {
            Ok(()) if closed_before => Err("CLOSE twice".into()),
            Ok(()) => {
                known.wrote(0, self.now);
                Ok(())
            }
            Err(CloseError::Closing) if closed_before => Ok(()),
            Err(CloseError::Ended(reason)) if known.reason == Some(reason) => {
                known.write_closed = closed_before;
                Ok(())
            }
            Err(error) => Err(format!(
                "{end:?}: CLOSE says {error}, the model {:?}",
                known.reason
            )),
        }
    }

    pub(super) fn shutdown_read(&mut self, end: End) -> Result<(), String> {
        let Some(id) = self.current(end) else {
            return Ok(());
        };
        let side = self.model.side_of(end, id)?;
        self.model.sides[side].read_closed = true;
        self.event(end, Call::ShutdownRead.why(), |host, now| {
            host.stack.shutdown_read(now, id)
        })?
        .map_err(|error| format!("{end:?}: shutdown of reading says {error}"))
    }

    pub(super) fn close(&mut self, end: End) -> Result<(), String> {
        match self.hosts[end as usize].holds.pop() {
            Some(id) => self.close_of(end, id),
            None => Ok(()),
        }
    }

    pub(super) fn close_of(&mut self, end: End, id: EndpointId) -> Result<(), String> {
        let side = self.model.side_of(end, id)?;
        let unread = self.hosts[end as usize]
            .stack
            .view(id)
            .is_some_and(|view| view.receive.next > view.receive.read);
        self.model.sides[side].let_go(self.now);
        self.event(end, Call::Close { unread }.why(), |host, now| {
            host.stack.close(now, id)
        })?
        .map_err(|error| format!("{end:?}: CLOSE of a connection held says {error}"))
    }

    pub(super) fn abort(&mut self, end: End) -> Result<(), String> {
        let Some(id) = self.hosts[end as usize].holds.pop() else {
            return Ok(());
        };
        let side = self.model.side_of(end, id)?;
        self.model.sides[side].let_go(self.now);
        self.event(end, Call::Abort.why(), |host, now| {
            host.stack.abort(now, id)
        })?
        .map_err(|error| format!("{end:?}: ABORT of a connection held says {error}"))
    }

    pub(super) fn options(&mut self, end: End, patience: Patience) -> Result<(), String> {
        let Some(id) = self.current(end) else {
            return Ok(());
        };
        let side = self.model.side_of(end, id)?;
        self.model.sides[side].patience = patience;
        self.event(end, Call::Options.why(), |host, now| {
            host.stack.set_options(now, id, options_of(patience))
        })?
        .map_err(|error| format!("{end:?}: options: {error}"))
    }
}
