//! What travels: packets between their decision and their arrival.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::path::{Passage, Path};
use super::{Counters, Fate, Impairment, mark};
use crate::time::Instant;

/// One direction of an impaired network, with the packets that travel on it.
///
/// Call [`send`](Pipe::send) for every packet, [`receive`](Pipe::receive) at [`next_arrival`](Pipe::next_arrival) until it
/// returns `None`. `T` is anything that belongs to a packet and is not part of it; nothing happens to it.
#[derive(Debug)]
pub struct Pipe<T = ()> {
    path: Path,
    counters: Counters,
    travelling: BinaryHeap<Reverse<Travelling<T>>>,
    /// Bytes of all that travels.
    held: usize,
    /// Packets and copies so far: the age of each.
    number: u64,
}

impl<T: Clone> Pipe<T> {
    /// A pipe in which nothing travels yet; the same seed and packets give the same arrivals.
    pub fn new(impairment: Impairment, seed: u64) -> Pipe<T> {
        Pipe {
            path: Path::new(impairment, seed),
            counters: Counters::default(),
            travelling: BinaryHeap::new(),
            held: 0,
            number: 0,
        }
    }

    /// Changes what the path does from now on; what travels already is not touched.
    pub fn reconfigure(&mut self, impairment: Impairment) {
        self.path.set(impairment);
    }

    /// What the path does.
    pub fn impairment(&self) -> &Impairment {
        self.path.impairment()
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes a packet and says what becomes of it.
    pub fn send(&mut self, now: Instant, mut packet: Vec<u8>, tag: T) -> Fate {
        self.counters.packets += 1;
        self.counters.bytes += packet.len() as u64;
        let counters = &mut self.counters;
        let passage = match self.path.decide(now, packet.len(), counters) {
            Ok(passage) => passage,
            Err(fate) => return fate,
        };
        let Passage { at, again, .. } = passage;
        let marked = passage.mark && mark::mark(&mut packet);
        counters.marked += u64::from(marked);
        if let Some(later) = again {
            self.travel(later, packet.clone(), tag.clone());
        }
        if let Some(bit) = passage.flip
            && let Some(byte) = packet.get_mut((bit / 8) as usize)
        {
            *byte ^= 1 << (bit % 8);
        }
        self.travel(at, packet, tag);
        Fate::Arrives {
            at,
            twice: again.is_some(),
            marked,
            damaged: passage.flip.is_some(),
        }
    }

    /// Counts a packet of `bytes` that went in and was dropped because there was no memory for it.
    pub fn refuse(&mut self, bytes: usize) {
        self.counters.packets += 1;
        self.counters.bytes += bytes as u64;
        self.counters.overflowed += 1;
    }

    /// When the next packet arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.travelling.peek().map(|Reverse(next)| next.arrives)
    }

    /// The next packet that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<(Vec<u8>, T)> {
        if self.next_arrival()? > now {
            return None;
        }
        let Reverse(next) = self.travelling.pop()?;
        self.held -= next.packet.len();
        self.counters.delivered += 1;
        self.counters.delivered_bytes += next.packet.len() as u64;
        Some((next.packet, next.tag))
    }

    /// How many packets are on their way.
    pub fn in_flight(&self) -> usize {
        self.travelling.len()
    }

    /// How many bytes are on their way.
    pub fn held(&self) -> usize {
        self.held
    }

    fn travel(&mut self, arrives: Instant, packet: Vec<u8>, tag: T) {
        self.number += 1;
        self.held += packet.len();
        self.travelling.push(Reverse(Travelling {
            arrives,
            number: self.number,
            packet,
            tag,
        }));
    }
}

/// Ordered by arrival, then by age.
#[derive(Debug)]
struct Travelling<T> {
    arrives: Instant,
    number: u64,
    packet: Vec<u8>,
    tag: T,
}

impl<T> Travelling<T> {
    fn key(&self) -> (Instant, u64) {
        (self.arrives, self.number)
    }
}

impl<T> PartialEq for Travelling<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Travelling<T> {}

impl<T> PartialOrd for Travelling<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Travelling<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
