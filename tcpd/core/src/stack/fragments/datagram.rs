//! One datagram that is not whole: its pieces, where they belong.
//!
//! Pieces never overlap, and none lies beyond the end: so it is whole when its bytes are as many as its end says. A piece that overlaps
//! another spoils the datagram: its pieces are forgotten, and those to come are refused until its time is over (RFC 5722 §4). The same bytes
//! at the same place once more are a duplicate of the network, and spoil nothing (RFC 8200 §4.5).

use crate::stack::fragments::{DATAGRAM_COST, FragmentRefusal, MAX_PIECES, PIECE_COST};
use crate::time::Instant;
use crate::wire::{Fragment, fragmentation};

/// The ECN codepoints, as bits of a set.
const NOT_ECT: u8 = 1 << 0;
const CE: u8 = 1 << 3;

#[derive(Debug)]
pub(super) struct Datagram {
    /// Its number among all: the smaller, the older.
    pub(super) age: u64,
    pub(super) expires: Instant,
    /// By offset.
    pieces: Vec<Piece>,
    /// Bytes of all pieces.
    held: usize,
    /// Where the datagram ends, once its last piece has come.
    end: Option<usize>,
    /// The first packet up to its piece, once it has come.
    head: Option<Box<Head>>,
    /// The ECN codepoints seen, a bit each.
    marks: u8,
    spoilt: bool,
}

#[derive(Debug)]
struct Piece {
    offset: usize,
    bytes: Box<[u8]>,
}

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.bytes.len()
    }
}

#[derive(Debug)]
struct Head {
    bytes: Box<[u8]>,
    fragment: Fragment,
}

impl Datagram {
    pub(super) fn new(age: u64, expires: Instant) -> Datagram {
        Datagram {
            age,
            expires,
            pieces: Vec::new(),
            held: 0,
            end: None,
            head: None,
            marks: 0,
            spoilt: false,
        }
    }

    /// What it costs, bytes.
    pub(super) fn cost(&self) -> usize {
        let head = self.head.as_ref().map_or(0, |head| head.bytes.len());
        DATAGRAM_COST + head + self.held + self.pieces.len() * PIECE_COST
    }

    /// Whether `bytes` have a place here. What contradicts the pieces that are there spoils them.
    pub(super) fn judge(
        &mut self,
        fragment: &Fragment,
        bytes: &[u8],
    ) -> Result<(), FragmentRefusal> {
        if self.spoilt {
            return Err(FragmentRefusal::Overlap);
        }
        let offset = usize::from(fragment.offset);
        let end = offset + bytes.len();
        let at = self.place_of(offset);
        if let Some(same) = self.pieces.get(at)
            && same.offset == offset
            && *same.bytes == *bytes
        {
            return Err(FragmentRefusal::Duplicate);
        }
        let before = at.checked_sub(1).map(|before| &self.pieces[before]);
        let overlaps = before.is_some_and(|before| before.end() > offset)
            || self.pieces.get(at).is_some_and(|next| next.offset < end);
        if overlaps {
            return Err(self.spoil(FragmentRefusal::Overlap));
        }
        let last = self.pieces.last().map_or(0, Piece::end);
        let beyond = self.end.is_some_and(|known| end > known || !fragment.more);
        if beyond || (!fragment.more && last > end) {
            return Err(self.spoil(FragmentRefusal::Malformed));
        }
        if self.pieces.len() == MAX_PIECES {
            return Err(self.spoil(FragmentRefusal::Limit));
        }
        Ok(())
    }

    /// Puts `bytes`, of which [`judge`](Datagram::judge) approves, where they belong. `head` is the packet before the first of them.
    /// How many pieces were moved.
    pub(super) fn place(&mut self, fragment: &Fragment, ecn: u8, head: &[u8], bytes: &[u8]) -> u64 {
        let offset = usize::from(fragment.offset);
        let end = offset + bytes.len();
        let at = self.place_of(offset);
        let moved = (self.pieces.len() - at) as u64;
        let bytes = Box::from(bytes);
        self.pieces.insert(at, Piece { offset, bytes });
        self.held += end - offset;
        self.marks |= 1 << ecn;
        if !fragment.more {
            self.end = Some(end);
        }
        if offset == 0 {
            let bytes = Box::from(head);
            let fragment = *fragment;
            self.head = Some(Box::new(Head { bytes, fragment }));
        }
        moved
    }

    /// Where a piece at `offset` stands among the others.
    fn place_of(&self, offset: usize) -> usize {
        self.pieces.partition_point(|piece| piece.offset < offset)
    }

    fn spoil(&mut self, refusal: FragmentRefusal) -> FragmentRefusal {
        self.spoilt = true;
        (self.pieces, self.held, self.head) = (Vec::new(), 0, None);
        refusal
    }

    /// Whether nothing is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.head.is_some() && self.end == Some(self.held)
    }

    /// The packet that was cut into these pieces.
    ///
    /// # Errors
    /// [`FragmentRefusal::Malformed`] when it is longer than an IP packet can be, [`FragmentRefusal::Marks`].
    pub(super) fn into_packet(self) -> Result<Vec<u8>, FragmentRefusal> {
        let congested = self.marks & CE != 0;
        if congested && self.marks & NOT_ECT != 0 {
            return Err(FragmentRefusal::Marks);
        }
        let header = self.head.and_then(|head| {
            fragmentation::whole_header(&head.bytes, &head.fragment, self.held, congested)
        });
        let mut packet = header.ok_or(FragmentRefusal::Malformed)?;
        packet.reserve_exact(self.held);
        for piece in &self.pieces {
            packet.extend_from_slice(&piece.bytes);
        }
        Ok(packet)
    }

    /// Its first fragment as it came, if it has come.
    pub(super) fn into_first(self) -> Option<Vec<u8>> {
        let head = self.head?;
        let first = self.pieces.first()?;
        Some([&*head.bytes, &*first.bytes].concat())
    }
}
