//! The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words.
//!
//! The sum does not care for byte order, so the hot loop adds native words and swaps once at the end.

use std::net::IpAddr;

use super::IpAddresses;

/// A running sum over any number of slices of any length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Sum of big-endian words; cannot overflow below 2⁴⁷ bytes.
    sum: u64,
    /// An odd number of bytes went in so far: the next byte is the low half of a word.
    odd: bool,
}

impl Sum {
    /// Nothing added yet.
    pub const fn new() -> Sum {
        Sum { sum: 0, odd: false }
    }

    /// A sum to go on with, from a folded one as a partial checksum field holds it.
    pub const fn from_folded(folded: u16) -> Sum {
        Sum {
            sum: folded as u64,
            odd: false,
        }
    }

    /// Adds bytes, as if they stood behind those added before.
    pub fn add(&mut self, bytes: &[u8]) {
        let words = sum_of(bytes);
        self.sum += u64::from(if self.odd { words.swap_bytes() } else { words });
        self.odd ^= bytes.len() % 2 == 1;
    }

    /// Adds one 16-bit word; only where an even number of bytes went in before.
    pub fn add_u16(&mut self, word: u16) {
        debug_assert!(!self.odd, "a word must stand at an even offset");
        self.sum += u64::from(word);
    }

    /// The 16-bit sum, not complemented: what virtio's partial checksum wants in the field.
    pub fn fold(self) -> u16 {
        fold(self.sum)
    }

    /// The checksum to write into a header.
    pub fn finish(self) -> u16 {
        !self.fold()
    }
}

/// The checksum of bytes that stand alone, such as an IPv4 header or an ICMPv4 message with a zero checksum field.
pub fn of(bytes: &[u8]) -> u16 {
    !sum_of(bytes)
}

/// Whether bytes with their checksum inside sum up to all ones.
pub fn verify(bytes: &[u8]) -> bool {
    sum_of(bytes) == 0xffff
}

/// The sum of the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1); `length` is that of the upper-layer packet.
pub fn pseudo_header(addresses: &IpAddresses, protocol: u8, length: u32) -> Sum {
    let mut sum = Sum::new();
    for address in [addresses.source, addresses.destination] {
        match address {
            IpAddr::V4(address) => sum.add(&address.octets()),
            IpAddr::V6(address) => sum.add(&address.octets()),
        }
    }
    sum.sum += u64::from(protocol) + u64::from(length >> 16) + u64::from(length & 0xffff);
    sum
}

/// Whether an upper-layer packet with a pseudo header checksum inside is intact.
pub fn verify_transport(addresses: &IpAddresses, protocol: u8, bytes: &[u8]) -> bool {
    let mut sum = pseudo_header(addresses, protocol, bytes.len() as u32);
    sum.add(bytes);
    sum.fold() == 0xffff
}

fn fold(mut sum: u64) -> u16 {
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The folded sum of big-endian words; an odd last byte is the high half of a word.
fn sum_of(bytes: &[u8]) -> u16 {
    // Eight lanes of 32-bit words in 64-bit sums: no carry to look after below 2³² bytes, and the compiler vectorises it.
    const LANES: usize = 8;
    let mut sum = 0u64;
    let mut rest = bytes;
    if bytes.len() >= 2 * LANES * 4 {
        let mut lanes = [0u64; LANES];
        let (blocks, tail) = bytes.as_chunks::<{ LANES * 4 }>();
        for block in blocks {
            let (words, _) = block.as_chunks::<4>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane += u64::from(u32::from_ne_bytes(*word));
            }
        }
        sum = lanes.iter().sum();
        rest = tail;
    }
    let (words, rest) = rest.as_chunks::<4>();
    for word in words {
        sum += u64::from(u32::from_ne_bytes(*word));
    }
    let (words, last) = rest.as_chunks::<2>();
    for word in words {
        sum += u64::from(u16::from_ne_bytes(*word));
    }
    if let [last] = last {
        sum += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    u16::from_be(fold(sum))
}

#[cfg(test)]
mod tests;
