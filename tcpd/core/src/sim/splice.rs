//! Two ends of one pair of addresses and ports that do not belong together: each has a history of its own with another peer, and from
//! one moment on they talk to each other. What must be true of every such couple, whatever states, numbers, windows, timestamps and
//! pending text it was put together from:
//!
//! Two virtual seconds later they are quiet: a packet is caused by a timer or a user, or it is the one answer to such a packet, or it
//! follows one that got something done (a state, SND.UNA or RCV.NXT moved, of which there is only so much; two seconds count from there
//! as well, for in one direction the two may agree). Only a RST, which nothing ever answers, may be an answer to an answer
//! (RFC 9293 §3.10.7, RFC 5961 §7: no war of ACKs); or the answer to what looks like keepalive because it has crossed text.
//! One other answer to an answer a side, once, is let pass as well, for keepalive may cross text.
//!
//! No door into the stack is needed: two real handshakes, and then each loses its peer to the other (see [`half`](self)).

mod half;
mod network;

use std::fmt;
use std::time::Duration;

use crate::random::Generator;
use crate::stack::State;
use half::Half;
use network::Network;

/// After so long they must be quiet.
const RESTLESS: Duration = Duration::from_secs(2);
/// For so long they are watched.
const WATCHED: Duration = Duration::from_secs(20);

/// What became of a couple.
#[derive(Debug, Clone, Copy)]
pub struct Couple {
    /// The states they were in when they met; `None` for CLOSED.
    pub states: [Option<State>; 2],
    /// Packets they sent.
    pub packets: u64,
    /// When the last answer to an answer was sent, from when they met.
    pub quiet_after: Duration,
}

/// A couple that did not fall silent.
#[derive(Debug, Clone)]
pub struct Restless {
    /// The seed that decides everything.
    pub seed: u64,
    /// What was wrong.
    pub message: String,
    /// What the two were, and the packets up to then.
    pub ladder: String,
}

impl fmt::Display for Restless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {}\n{}to repeat it: TCPD_COUPLES_FROM={} TCPD_COUPLES=1 cargo test -p tcpd-core --test disagreement",
            self.seed, self.message, self.ladder, self.seed
        )
    }
}

impl std::error::Error for Restless {}

/// Puts the couple of a seed together and watches it.
///
/// # Errors
/// The first packet that should not have been sent, or a broken invariant, with the ladder of what led there.
pub fn run(seed: u64) -> Result<Couple, Box<Restless>> {
    if let Ok(couple) = super::catching(|| watch(seed, false)).unwrap_or_else(panicked) {
        return Ok(couple);
    }
    // Once more for the picture.
    let (message, ladder) = match super::catching(|| watch(seed, true)).unwrap_or_else(panicked) {
        Err(broken) => broken,
        Ok(_) => (
            "went wrong once and right the second time: something is not decided by the seed"
                .into(),
            String::new(),
        ),
    };
    Err(Box::new(Restless {
        seed,
        message,
        ladder,
    }))
}

fn panicked(text: String) -> Result<Couple, (String, String)> {
    Err((format!("panicked: {text}"), String::new()))
}

fn watch(seed: u64, record: bool) -> Result<Couple, (String, String)> {
    let mut generator = Generator::from_seed(seed ^ 0x0005_911c_ed00);
    let ipv6 = generator.chance(0.2);
    let secrets = Secrets::draw(&mut generator);
    let halves = [0, 1].map(|side| Half::draw(side, ipv6, &secrets, &mut generator));
    let states = [halves[0].state(), halves[1].state()];
    let delay = Duration::from_micros(50 << generator.below(12));
    let mut network = Network::join(halves, delay, &mut generator);
    if record {
        network.record();
    }
    let met = network.now();
    let result = network
        .run(RESTLESS, met + WATCHED)
        .and_then(|()| network.check_counters());
    match result {
        Ok(()) => Ok(Couple {
            states,
            packets: network.packets(),
            quiet_after: network.quiet_since().duration_since(met),
        }),
        Err(message) => Err((message, network.picture())),
    }
}

/// Who knows whose secret: with the same secret and start the numbers of both histories lie close together, as those of two ends of one
/// connection that have lost track; with others anywhere.
struct Secrets {
    /// Of the stack on each side, in the left history and in the right one.
    seeds: [[u64; 2]; 2],
}

impl Secrets {
    fn draw(generator: &mut Generator) -> Secrets {
        let common = [generator.next_u64(), generator.next_u64()];
        let mut seeds = [common, common];
        match generator.below(8) {
            0 => seeds[1] = [generator.next_u64(), generator.next_u64()],
            1 => seeds[1][0] = generator.next_u64(),
            2 => seeds[1][1] = generator.next_u64(),
            _ => {}
        }
        Secrets { seeds }
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn the_same_seed_gives_the_same_couple() {
        let once = run(7).expect("quiet");
        let again = run(7).expect("quiet");
        assert_eq!(once.states, again.states);
        assert_eq!(once.packets, again.packets);
        assert_eq!(once.quiet_after, again.quiet_after);
    }
}
