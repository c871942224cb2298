//! What a connection knows of its path's MTU, and what it does about it (RFC 1191, RFC 8201, RFC 4821, RFC 5927 §7).
//!
//! * A packet-too-big message is believed at once when it names a size that no packet of ours has got through with. What contradicts packets that
//!   were acknowledged may be forged: it waits until the segment it quotes has timed out (RFC 5927 §7.2), and is forgotten when that segment is
//!   acknowledged.
//! * Timeouts in a row of packets above the base size point to a black hole: a path that drops large packets and says nothing (RFC 2923 §2.1).
//!   Packets become small then (RFC 4821 §7.7).
//! * After either, and ten minutes later again, larger packets are tried: a probe is a segment of text longer than the others (RFC 4821 §7.2).
//!   When it is lost, and nothing else, that says nothing about congestion (§7.6.2). `path_mtu/search.rs` decides on sizes.
//!
//! Whenever the size changes, what is outstanding is cut anew as it is sent again. Sizes here are whole IP packets, bytes.

use std::time::Duration;

use crate::tcp::buffer::Ring;
use crate::tcp::config::MtuProbing;
use crate::tcp::ecn;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Context, Pair};
use crate::tcp::transmit::Text;
use crate::time::Instant;
use crate::wire::{ipv4, ipv6, tcp};

mod search;

use search::{Probe, RETRY, Search, Step};

/// How long what is known of a path holds (RFC 1191 §6.3, RFC 8201 §4: 10 minutes).
pub(crate) const AGE: Duration = Duration::from_secs(600);
/// To this size packets shrink when a black hole is suspected: 1024 bytes of text, as RFC 4821 §7.7 has it and Linux takes it; IPv6 has nothing
/// smaller than 1280.
pub(crate) const BASE_V4: u16 = 1064;
/// At twice as many timeouts those that are no larger than that shrink to this: every host takes it (RFC 791 §3.1).
pub(crate) const LAST_V4: u16 = ipv4::MINIMUM_REASSEMBLY as u16;
pub(crate) const BASE_V6: u16 = ipv6::MINIMUM_MTU as u16;
/// Segments of text behind a probe, so that its loss is noticed without a timeout; and what CWND has to have room for at least, beside those
/// and the probe (RFC 4821 §7.4).
const BEHIND: u64 = 3;
const WINDOW: u64 = 8;

/// The path of one connection.
#[derive(Debug)]
pub(crate) struct Path {
    /// The largest packet that is sent now.
    mtu: u16,
    /// The largest there could be: what the interface and the peer's MSS allow.
    most: u16,
    /// The largest packets sent and acknowledged (`maxsizesent` and `maxsizeacked` of RFC 5927 §7.2).
    sent: u16,
    acknowledged: u16,
    /// What the stack's memory of paths has to hear; 0: nothing.
    news: u16,
    /// The size of a packet larger than `acknowledged`, 0: none is known; and the lower half of the position behind it.
    witness: u16,
    witness_end: u32,
    doubts: Option<Box<Doubts>>,
}

/// What most connections never have.
#[derive(Debug, Default)]
struct Doubts {
    /// A packet-too-big message that waits: what it says, and the position that it quotes.
    claim: Option<(u16, u64)>,
    search: Option<Search>,
    /// The size went down because of a black hole: the stack hears of it when the search has ended.
    black_hole: bool,
}

/// What became of a packet-too-big message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// It contradicts what was sent, or says nothing new.
    Ignored,
    /// It waits for the segment it is about to time out.
    Waits,
    /// Packets are smaller now.
    Lowered,
}

/// What is sent instead of new text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Probing {
    /// Nothing: there is nothing to find out, or not now.
    No,
    /// Nothing at all until there is room for a probe.
    Waits,
    /// A probe.
    Probe(Text),
}

impl Path {
    /// `mtu` of the path as far as known; `most` as interface and peer allow.
    pub(crate) fn new(mtu: u16, most: u16) -> Path {
        Path {
            mtu,
            most,
            sent: 0,
            acknowledged: 0,
            news: 0,
            witness: 0,
            witness_end: 0,
            doubts: None,
        }
    }

    /// The largest packet that the path is taken to carry.
    pub(crate) fn mtu(&self) -> u16 {
        self.mtu
    }

    /// What the stack is to remember of the destination, once.
    pub(crate) fn take_news(&mut self) -> Option<u16> {
        match std::mem::take(&mut self.news) {
            0 => None,
            mtu => Some(mtu),
        }
    }

    /// Whether `position`, at most a window away, lies before the end of the witness.
    fn is_before_witness(&self, position: u64) -> bool {
        (self.witness_end.wrapping_sub(position as u32) as i32) > 0
    }

    fn search(&mut self) -> Option<&mut Search> {
        self.doubts.as_mut()?.search.as_mut()
    }

    fn doubts(&mut self) -> &mut Doubts {
        self.doubts.get_or_insert_default()
    }
}

/// The size of a packet as sizes are kept; none is larger than 65,535 bytes.
pub(crate) fn size(bytes: u32) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// IP and TCP header of a segment with text.
pub(crate) fn headers(pair: &Pair, timestamps: bool) -> u32 {
    let options = if timestamps { 12 } else { 0 };
    pair.ip_header_len() + tcp::HEADER_LEN as u32 + options
}

/// Begins the search where it is due: with small packets where probing is always on (RFC 4821 §7.2), when what is known has aged where the
/// path was found narrow by another connection.
pub(crate) fn begin<R: Ring>(conn: &mut Connection<R>, mode: MtuProbing, now: Instant) {
    let (mtu, most) = (conn.path.mtu, conn.path.most);
    let base = base(&conn.pair);
    match mode {
        MtuProbing::On if base < mtu.min(most) => {
            set_mtu(conn, base);
            conn.path.doubts().search = Some(Search::new(base, mtu.min(most), most, now));
        }
        MtuProbing::BlackHole | MtuProbing::On if mtu < most => {
            conn.path.doubts().search = Some(Search::new(mtu, most, most, now + AGE));
        }
        MtuProbing::BlackHole | MtuProbing::On | MtuProbing::Off => {}
    }
}

/// A packet-too-big message about `position`, which is outstanding: packets of `claimed` bytes would pass.
pub(crate) fn too_big<R: Ring>(
    conn: &mut Connection<R>,
    claimed: u16,
    position: u64,
    cx: &mut Context<'_>,
) -> Heard {
    let path = &mut conn.path;
    if let Some(search) = path.search()
        && let Some(probe) = search.probe
        && (probe.start..probe.end).contains(&position)
        && claimed < probe.size
    {
        // The probe was too large: that is what it was to find out.
        let step = search.told(claimed, cx.now);
        cx.counters.path_mtu_probes_lost += 1;
        lose(conn, probe);
        after(conn, step);
        return Heard::Ignored;
    }
    // RFC 5927 §7.2: no packet of ours was larger, so none was dropped for that.
    if claimed >= path.sent || claimed >= path.mtu {
        return Heard::Ignored;
    }
    if claimed <= path.acknowledged {
        path.doubts().claim = Some((claimed, position));
        return Heard::Waits;
    }
    lower(conn, claimed, cx);
    Heard::Lowered
}

/// Text goes out: `size` bytes of it in one packet at most.
pub(crate) fn on_sent<R: Ring>(conn: &mut Connection<R>, text: Text, again: bool) {
    let longest = (text.end - text.start).min(u64::from(conn.send.mss));
    let headers = headers(&conn.pair, conn.timestamps.is_some());
    let size = size(longest as u32 + headers);
    let path = &mut conn.path;
    path.sent = path.sent.max(size);
    if again && path.is_before_witness(text.start) {
        // Which of the two was acknowledged, nobody could tell.
        path.witness = 0;
    } else if !again && path.witness == 0 && size > path.acknowledged {
        (path.witness, path.witness_end) = (size, (text.start + longest) as u32);
    }
}

/// SND.UNA has moved: what that says about sizes.
pub(crate) fn on_acknowledged<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    let una = conn.send.una;
    let path = &mut conn.path;
    if !path.is_before_witness(una) {
        path.acknowledged = path.acknowledged.max(path.witness);
        path.witness = 0;
    }
    let Some(doubts) = &mut path.doubts else {
        return;
    };
    if doubts.claim.is_some_and(|(_, position)| position < una) {
        doubts.claim = None;
    }
    if let Some(search) = &mut doubts.search
        && let Some(probe) = search.probe
        && probe.end <= una
    {
        cx.counters.path_mtu_raised += 1;
        let step = search.got_through(probe.size, cx.now);
        path.sent = path.sent.max(probe.size);
        path.acknowledged = path.acknowledged.max(probe.size);
        set_mtu(conn, probe.size);
        after(conn, step);
    }
}

/// Something was found to be lost. True when it is a probe and nothing else: no sign of congestion (RFC 4821 §7.6.2).
pub(crate) fn on_loss<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) -> bool {
    let span = conn.recovery.board.lost_span();
    let Some(search) = conn.path.search() else {
        return false;
    };
    let (Some(probe), Some((start, end))) = (search.probe, span) else {
        return false;
    };
    if start < probe.start || end > probe.end {
        search.inconclusive(cx.now);
        return false;
    }
    cx.counters.path_mtu_probes_lost += 1;
    let step = search.lost(probe.size, cx.now);
    lose(conn, probe);
    after(conn, step);
    true
}

/// All that is outstanding counts as lost, and goes out again in other pieces: a probe among it says nothing.
pub(crate) fn forget_probe<R: Ring>(conn: &mut Connection<R>, now: Instant) {
    if let Some(search) = conn.path.search() {
        search.inconclusive(now);
    }
}

/// What was sent has found no answer `tries` times in a row by now: text that timed out, or that probes a window too small for a segment.
/// True when packets are smaller now.
pub(crate) fn on_timeout<R: Ring>(
    conn: &mut Connection<R>,
    tries: u8,
    cx: &mut Context<'_>,
) -> bool {
    let una = conn.send.una;
    let path = &mut conn.path;
    if let Some(doubts) = &mut path.doubts {
        if let Some((claimed, position)) = doubts.claim.take() {
            // RFC 5927 §7.2: no progress, so the message was true.
            if position >= una && claimed < path.mtu {
                path.news = claimed;
                lower(conn, claimed, cx);
                return true;
            }
        } else if let Some(search) = &mut doubts.search {
            search.inconclusive(cx.now);
        }
    }
    // RFC 9293 §3.8.3 MUST-20: at R1 the path is suspected; and at twice as many once more.
    let suspicious = tries >= cx.tcp.r1 && tries.is_multiple_of(cx.tcp.r1.max(1));
    if !suspicious || cx.tcp.mtu_probing == MtuProbing::Off {
        return false;
    }
    let twice = tries > cx.tcp.r1;
    // What has vanished. Smaller ones do not vanish for their size.
    let headers = headers(&conn.pair, conn.timestamps.is_some());
    let size = (conn.send.nxt - una).min(u64::from(conn.send.mss)) + u64::from(headers);
    let smaller = match base(&conn.pair) {
        base if size > u64::from(base) => base,
        _ if twice && conn.pair.local.is_ipv4() && size > u64::from(LAST_V4) => LAST_V4,
        _ => return false,
    };
    cx.counters.path_mtu_black_holes += 1;
    let path = &mut conn.path;
    let most = path.most;
    path.doubts().black_hole = true;
    path.doubts().search = Some(Search::new(smaller, most, most, cx.now + RETRY));
    set_mtu(conn, smaller);
    conn.recovery.board.lose_longer(u64::from(conn.send.mss));
    true
}

/// A probe, if one is due and may be sent: `allowed` by CWND now, of text that was never sent.
pub(crate) fn probe<R: Ring>(conn: &mut Connection<R>, allowed: u64, now: Instant) -> Probing {
    let Some(search) = conn.path.search().copied() else {
        return Probing::No;
    };
    let (nxt, mss) = (conn.send.nxt, u64::from(conn.send.mss));
    let headers = headers(&conn.pair, conn.timestamps.is_some());
    let text = conn.send.written.saturating_sub(nxt);
    let usable = conn.send.window_edge().saturating_sub(nxt);
    let window = u64::from(conn.congestion.cwnd());
    // What may go out in one flight, less what has to follow a probe.
    let longest = text.min(usable).min(window).saturating_sub(BEHIND * mss);
    let room = u16::try_from(longest + u64::from(headers)).unwrap_or(u16::MAX);
    let Some(size) = search.wanted(room, now) else {
        return Probing::No;
    };
    let length = u64::from(u32::from(size).saturating_sub(headers));
    let board = &conn.recovery.board;
    // What may be lost without a sign of congestion must not be what tells the peer of one (CWR).
    let quiet =
        board.lost() == 0 && board.sacked() == 0 && conn.recovery.is_open() && !ecn::owes_cwr(conn);
    let urgent = conn.send.urgent.is_some_and(|urgent| urgent > nxt);
    if !quiet || urgent || length <= mss || window < WINDOW * mss {
        return Probing::No;
    }
    if allowed < length {
        return Probing::Waits;
    }
    let end = nxt + length;
    if let Some(search) = conn.path.search() {
        search.probe = Some(Probe {
            start: nxt,
            end,
            size,
        });
    }
    Probing::Probe(Text {
        start: nxt,
        end,
        fin: false,
    })
}

/// The search has taken a step.
fn after<R: Ring>(conn: &mut Connection<R>, step: Step) {
    let path = &mut conn.path;
    let Some(doubts) = &mut path.doubts else {
        return;
    };
    if let Step::Found(size) = step
        && std::mem::take(&mut doubts.black_hole)
        && size < path.most
    {
        path.news = size;
    }
    if doubts.search.is_some_and(|search| search.is_over()) {
        doubts.search = None;
    }
    if doubts.search.is_none() && doubts.claim.is_none() {
        path.doubts = None;
    }
}

/// The path carries `mtu` and no more, says a message that is believed. Larger packets are tried when that has aged.
fn lower<R: Ring>(conn: &mut Connection<R>, mtu: u16, cx: &mut Context<'_>) {
    cx.counters.path_mtu_lowered += 1;
    let most = conn.path.most;
    if cx.tcp.mtu_probing == MtuProbing::Off {
        conn.path.doubts = None;
    } else if mtu < most {
        *conn.path.doubts() = Doubts {
            search: Some(Search::new(mtu, most, most, cx.now + AGE)),
            ..Doubts::default()
        };
    }
    set_mtu(conn, mtu);
    conn.recovery.board.lose_longer(u64::from(conn.send.mss));
}

/// Packets of this size from now on.
fn set_mtu<R: Ring>(conn: &mut Connection<R>, mtu: u16) {
    let path = &mut conn.path;
    path.mtu = mtu;
    path.witness = 0;
    let headers = headers(&conn.pair, conn.timestamps.is_some());
    let mss = u32::from(mtu.min(path.most)).saturating_sub(headers).max(1);
    conn.send.mss = mss;
    conn.congestion.set_mss(mss);
}

/// What a probe carried is sent again in segments of the usual size.
fn lose<R: Ring>(conn: &mut Connection<R>, probe: Probe) {
    let end = probe.end.min(conn.send.nxt);
    let start = probe.start.max(conn.send.una);
    if start < end {
        conn.recovery.board.lose(start, end);
    }
}

fn base(pair: &Pair) -> u16 {
    if pair.local.is_ipv4() {
        BASE_V4
    } else {
        BASE_V6
    }
}
