//! A whole conversation decided by one seed: two stacks with random settings, a random network between them, users who write,
//! read, pause and close as chance has it; and what must be true of every one of them.
//!
//! 1. What one side reads is what the other wrote, byte by byte; all of it, unless a side aborts.
//! 2. Both sides get to their end in bounded time, with a bounded number of packets.
//! 3. The right edge of every window offered never moves left (RFC 9293 §3.8.6 SHLD-14).
//! 4. Every packet on the wire is well-formed, and what came in was accepted or dropped with a reason.
//! 5. At the end nothing is left: no connection, no timer.
//! 6. A stranger off the path, who guesses numbers, changes nothing of this.

mod parameters;
mod stranger;
mod user;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::pair::{End, Pair};
use super::right_edge::RightEdges;
use super::well_formed::segment_of;
use crate::stack::{ConnectOptions, ConnectionOptions, ListenOptions, Stack};
use crate::tcp::buffer::HeapRing;
use crate::tcp::drop_reason::DropReason;
use crate::time::Instant;

pub(super) use parameters::KEEP_ALIVE;
pub use parameters::Parameters;
use stranger::Stranger;
use user::User;

/// What a conversation came to.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Bytes that arrived at the users of both sides.
    pub bytes: u64,
    /// Packets that both sides sent.
    pub packets: u64,
    /// The virtual time it took, TIME-WAIT included.
    pub duration: Duration,
    /// Whether a side aborted.
    pub aborted: bool,
}

/// A conversation in which something was not as it must be.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The seed that decides everything.
    pub seed: u64,
    /// The command that repeats it.
    pub command: String,
    /// What was wrong.
    pub message: String,
    /// What the seed means.
    pub parameters: String,
    /// The packets up to then.
    pub ladder: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.message)?;
        writeln!(f, "{}", self.parameters)?;
        if !self.ladder.is_empty() {
            write!(f, "{}", self.ladder)?;
        }
        write!(f, "to repeat it: {}", self.command)
    }
}

impl std::error::Error for Broken {}

/// The port of the listening side.
const PORT: u16 = 7;
/// Virtual time after which a conversation counts as stuck.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// Runs the conversation of a seed.
///
/// # Errors
/// The first thing that is not as it must be, with the ladder of what led there.
pub fn run(seed: u64) -> Result<Conversation, Box<Broken>> {
    let parameters = Parameters::from_seed(seed);
    if let Ok(conversation) = converse(&parameters, false) {
        return Ok(conversation);
    }
    // Once more for the picture: recording costs too much to do it always.
    match converse(&parameters, true) {
        Err((message, ladder)) => Err(broken(&parameters, message, ladder)),
        Ok(_) => Err(broken(
            &parameters,
            "went wrong once and right the second time: something is not decided by the seed"
                .into(),
            String::new(),
        )),
    }
}

fn broken(parameters: &Parameters, message: String, ladder: String) -> Box<Broken> {
    Box::new(Broken {
        seed: parameters.seed,
        command: format!(
            "cargo xtask soak --only conversations --from {} --seeds 1",
            parameters.seed
        ),
        message,
        parameters: parameters.to_string(),
        ladder,
    })
}

/// The last rows of a ladder that a report shows.
pub(super) const LADDER_LINES: usize = 120;

fn converse(parameters: &Parameters, record: bool) -> Result<Conversation, (String, String)> {
    let mut pair = Pair::new(
        parameters.stacks.clone(),
        parameters.links.clone(),
        parameters.ipv6,
        parameters.seed,
    );
    if record {
        pair.record();
    }
    if parameters.offload {
        pair.offload();
    }
    let mut edges = RightEdges::default();
    pair.watch(Box::new(move |_, end, packet| {
        let (_, segment) = segment_of(end, packet)?;
        segment.map_or(Ok(()), |segment| edges.check(end, &segment))
    }));
    let result = super::catching(|| {
        Talk::begin(parameters, &mut pair).and_then(|mut talk| talk.finish(&mut pair))
    });
    let result = result.unwrap_or_else(|panic| Err(format!("panicked: {panic}")));
    result.map_err(|message| {
        let mut picture = pair.ladder().render_last(LADDER_LINES);
        for end in End::BOTH {
            picture += &format!("{end:?} dropped: {}\n", drops(pair.stack(end)));
        }
        (message, picture)
    })
}

/// What a stack dropped, with reasons.
pub(super) fn drops(stack: &Stack<HeapRing>) -> String {
    let reasons = DropReason::ALL.iter().filter_map(|reason| {
        let count = stack.counters().dropped(*reason);
        (count > 0).then(|| format!("{count} {reason}"))
    });
    let list: Vec<String> = reasons.collect();
    match list.is_empty() {
        true => "nothing".into(),
        false => list.join(", "),
    }
}

/// Two users and the connection between them.
struct Talk<'p> {
    parameters: &'p Parameters,
    users: [User; 2],
    stranger: Option<Stranger>,
    started: Instant,
}

impl<'p> Talk<'p> {
    fn begin(parameters: &'p Parameters, pair: &mut Pair) -> Result<Talk<'p>, String> {
        let now = pair.now();
        let mut users = parameters.users();
        let connection = ConnectionOptions {
            keepalive: Some(parameters::KEEP_ALIVE),
            ..ConnectionOptions::default()
        };
        let [left, right] = End::BOTH.map(|end| Pair::address(end, parameters.ipv6));
        if parameters.simultaneous_open {
            let (here, there) = (6_000, PORT);
            for (end, port, remote) in [
                (End::Left, here, SocketAddr::new(right, there)),
                (End::Right, there, SocketAddr::new(left, here)),
            ] {
                let options = ConnectOptions {
                    local_port: port,
                    connection,
                    ..ConnectOptions::to(remote)
                };
                let id = pair.stack(end).connect(now, options);
                users[end as usize].connection = Some(id.map_err(|e| format!("connect: {e}"))?);
            }
        } else {
            let options = ListenOptions {
                port: PORT,
                connection,
                ..ListenOptions::default()
            };
            let listener = pair.stack(End::Right).listen(now, options);
            users[1].listener = Some(listener.map_err(|e| format!("listen: {e}"))?);
            let options = ConnectOptions {
                connection,
                ..ConnectOptions::to(SocketAddr::new(right, PORT))
            };
            let id = pair.stack(End::Left).connect(now, options);
            users[0].connection = Some(id.map_err(|e| format!("connect: {e}"))?);
        }
        pair.flush()?;
        Ok(Talk {
            parameters,
            users,
            stranger: parameters
                .stranger
                .map(|pause| Stranger::new(parameters.seed, pause)),
            started: now,
        })
    }

    fn finish(&mut self, pair: &mut Pair) -> Result<Conversation, String> {
        let limit = self.started + LONGEST;
        while self.users.iter().any(|user| !user.done()) {
            let wakes = self.users.iter().filter_map(User::next);
            let wake = wakes
                .chain(self.stranger.as_ref().map(Stranger::next))
                .min();
            pair.step(wake.unwrap_or(limit).min(limit))?;
            let now = pair.now();
            for end in End::BOTH {
                let user = &mut self.users[end as usize];
                user.act(now, pair.stack(end))
                    .map_err(|message| format!("{end:?} user at {now}: {message}"))?;
            }
            if let Some(stranger) = &mut self.stranger {
                stranger.act(now, pair);
            }
            pair.flush()?;
            self.forget_who_never_came(pair);
            if now >= limit {
                return Err(format!("not over after {LONGEST:?}: {}", self.progress()));
            }
            if pair.packets() > self.most_packets() {
                return Err(format!(
                    "a storm: {} packets; {}",
                    pair.packets(),
                    self.progress()
                ));
            }
        }
        self.check_streams()?;
        let spoken = pair.packets();
        self.wind_down(pair, limit)?;
        let after = pair.packets() - spoken;
        if after > 2_000 {
            return Err(format!("{after} packets after both users were done"));
        }
        Ok(Conversation {
            bytes: self.users.iter().map(|user| user.read).sum(),
            packets: pair.packets(),
            duration: pair.now().duration_since(self.started),
            aborted: self.users.iter().any(|user| user.aborted),
        })
    }

    /// A listener whose peer gave up during the handshake has nobody to talk to.
    fn forget_who_never_came(&mut self, pair: &mut Pair) {
        let [left, right] = &mut self.users;
        let alone = pair.stack(End::Right).endpoints().count() == 1;
        if left.aborted && right.connection.is_none() && alone {
            right.give_up();
        }
    }

    /// Everything that is left runs out by itself: TIME-WAIT, lost last ACKs, orphans.
    fn wind_down(&mut self, pair: &mut Pair, limit: Instant) -> Result<(), String> {
        for end in End::BOTH {
            self.users[end as usize].close_listener(pair.now(), pair.stack(end));
        }
        pair.flush()?;
        let limit = limit + Duration::from_secs(3600);
        while pair.step(limit)? {}
        for end in End::BOTH {
            let stack = pair.stack(end);
            if let Some(left) = stack.endpoints().next() {
                return Err(format!("{end:?} still has {left:?} at the end of time"));
            }
            check_counters(stack).map_err(|message| format!("{end:?}: {message}"))?;
        }
        Ok(())
    }

    fn check_streams(&self) -> Result<(), String> {
        for end in End::BOTH {
            let (reader, writer) = (&self.users[end as usize], &self.users[end.other() as usize]);
            let whole = reader.saw_end && reader.read == writer.written;
            let excused = reader.aborted || writer.aborted;
            // The last ACK was lost for longer than the other end's TIME-WAIT lasts: everything has arrived on both sides, and the one in
            // LAST-ACK cannot know it. The RST that it hears is told (RFC 9293 §3.6).
            let unsure = reader.half_closed
                && reader.read == writer.written
                && (writer.saw_end && writer.read == reader.written);
            if !whole && !excused && !unsure {
                return Err(format!(
                    "{end:?} read {} of {} bytes and ended with {:?}; {}",
                    reader.read,
                    writer.written,
                    reader.error,
                    self.progress()
                ));
            }
            if reader.read > writer.written {
                return Err(format!("{end:?} read more than was written"));
            }
        }
        Ok(())
    }

    /// A generous bound: every packet of data thrice with an ACK each way, probes, and what the network repeats.
    fn most_packets(&self) -> u64 {
        let bytes: u64 = self.users.iter().map(|user| user.plan).sum();
        let writes: u64 = self.users.iter().map(User::writes).sum();
        let provoked = self.stranger.as_ref().map_or(0, |stranger| stranger.sent);
        10_000 + 20 * (bytes / self.parameters.least_mss() + writes) + 2 * provoked
    }

    fn progress(&self) -> String {
        let text = |user: &User| {
            format!(
                "wrote {} of {}, read {}, end seen {}, error {:?}",
                user.written, user.plan, user.read, user.saw_end, user.error
            )
        };
        format!(
            "left {}; right {}",
            text(&self.users[0]),
            text(&self.users[1])
        )
    }
}

/// What came in was accepted or dropped with a reason.
fn check_counters(stack: &Stack<HeapRing>) -> Result<(), String> {
    let counters = stack.counters();
    let (came, accepted) = (counters.segments_in, counters.segments_accepted);
    let dropped = counters.dropped_in_all();
    if came != accepted + dropped {
        return Err(format!(
            "{came} packets came in, but {accepted} were accepted and {dropped} dropped"
        ));
    }
    Ok(())
}
