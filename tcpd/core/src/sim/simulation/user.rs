//! A user of one end: writes its plan piece by piece, half-closes, reads until the end of the stream, closes; or aborts on the
//! way. Sizes and pauses are chance.

use std::time::Duration;

use super::Parameters;
use crate::random::Generator;
use crate::stack::{EndpointId, ListenerId, ReceiveError, SendError, Stack, View};
use crate::tcp::buffer::{HeapRing, Ring};
use crate::time::Instant;

/// One side of a conversation.
#[derive(Debug)]
pub(super) struct User {
    pub(super) listener: Option<ListenerId>,
    pub(super) connection: Option<EndpointId>,
    /// Bytes it wants to write.
    pub(super) plan: u64,
    pub(super) written: u64,
    pub(super) read: u64,
    /// The peer's end of stream was read.
    pub(super) saw_end: bool,
    pub(super) aborted: bool,
    /// How a call failed, if one did: nothing more is tried then.
    pub(super) error: Option<String>,
    pub(super) half_closed: bool,
    closed: bool,
    generator: Generator,
    side: u8,
    next: Instant,
    idle: Duration,
    longest_write: u32,
    longest_read: u32,
    longest_pause: Duration,
    sleepiness: f64,
    aborts_after: Option<u64>,
    exchanges_rings: bool,
    buffer: Vec<u8>,
}

/// The byte that side `side` writes at `position`.
fn byte(side: u8, position: u64) -> u8 {
    let mixed = (position ^ u64::from(side) << 60).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

impl User {
    pub(super) fn new(parameters: &Parameters, side: usize) -> User {
        User {
            listener: None,
            connection: None,
            plan: parameters.bytes[side],
            written: 0,
            read: 0,
            saw_end: false,
            aborted: false,
            error: None,
            half_closed: false,
            closed: false,
            generator: Generator::from_seed(parameters.seed.rotate_left(17) ^ side as u64),
            side: side as u8,
            next: Instant::ZERO,
            idle: Duration::ZERO,
            longest_write: parameters.longest_write[side],
            longest_read: parameters.longest_read[side],
            longest_pause: parameters.longest_pause[side],
            sleepiness: parameters.sleepiness[side],
            aborts_after: parameters.aborts_after[side],
            exchanges_rings: parameters.exchanges_rings,
            buffer: Vec::new(),
        }
    }

    /// Nothing is left to do for it.
    pub(super) fn done(&self) -> bool {
        self.closed
    }

    /// When it wants to act again.
    pub(super) fn next(&self) -> Option<Instant> {
        (!self.closed).then_some(self.next)
    }

    /// About how many writes its plan takes.
    pub(super) fn writes(&self) -> u64 {
        2 * self.plan / u64::from(self.longest_write) + 1
    }

    /// Does what it wants to do by now.
    pub(super) fn act(&mut self, now: Instant, stack: &mut Stack<HeapRing>) -> Result<(), String> {
        if self.closed || now < self.next {
            return Ok(());
        }
        let before = (self.read, self.written, self.half_closed);
        let result = self.do_something(now, stack);
        // Who finds nothing to do looks less and less often.
        self.idle = match before == (self.read, self.written, self.half_closed) {
            true => (self.idle * 2).clamp(Duration::from_micros(10), Duration::from_millis(50)),
            false => Duration::ZERO,
        };
        self.next = now + self.pause().max(self.idle);
        result
    }

    fn do_something(&mut self, now: Instant, stack: &mut Stack<HeapRing>) -> Result<(), String> {
        if self.connection.is_none()
            && let Some(listener) = self.listener
        {
            self.connection = stack.accept(now, listener);
        }
        let Some(id) = self.connection else {
            return Ok(());
        };
        let Some(view) = stack.view(id) else {
            return Err("the connection disappeared under its user".into());
        };
        if !view.connected && view.end.is_none() {
            return Ok(());
        }
        if self.aborts_after.is_some_and(|after| self.read >= after) {
            self.aborted = true;
            self.closed = true;
            // An end that came first is as good.
            stack.abort(now, id).ok();
            stack.close(now, id).ok();
            return Ok(());
        }
        if self.exchanges_rings && view.end.is_none() && self.generator.chance(0.02) {
            self.exchange_rings(now, id, &view, stack)?;
        }
        self.write(now, id, stack);
        self.read(now, id, stack)?;
        let finished = self.half_closed && self.saw_end;
        if finished || self.error.is_some() {
            self.closed = true;
            stack.close(now, id).map_err(|e| format!("close: {e}"))?;
        }
        Ok(())
    }

    /// Nobody will ever connect.
    pub(super) fn give_up(&mut self) {
        self.closed = true;
    }

    /// Stops listening, so that nothing is left at the end.
    pub(super) fn close_listener(&mut self, now: Instant, stack: &mut Stack<HeapRing>) {
        if let Some(listener) = self.listener.take() {
            stack.close_listener(now, listener);
        }
    }

    fn pause(&mut self) -> Duration {
        let most = u64::try_from(self.longest_pause.as_micros()).unwrap_or(u64::MAX);
        let pause = Duration::from_micros(self.generator.below(most + 1) + 10);
        if self.generator.chance(self.sleepiness) {
            return pause + Duration::from_millis(self.generator.below(12_000));
        }
        pause
    }

    /// Moves the connection into rings at least as large, or lets its own grow.
    fn exchange_rings(
        &mut self,
        now: Instant,
        id: EndpointId,
        view: &View,
        stack: &mut Stack<HeapRing>,
    ) -> Result<(), String> {
        let most = 1 << 20;
        let mut larger =
            |capacity: u32| (capacity << self.generator.below(2)).min(most.max(capacity));
        let (receive, send) = (larger(view.receive.capacity), larger(view.send.capacity));
        if self.generator.chance(0.5) {
            stack.grow_receive(now, id, receive);
            stack.grow_send(now, id, send);
            return Ok(());
        }
        let (receive, send) = (HeapRing::private(receive), HeapRing::private(send));
        stack
            .attach(now, id, receive, send)
            .map_err(|e| format!("attach: {e}"))
    }

    fn write(&mut self, now: Instant, id: EndpointId, stack: &mut Stack<HeapRing>) {
        if self.half_closed || self.error.is_some() {
            return;
        }
        let size = 1 + self.generator.below(self.longest_write.into());
        let size = size.min(self.plan - self.written);
        let (side, start) = (self.side, self.written);
        self.buffer.clear();
        self.buffer
            .extend((start..start + size).map(|position| byte(side, position)));
        if size > 0 {
            match stack.send(now, id, &self.buffer) {
                Ok(count) => self.written += count as u64,
                Err(SendError::Full) => {}
                Err(error) => self.error = Some(error.to_string()),
            }
        }
        if self.written == self.plan && self.error.is_none() {
            self.half_closed = true;
            if let Err(error) = stack.shutdown_write(now, id) {
                self.error = Some(error.to_string());
            }
        }
    }

    fn read(
        &mut self,
        now: Instant,
        id: EndpointId,
        stack: &mut Stack<HeapRing>,
    ) -> Result<(), String> {
        let size = 1 + self.generator.below(self.longest_read.into());
        self.buffer.resize(size as usize, 0);
        match stack.receive_into(now, id, &mut self.buffer) {
            Ok(0) => self.saw_end = true,
            Ok(count) => {
                for (index, found) in self.buffer[..count].iter().enumerate() {
                    let position = self.read + index as u64;
                    if *found != byte(1 - self.side, position) {
                        return Err(format!("byte {position} is not what was written there"));
                    }
                }
                self.read += count as u64;
            }
            Err(ReceiveError::Empty) => {}
            Err(error) => self.error = Some(error.to_string()),
        }
        Ok(())
    }
}
