//! One input made of others.

use tcpd_core::random::Generator;

/// Numbers at which programs stumble.
const NUMBERS: [u64; 9] = [
    0,
    1,
    0x7f,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX >> 1,
    u64::MAX,
];

/// A change or a few of one input of `pool`, which is not empty.
pub(crate) fn mutated(random: &mut Generator, pool: &[Vec<u8>]) -> Vec<u8> {
    let pick = |random: &mut Generator| &pool[random.below(pool.len() as u64) as usize];
    let mut input = pick(random).clone();
    for _ in 0..=random.below(4) {
        if random.chance(0.1) {
            // Another one behind a part of this one.
            let (here, other) = (random.below(input.len() as u64 + 1) as usize, pick(random));
            let from = random.below(other.len() as u64 + 1) as usize;
            input.truncate(here);
            input.extend_from_slice(&other[from..]);
        } else {
            change(random, &mut input);
        }
    }
    input
}

fn change(random: &mut Generator, input: &mut Vec<u8>) {
    if input.is_empty() {
        return input.push(random.next_u64() as u8);
    }
    let at = random.below(input.len() as u64) as usize;
    match random.below(7) {
        0 => input[at] ^= 1 << random.below(8),
        1 => input[at] = random.next_u64() as u8,
        2 => input[at] = input[at].wrapping_add(1),
        3 => input.truncate(at),
        4 => input.insert(at, random.next_u64() as u8),
        5 => _ = input.remove(at),
        _ => {
            let value = NUMBERS[random.below(NUMBERS.len() as u64) as usize].to_le_bytes();
            let width = (1 << random.below(4)).min(input.len() - at);
            input[at..at + width].copy_from_slice(&value[..width]);
        }
    }
}
