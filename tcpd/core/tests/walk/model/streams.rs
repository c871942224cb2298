//! Streams: what a user reads is what the other side's user wrote, in order, to the end and no further.

use tcpd_core::stack::EndReason;

use super::Model;
use crate::coverage;

/// The byte that the user of a side writes at a position; no two sides write alike.
pub(crate) fn byte_of(side: usize, position: u64) -> u8 {
    let mixed = (position + ((side as u64 + 1) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

impl Model {
    /// The other side of the same incarnation: each knows the other's SYN.
    fn peer_of(&self, side: usize) -> Result<usize, String> {
        let known = &self.sides[side];
        self.sides
            .iter()
            .rposition(|other| {
                other.end != known.end
                    && other.iss.is_some()
                    && other.iss == known.irs
                    && (other.irs.is_none() || other.irs == known.iss)
            })
            .ok_or_else(|| format!("{:?} talks to nobody", known.end))
    }

    /// RECEIVE gave these bytes.
    pub(crate) fn read(&mut self, side: usize, bytes: &[u8]) -> Result<(), String> {
        let peer = self.peer_of(side)?;
        let (start, written) = (self.sides[side].read, self.sides[peer].written);
        let end = start + bytes.len() as u64;
        if end > written {
            return Err(format!("{end} bytes were read of {written} written"));
        }
        for (position, &byte) in (start..).zip(bytes) {
            if byte != byte_of(peer, position) {
                return Err(format!("byte {position} is not what was written there"));
            }
        }
        self.sides[side].read = end;
        coverage::read(bytes.len());
        Ok(())
    }

    /// RECEIVE said that nothing follows: after everything, and after the other user's CLOSE.
    pub(crate) fn read_the_end(&mut self, side: usize) -> Result<(), String> {
        self.sides[side].saw_end = true;
        if self.sides[side].read_closed {
            return Ok(());
        }
        let peer = self.peer_of(side)?;
        let (known, other) = (&self.sides[side], &self.sides[peer]);
        if !other.write_closed {
            return Err("the end of a stream that nobody has closed".into());
        }
        coverage::read_the_end();
        if known.read != other.written {
            return Err(format!(
                "the end of the stream after {} of {} bytes",
                known.read, other.written
            ));
        }
        Ok(())
    }

    /// RECEIVE failed for good.
    pub(crate) fn read_an_error(&mut self, side: usize, reason: EndReason) -> Result<(), String> {
        let known = &mut self.sides[side];
        known.saw_end = true;
        if known.reason != Some(reason) || reason == EndReason::Closed {
            return Err(format!(
                "RECEIVE says {reason:?}, the model {:?}",
                known.reason
            ));
        }
        Ok(())
    }
}
