//! Chance as a value: a keyed hash for what an attacker must not guess, a seeded generator for jitter and simulation.
//!
//! The core draws no random bits of its own. The owner gives a [`Secret`] (128 bits of real entropy) and a seed.

use std::fmt;
use std::hash::{Hash, Hasher};

use siphasher::sip::{SipHasher13, SipHasher24};

/// A 128-bit key that never leaves the process.
#[derive(Clone)]
pub struct Secret([u8; 16]);

impl Secret {
    /// A secret from 16 bytes of entropy.
    pub const fn new(key: [u8; 16]) -> Secret {
        Secret(key)
    }

    /// SipHash-2-4 of `parts` (any tuple of hashable values): for numbers that an attacker sees (RFC 6528, RFC 6056).
    pub fn hash(&self, parts: impl Hash) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        parts.hash(&mut hasher);
        hasher.finish()
    }

    /// SipHash-1-3 of `parts`: faster, for tables whose hash values nobody sees.
    pub fn table_hash(&self, parts: impl Hash) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        parts.hash(&mut hasher);
        hasher.finish()
    }

    /// Another secret for another purpose, so that two uses of one secret tell nothing about each other.
    pub fn derive(&self, purpose: &str) -> Secret {
        let low = self.hash((purpose, 0u8));
        let high = self.hash((purpose, 1u8));
        let mut key = [0; 16];
        key[..8].copy_from_slice(&low.to_le_bytes());
        key[8..].copy_from_slice(&high.to_le_bytes());
        Secret(key)
    }
}

/// Never prints the key.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A seeded generator (xoshiro256**): same seed, same sequence, on every machine. Not for secrets.
#[derive(Clone, Debug)]
pub struct Generator([u64; 4]);

impl Generator {
    /// A generator whose sequence is decided by `seed` alone.
    pub fn from_seed(seed: u64) -> Generator {
        let mut state = seed;
        Generator(std::array::from_fn(|_| split_mix(&mut state)))
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A uniform number in `0..n`; 0 when `n` is 0. The bias is below 2⁻⁶⁴·n.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// True with probability `p` (0.0 never, 1.0 always).
    pub fn chance(&mut self, p: f64) -> bool {
        // 53 bits: every value is exact in a double.
        ((self.next_u64() >> 11) as f64) < p * (1u64 << 53) as f64
    }

    /// Fills `out` with uniform bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
