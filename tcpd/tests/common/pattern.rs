//! Bytes that say where they belong: a seeded stream, so that a byte lost, doubled or moved shows at its place.

use std::io::{Read, Write};

/// The stream: xorshift64*, eight bytes a step.
#[derive(Clone)]
pub(crate) struct Pattern {
    state: u64,
    bytes: [u8; 8],
    used: usize,
}

impl Pattern {
    /// The stream of `seed`.
    pub(crate) fn new(seed: u64) -> Pattern {
        Pattern {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            bytes: [0; 8],
            used: 8,
        }
    }

    /// The next bytes of the stream.
    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == 8 {
                self.state ^= self.state >> 12;
                self.state ^= self.state << 25;
                self.state ^= self.state >> 27;
                self.bytes = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
                self.used = 0;
            }
            *byte = self.bytes[self.used];
            self.used += 1;
        }
    }
}

/// Writes the next `bytes` of `pattern`, at most `chunk` a call.
pub(crate) fn write_pattern(
    stream: &mut impl Write,
    pattern: &mut Pattern,
    bytes: usize,
    chunk: usize,
) {
    let mut buffer = vec![0; chunk];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(chunk);
        pattern.fill(&mut buffer[..part]);
        stream.write_all(&buffer[..part]).expect("write");
        left -= part;
    }
}

/// Reads `bytes`, at most `chunk` a call, and compares them with the next of `pattern`.
pub(crate) fn expect_pattern(
    stream: &mut impl Read,
    pattern: &mut Pattern,
    bytes: usize,
    chunk: usize,
) {
    let (mut buffer, mut wanted) = (vec![0; chunk], vec![0; chunk]);
    let mut left = bytes;
    while left > 0 {
        let most = left.min(chunk);
        let read = stream.read(&mut buffer[..most]).expect("read");
        assert!(read > 0, "the stream ended {left} bytes early");
        pattern.fill(&mut wanted[..read]);
        assert!(
            buffer[..read] == wanted[..read],
            "wrong bytes between {} and {}",
            bytes - left,
            bytes - left + read
        );
        left -= read;
    }
}
