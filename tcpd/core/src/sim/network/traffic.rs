//! Streams of known bytes between the hosts of a [`Network`], each compared byte by byte where it comes out.
//!
//! A stream has a connection of its own and goes one way: `from` opens it, writes whenever there is room, or piece by piece with pauses, and
//! closes; `to` reads whenever there is something, or slowly, and closes after the last byte. What is true of every stream:
//!
//! 1. what is read is what was written, in order; all of it when both sides got to their end;
//! 2. neither connection ends otherwise than in order;
//! 3. the number of packets stays in proportion to the bytes ([`Traffic::check_packets`]);
//! 4. a stack's rings hold no more than they were given, and at the end nothing is left ([`Traffic::wind_down`]).

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use super::{Network, START};
use crate::random::Generator;
use crate::stack::{
    CongestionControl, ConnectOptions, ConnectionOptions, EndpointId, Event, ListenOptions,
    ListenerId, ReceiveError, SendError, Status,
};
use crate::tcp::congestion::initial_window;
use crate::time::Instant;

mod checks;

/// What goes from one host to another.
#[derive(Debug, Clone)]
pub struct Stream {
    /// The host that opens and writes.
    pub from: usize,
    /// The host that listens and reads.
    pub to: usize,
    /// How much is written; `u64::MAX`: until the clock stops.
    pub bytes: u64,
    /// When it is opened, after the start of the network.
    pub starts: Duration,
    /// The reader takes at most so many bytes each time, and then pauses for so long; `None`: everything at once, always.
    pub reads: Option<(u32, Duration)>,
    /// The writer has at most so many bytes each time, and pauses for so long before the next; `None`: all of them, always.
    pub writes: Option<(u32, Duration)>,
    /// What the writer's connection starts with.
    pub options: ConnectionOptions,
}

impl Stream {
    /// Endless, from the first moment on, read at once.
    #[must_use]
    pub fn endless(from: usize, to: usize) -> Stream {
        Stream {
            from,
            to,
            bytes: u64::MAX,
            starts: Duration::ZERO,
            reads: None,
            writes: None,
            options: ConnectionOptions::default(),
        }
    }
}

/// How far a stream is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// What was asked for.
    pub stream: Stream,
    /// Bytes that the sender's ring has taken.
    pub written: u64,
    /// Bytes that the reader has read and compared.
    pub read: u64,
    /// When the reader read the end of the stream.
    pub finished: Option<Instant>,
    sender: Option<EndpointId>,
    listener: Option<ListenerId>,
    receiver: Option<EndpointId>,
    /// Who is done and has let go.
    closed: [bool; 2],
    /// When a slow reader looks again.
    next_read: Instant,
    /// When a writer who pauses has more, and how far into the stream it has bytes now.
    next_write: Instant,
    has: u64,
    /// How often it had more after the sender had been idle for longer than its timeout.
    pub restarts: u64,
    /// How often its controller was exchanged.
    pub switched: u64,
}

impl Progress {
    fn is_over(&self) -> bool {
        self.closed == [true, true]
    }
}

/// A network and its streams.
pub struct Traffic {
    /// Where they are.
    pub network: Network,
    streams: Vec<Progress>,
    buffer: Vec<u8>,
    tunes: bool,
}

/// The port of the first stream; the others follow.
const FIRST_PORT: u16 = 1_000;
/// Longest piece of one read or write, bytes.
const PIECE: usize = 64 << 10;
/// How long the pattern is until it repeats: a prime, so that bytes which are a ring or any other power of two astray do not fit.
const PERIOD: usize = 65_521;

static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = vec![0; PERIOD];
    Generator::from_seed(0x7061_7474).fill(&mut bytes);
    bytes.extend_from_within(..);
    bytes.extend_from_within(..PIECE);
    bytes
});

/// `length` bytes of stream `number` from `position` on, 64 KiB at most.
#[must_use]
pub fn pattern(number: usize, position: u64, length: usize) -> &'static [u8] {
    let start = ((position + 7_919 * number as u64) % PERIOD as u64) as usize;
    &PATTERN[start..start + length]
}

impl Traffic {
    /// Streams that have yet to begin.
    ///
    /// # Errors
    /// That a host would not listen.
    pub fn new(mut network: Network, streams: Vec<Stream>) -> Result<Traffic, String> {
        let mut progress = Vec::new();
        for (number, stream) in streams.into_iter().enumerate() {
            let options = ListenOptions {
                port: FIRST_PORT + number as u16,
                connection: stream.options,
                ..ListenOptions::default()
            };
            let now = network.now();
            let listener = network.stack(stream.to).listen(now, options);
            progress.push(Progress {
                written: 0,
                read: 0,
                finished: None,
                sender: None,
                listener: Some(listener.map_err(|e| format!("listen: {e}"))?),
                receiver: None,
                closed: [false; 2],
                next_read: START,
                next_write: START,
                has: stream.writes.map_or(u64::MAX, |_| 0),
                restarts: 0,
                switched: 0,
                stream,
            });
        }
        Ok(Traffic {
            network,
            streams: progress,
            buffer: vec![0; PIECE],
            tunes: false,
        })
    }

    /// From now on rings grow as their stacks would have them, up to the configured maxima ([`Stack::tune_rings`](crate::stack::Stack::tune_rings)).
    pub fn tune_rings(&mut self) {
        self.tunes = true;
    }

    /// How far each stream is.
    #[must_use]
    pub fn streams(&self) -> &[Progress] {
        &self.streams
    }

    /// Whether nobody has anything left to do.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.streams.iter().all(Progress::is_over)
    }

    /// Everything that the sender of a stream knows.
    #[must_use]
    pub fn sender(&self, number: usize) -> Option<Status> {
        let stream = &self.streams[number];
        self.network.look(stream.stream.from).status(stream.sender?)
    }

    /// Everything that the reader of a stream knows.
    #[must_use]
    pub fn receiver(&self, number: usize) -> Option<Status> {
        let stream = &self.streams[number];
        self.network.look(stream.stream.to).status(stream.receiver?)
    }

    /// Lets time pass until `until`, or until every stream is over.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn run(&mut self, until: Instant) -> Result<(), String> {
        while !self.is_over() {
            let now = self.network.now();
            for number in 0..self.streams.len() {
                self.open(number, now)?;
            }
            let wake = self.streams.iter().filter_map(Progress::wakes).min();
            let went_on = self.network.step(wake.unwrap_or(until).min(until))?;
            let now = self.network.now();
            self.hear()?;
            for number in 0..self.streams.len() {
                if self.streams[number].next_read <= now
                    && self.streams[number].stream.reads.is_some()
                {
                    self.read(number)?;
                }
                let piece = self.streams[number].next_piece();
                if piece.is_some_and(|at| at <= now) {
                    self.write_after_pause(number)?;
                }
            }
            self.network.flush()?;
            if !went_on && now >= until {
                break;
            }
        }
        Ok(())
    }

    fn open(&mut self, number: usize, now: Instant) -> Result<(), String> {
        let stream = &self.streams[number];
        if stream.sender.is_some() || now < START + stream.stream.starts {
            return Ok(());
        }
        let remote = SocketAddr::new(
            self.network.address_of(stream.stream.to),
            FIRST_PORT + number as u16,
        );
        let options = ConnectOptions {
            connection: stream.stream.options,
            ..ConnectOptions::to(remote)
        };
        let stack = self.network.stack(stream.stream.from);
        let id = stack.connect(now, options);
        self.streams[number].sender = Some(id.map_err(|e| format!("connect: {e}"))?);
        self.network.flush()
    }

    /// Lets the users act on what their stacks tell.
    fn hear(&mut self) -> Result<(), String> {
        for host in 0..self.network.hosts() {
            while let Some(event) = self.network.poll_event(host) {
                match event {
                    Event::Incoming { listener } => self.accept(host, listener)?,
                    Event::Changed { endpoint, .. } => self.changed(host, endpoint)?,
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, host: usize, listener: ListenerId) -> Result<(), String> {
        let ours =
            |stream: &Progress| stream.stream.to == host && stream.listener == Some(listener);
        let Some(number) = self.streams.iter().position(ours) else {
            return Ok(());
        };
        let now = self.network.now();
        if let Some(id) = self.network.stack(host).accept(now, listener) {
            self.streams[number].receiver = Some(id);
            self.read(number)?;
        }
        Ok(())
    }

    fn changed(&mut self, host: usize, id: EndpointId) -> Result<(), String> {
        for number in 0..self.streams.len() {
            let stream = &self.streams[number];
            if stream.stream.from == host && stream.sender == Some(id) {
                return self.write(number);
            }
            if stream.stream.to == host && stream.receiver == Some(id) {
                return match stream.stream.reads {
                    None => self.read(number),
                    Some(_) => Ok(()),
                };
            }
        }
        Ok(())
    }

    fn write(&mut self, number: usize) -> Result<(), String> {
        let now = self.network.now();
        let stream = &mut self.streams[number];
        let Some(id) = stream.sender.filter(|_| !stream.closed[0]) else {
            return Ok(());
        };
        let host = stream.stream.from;
        if let Some(view) = self.network.look(host).view(id) {
            if let Some(reason) = view.end {
                return self.ended(number, "the writer", &format!("{reason:?}"));
            }
            if !view.connected {
                return Ok(());
            }
        }
        if let Some((piece, pause)) = stream.stream.writes
            && stream.has <= stream.written
            && stream.next_write <= now
        {
            stream.has = stream.written.saturating_add(piece.into());
            stream.next_write = now + pause;
        }
        let has = stream.has.min(stream.stream.bytes);
        let stack = self.network.stack(host);
        while stream.written < has {
            let left = has - stream.written;
            let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            match stack.send(now, id, pattern(number, stream.written, length)) {
                Ok(count) => stream.written += count as u64,
                Err(SendError::Full) if self.tunes && stack.tune_rings(now, id) => {}
                Err(SendError::Full) => return Ok(()),
                Err(error) => return self.ended(number, "the writer", &error.to_string()),
            }
        }
        if stream.written < stream.stream.bytes {
            return Ok(());
        }
        stream.closed[0] = true;
        stack.close(now, id).map_err(|e| format!("close: {e}"))
    }

    /// Its user has more. RFC 5681 §4.1: after an idle time longer than the timeout no more than an initial window goes out at once.
    fn write_after_pause(&mut self, number: usize) -> Result<(), String> {
        let now = self.network.now();
        let before = self.sender(number).filter(|status| {
            status.counted
                && status.snd_una == status.snd_nxt
                && status.bytes_out > 0
                && now.duration_since(status.last_sent) > status.rto
        });
        self.write(number)?;
        self.network.flush()?;
        let Some(before) = before else { return Ok(()) };
        let Some(after) = self.sender(number) else {
            return Ok(());
        };
        self.streams[number].restarts += 1;
        // A FIN takes a number as well.
        if after.in_flight > initial_window(before.mss_send) + 1 {
            return Err(format!(
                "stream {number}: {} bytes at once after an idle time of {:?}, with a timeout of {:?}",
                after.in_flight,
                now.duration_since(before.last_sent),
                before.rto
            ));
        }
        Ok(())
    }

    /// Another controller for the sender of a stream from now on, if it is connected.
    ///
    /// # Errors
    /// That it is not the one asked for, or that anything else changed with it.
    pub fn switch(&mut self, number: usize, kind: CongestionControl) -> Result<(), String> {
        let now = self.network.now();
        let stream = &self.streams[number];
        let (Some(id), host) = (stream.sender, stream.stream.from) else {
            return Ok(());
        };
        let before = self.sender(number);
        if self
            .network
            .stack(host)
            .set_congestion(now, id, kind)
            .is_err()
        {
            return Ok(());
        }
        let (Some(before), Some(after)) = (before, self.sender(number)) else {
            return Err(format!("stream {number} is gone with its controller"));
        };
        // What is the controller's own, and nothing else.
        let mut expected = Status {
            congestion: kind.name(),
            pacing_rate: after.pacing_rate,
            ..before.clone()
        };
        expected.options.congestion = Some(kind);
        if after != expected {
            return Err(format!(
                "stream {number} with another controller: {before:?} became {after:?}"
            ));
        }
        self.streams[number].switched += u64::from(before.congestion != after.congestion);
        Ok(())
    }

    fn read(&mut self, number: usize) -> Result<(), String> {
        let now = self.network.now();
        let stream = &mut self.streams[number];
        let Some(id) = stream.receiver.filter(|_| !stream.closed[1]) else {
            return Ok(());
        };
        let mut most = usize::MAX;
        if let Some((bytes, pause)) = stream.stream.reads {
            most = bytes as usize;
            stream.next_read = now + pause;
        }
        let stack = self.network.stack(stream.stream.to);
        while most > 0 {
            let piece = most.min(PIECE);
            match stack.receive_into(now, id, &mut self.buffer[..piece]) {
                Ok(0) => {
                    stream.finished = Some(now);
                    stream.closed[1] = true;
                    return stack.close(now, id).map_err(|e| format!("close: {e}"));
                }
                Ok(count) => {
                    if self.buffer[..count] != *pattern(number, stream.read, count) {
                        return Err(format!(
                            "stream {number}: of the {count} bytes from {} on some are not what was written there",
                            stream.read
                        ));
                    }
                    stream.read += count as u64;
                    most -= count;
                    if self.tunes {
                        stack.tune_rings(now, id);
                    }
                }
                Err(ReceiveError::Empty) => return Ok(()),
                Err(error) => return self.ended(number, "the reader", &error.to_string()),
            }
        }
        Ok(())
    }

    fn ended(&self, number: usize, who: &str, how: &str) -> Result<(), String> {
        Err(format!(
            "stream {number}: {who} found its connection ended: {how}; {}",
            self.progress(number)
        ))
    }

    fn progress(&self, number: usize) -> String {
        let stream = &self.streams[number];
        format!(
            "host {} wrote {} bytes, host {} read {}",
            stream.stream.from, stream.written, stream.stream.to, stream.read
        )
    }
}

impl Progress {
    /// When its users want to act without being told to.
    fn wakes(&self) -> Option<Instant> {
        if self.sender.is_none() {
            return Some(START + self.stream.starts);
        }
        let slow = self.stream.reads.is_some() && self.receiver.is_some() && !self.closed[1];
        let reads = slow.then_some(self.next_read);
        reads.into_iter().chain(self.next_piece()).min()
    }

    /// When a writer who pauses has more.
    fn next_piece(&self) -> Option<Instant> {
        let pauses = self.stream.writes.is_some() && self.written > 0 && !self.closed[0];
        (pauses && self.has <= self.written).then_some(self.next_write)
    }
}
