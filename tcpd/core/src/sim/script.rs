//! Scripts in a subset of packetdrill's language, run against a stack in virtual time.
//!
//! A script plays the far end and the local program; the stack under test does the rest.
//!
//! ```text
//! // RFC 9293 §3.10.7.2: a SYN to a listener is answered with SYN,ACK.      the rule, always the first line
//! --set msl=60s                                                            settings, see `settings.rs`
//!  0    socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
//! +0    bind(3, ..., ...) = 0
//! +0    listen(3, 1) = 0
//! +0.1  < S 0:0(0) win 65535 <mss 1000>
//! +0    > S. 0:0(0) ack 1 <mss 1460>
//! +0.1  < . 1:1(0) ack 1
//! +0    accept(3, ..., ...) = 4
//! +0    state(4) = ESTABLISHED
//! ```
//!
//! * **Time**: `0.1` absolute, `+.1` after the event before, `0.1~0.2` and `+.1~+.2` within, `*` whenever. A call that blocks is
//!   written with the time of its return: `0.1...0.3 connect(3, ..., ...) = 0`. Virtual time is exact; what the stack does may
//!   come up to `--tolerance_usecs` (1000) later or earlier than the script says.
//! * **Packets**: `<` is sent by the far end, `>` must be the next packet that the stack sends. Sequence numbers are relative:
//!   the far end's begin where the script says, ours at the SYN that a script names first. Payload bytes are a pattern of their
//!   position, written, checked and read by the runner: data that arrives in the wrong place fails a script by itself. So do
//!   wrong checksums, and packets that no line expects. `win` is what stands in the header. Without `win` an expected packet
//!   may have any window, an injected one repeats the last.
//! * **Calls**: `socket`, `bind`, `listen`, `accept`, `connect`, `read`, `recv`, `write`, `send`, `shutdown`, `close`,
//!   `setsockopt`, `getsockopt`, `fcntl`, with result and errno; `state(4) = FIN-WAIT-2`, and `state()` for the
//!   connection between the script's ports, whoever holds it.
//! * **Assertions**: `%{ assert snd_cwnd == 10000, tcpi_state == ESTABLISHED }%`, see `assertions.rs`; an empty block is a pause.
//! * **Beyond packetdrill**: `[peer 2]` before a packet and `peer 2` as an address name another far end (a port of its own);
//!   `[from "224.0.0.1"]`, `to`, `from_port`, `to_port`, `bad_checksum`, `reserved`, `data_offset`, `traffic_class`, `noecn`,
//!   `ect0`, `ect1`, `ce` (its ECN field alone), `trailer`, `segment_size` bend a packet; `raw "1e03aa"` is an option byte for byte; `TS val any` looks at no value,
//!   `ecr last` echoes the newest.

use std::fmt;

mod assertions;
mod calls;
mod compare;
mod flow;
mod frame;
mod lexer;
mod parser;
mod report;
mod runner;
mod settings;
mod syntax;

pub use report::{Failure, Report};
pub use syntax::Script;

/// Where something stands in a script, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The character in the line.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong with the text of a script: nothing of it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// Where.
    pub place: Place,
    /// What was expected there, and what was found.
    pub message: String,
}

impl ScriptError {
    fn new(place: Place, message: String) -> ScriptError {
        ScriptError { place, message }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for ScriptError {}

impl Script {
    /// Reads a script; `name` is for messages.
    ///
    /// # Errors
    /// The first thing that is not of the language, with its place and what was expected.
    pub fn parse(name: &str, text: &str) -> Result<Script, ScriptError> {
        let script = parser::parse(name, text)?;
        settings::Settings::of(&script)?;
        Ok(script)
    }

    /// Plays the script against a stack of its own. `seed` places the sequence numbers of both sides; nothing that a script
    /// sees depends on it.
    ///
    /// # Errors
    /// The first event that did not happen as written, with the packets side by side and the ladder up to it.
    pub fn run(&self, seed: u64) -> Result<Report, Failure> {
        let settings =
            settings::Settings::of(self).map_err(|error| Failure::of_text(&self.name, error))?;
        runner::Runner::new(self, settings, seed).run()
    }
}

#[cfg(test)]
mod tests;
