//! TCP options (RFC 9293 §3.2, RFC 7323, RFC 2018, RFC 5482).
//!
//! The parser is total: it never fails, and every turn of its loop consumes at least one byte. Options before a
//! malformed one are honoured, the rest is ignored (MUST-7). Unknown options are skipped by their length (MUST-6). Of two
//! options of one kind the last one counts.

use std::fmt;
use std::time::Duration;

use super::{SequenceNumber, be16, be32};

/// Bytes a header has room for.
pub const MAX_OPTIONS_LEN: usize = 40;
/// The largest window shift (RFC 7323 §2.3); a larger one on the wire is used as this.
pub const MAX_WINDOW_SCALE: u8 = 14;
/// Bytes that timestamps take in every segment, padding included.
pub const TIMESTAMPS_LEN: usize = 12;

// The mandatory three (RFC 9293 §3.1 MUST-4), then those of RFC 7323, RFC 2018 and RFC 5482.
const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const USER_TIMEOUT: u8 = 28;

/// TSval and TSecr (RFC 7323 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the clock value echoed; meaningful with ACK.
    pub echo: u32,
}

/// For how long the sender of it puts up with data that stays unacknowledged: a granularity bit and 15 bits of seconds or minutes
/// (RFC 5482 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserTimeout(pub u16);

impl UserTimeout {
    const IN_MINUTES: u16 = 1 << 15;

    /// The time it stands for. Zero is a value that a peer can write; RFC 5482 §3 reserves it.
    pub fn duration(self) -> Duration {
        let unit = match self.0 & Self::IN_MINUTES {
            0 => 1,
            _ => 60,
        };
        Duration::from_secs(u64::from(self.0 & !Self::IN_MINUTES) * unit)
    }
}

/// Up to four blocks of received numbers: `start =< n < end` (RFC 2018).
#[derive(Clone, Copy, Default)]
pub struct SackBlocks {
    blocks: [(SequenceNumber, SequenceNumber); SackBlocks::MAX],
    len: u8,
}

impl SackBlocks {
    /// How many blocks a header has room for (three beside timestamps).
    pub const MAX: usize = 4;

    /// Appends a block; false, and nothing done, when there are four already.
    pub fn push(&mut self, start: SequenceNumber, end: SequenceNumber) -> bool {
        let Some(slot) = self.blocks.get_mut(usize::from(self.len)) else {
            return false;
        };
        *slot = (start, end);
        self.len += 1;
        true
    }

    /// The blocks in wire order.
    pub fn as_slice(&self) -> &[(SequenceNumber, SequenceNumber)] {
        &self.blocks[..usize::from(self.len)]
    }

    /// How many blocks there are.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl PartialEq for SackBlocks {
    fn eq(&self, other: &SackBlocks) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SackBlocks {}

impl fmt::Debug for SackBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// The options of one segment as values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpOptions {
    /// Maximum segment size; any value a peer can write, the user clamps (RFC 9293 §3.7.1).
    pub mss: Option<u16>,
    /// Window shift as it stood on the wire; values above [`MAX_WINDOW_SCALE`] are to be used as that.
    pub window_scale: Option<u8>,
    /// SACK is understood by the sender.
    pub sack_permitted: bool,
    /// Blocks the sender holds above what it acknowledges.
    pub sack: SackBlocks,
    /// TSval and TSecr.
    pub timestamps: Option<Timestamps>,
    /// The sender's user timeout. Never acted upon, and never sent: a user timeout is a local matter.
    pub user_timeout: Option<UserTimeout>,
}

impl TcpOptions {
    /// Reads the option bytes of a header. Never fails; see the module's rules.
    pub fn parse(mut bytes: &[u8]) -> TcpOptions {
        let mut options = TcpOptions::default();
        while let Some((kind, body, rest)) = next_option(bytes) {
            options.take(kind, body);
            bytes = rest;
        }
        options
    }

    /// Notes one well-formed option; one of a known kind with a wrong length says nothing.
    fn take(&mut self, kind: u8, body: &[u8]) {
        match (kind, body.len()) {
            (MSS, 2) => self.mss = Some(be16(body, 0)),
            (WINDOW_SCALE, 1) => self.window_scale = Some(body[0]),
            (SACK_PERMITTED, 0) => self.sack_permitted = true,
            (SACK, len) if len >= 8 && len.is_multiple_of(8) => {
                self.sack = SackBlocks::default();
                for block in body.chunks_exact(8) {
                    self.sack.push(
                        SequenceNumber(be32(block, 0)),
                        SequenceNumber(be32(block, 4)),
                    );
                }
            }
            (TIMESTAMPS, 8) => {
                self.timestamps = Some(Timestamps {
                    value: be32(body, 0),
                    echo: be32(body, 4),
                })
            }
            (USER_TIMEOUT, 2) => self.user_timeout = Some(UserTimeout(be16(body, 0))),
            _ => {}
        }
    }

    /// Bytes that [`TcpOptions::emit`] appends: a multiple of 4, at most 40.
    pub fn emitted_len(&self) -> usize {
        let sack_blocks = self.sack_blocks_that_fit();
        self.len_without_sack()
            + if sack_blocks == 0 {
                0
            } else {
                4 + 8 * sack_blocks
            }
    }

    fn len_without_sack(&self) -> usize {
        let mut len = 0;
        if self.mss.is_some() {
            len += 4;
        }
        if self.timestamps.is_some() {
            len += TIMESTAMPS_LEN;
        } else if self.sack_permitted {
            len += 4;
        }
        if self.window_scale.is_some() {
            len += 4;
        }
        if self.user_timeout.is_some() {
            len += 4;
        }
        len
    }

    fn sack_blocks_that_fit(&self) -> usize {
        let room = MAX_OPTIONS_LEN - self.len_without_sack();
        self.sack.len().min(room.saturating_sub(4) / 8)
    }

    /// Appends the options in Linux's order, each with its length (RFC 9293 §3.1 MUST-68) and aligned to 4 with NOPs, so that no END and
    /// no padding behind one is needed (MUST-69): MSS; SACK-permitted and timestamps; window
    /// scale; user timeout; SACK blocks, as many as fit into 40 bytes.
    pub fn emit(&self, out: &mut Vec<u8>) {
        if let Some(mss) = self.mss {
            out.extend_from_slice(&[MSS, 4]);
            out.extend_from_slice(&mss.to_be_bytes());
        }
        if let Some(timestamps) = self.timestamps {
            out.extend_from_slice(if self.sack_permitted {
                &[SACK_PERMITTED, 2]
            } else {
                &[NOP, NOP]
            });
            out.extend_from_slice(&[TIMESTAMPS, 10]);
            out.extend_from_slice(&timestamps.value.to_be_bytes());
            out.extend_from_slice(&timestamps.echo.to_be_bytes());
        } else if self.sack_permitted {
            out.extend_from_slice(&[NOP, NOP, SACK_PERMITTED, 2]);
        }
        if let Some(shift) = self.window_scale {
            out.extend_from_slice(&[NOP, WINDOW_SCALE, 3, shift]);
        }
        if let Some(UserTimeout(word)) = self.user_timeout {
            out.extend_from_slice(&[USER_TIMEOUT, 4]);
            out.extend_from_slice(&word.to_be_bytes());
        }
        let blocks = &self.sack.as_slice()[..self.sack_blocks_that_fit()];
        if !blocks.is_empty() {
            out.extend_from_slice(&[NOP, NOP, SACK, 2 + 8 * blocks.len() as u8]);
            for (start, end) in blocks {
                out.extend_from_slice(&start.0.to_be_bytes());
                out.extend_from_slice(&end.0.to_be_bytes());
            }
        }
    }
}

/// The next option that is not a NOP, at whatever offset (RFC 9293 §3.2 MUST-64): (kind, body, rest). `None` at the end of the list, at
/// an END, and at the first malformed length.
fn next_option(mut bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    loop {
        let (&kind, rest) = bytes.split_first()?;
        match kind {
            END => return None,
            NOP => bytes = rest,
            _ => {
                let length = usize::from(*rest.first()?);
                // The length counts kind and itself; 0 and 1 would not move forward.
                let body = bytes.get(2..length)?;
                return Some((kind, body, &bytes[length..]));
            }
        }
    }
}

/// As packetdrill writes them: `mss 1460,sackOK,TS val 1 ecr 0,wscale 7,sack 1:5`; empty when there is none.
impl fmt::Display for TcpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if let Some(mss) = self.mss {
            words.push(format!("mss {mss}"));
        }
        if self.sack_permitted {
            words.push("sackOK".to_string());
        }
        if let Some(Timestamps { value, echo }) = self.timestamps {
            words.push(format!("TS val {value} ecr {echo}"));
        }
        if let Some(shift) = self.window_scale {
            words.push(format!("wscale {shift}"));
        }
        if let Some(timeout) = self.user_timeout {
            words.push(format!("uto {}", timeout.duration().as_secs()));
        }
        if !self.sack.is_empty() {
            let blocks: Vec<_> = self
                .sack
                .as_slice()
                .iter()
                .map(|(start, end)| format!("{start}:{end}"))
                .collect();
            words.push(format!("sack {}", blocks.join(" ")));
        }
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests;
