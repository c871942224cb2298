//! SYN-RECEIVED (the parts of §3.10.7.4 that concern it), on the compact entry.

use std::ops::ControlFlow;

use crate::tcp::arrives::closed;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::half_open::HalfOpen;
use crate::tcp::segment::Segment;
use crate::tcp::transmit::Reply;
use crate::wire::Flags;

/// What an acceptable segment makes of SYN-RECEIVED; the stack carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A RST: back to LISTEN, or "connection refused" for an active open.
    Reset,
    /// Our SYN is acknowledged.
    Established,
}

/// The steps for SYN-RECEIVED. `window` is what the SYN-ACK offered, bytes. `in_fin_wait_1`: the user has closed meanwhile.
pub(crate) fn check(
    half: &mut HalfOpen,
    seg: &Segment<'_>,
    window: u32,
    in_fin_wait_1: bool,
    cx: &mut Context<'_>,
) -> ControlFlow<DropReason, Outcome> {
    let rcv_nxt = half.rcv_nxt();

    // The SYN again: SYN-ACK was lost. The same ISS goes out.
    let syn_alone = seg.has(Flags::SYN) && !seg.flags.intersects(Flags::ACK | Flags::RST);
    if syn_alone && seg.seq == half.irs {
        half.synack_due = true;
        half.answered_again = true;
        half.agreed.ecn = half.agreed.ecn.of_syn_again(seg);
        return ControlFlow::Break(DropReason::DuplicateSyn);
    }
    // The SYN-ACK of a simultaneous open lies one left of RCV.NXT; its ACK completes the handshake (RFC 9293 appendix A.2). Who was
    // opened passively has sent no SYN that one could cross.
    let syn_ack = seg.has(Flags::SYN | Flags::ACK) && !seg.has(Flags::RST);
    let crossing = syn_ack && seg.seq == half.irs && !half.is_passive();

    // First, the sequence number.
    let first = seg.seq.signed_offset_from(rcv_nxt);
    let last = first.saturating_add(seg.len().saturating_sub(1) as i32);
    let inside = |offset: i32| offset >= 0 && (offset as u32) < window;
    let acceptable = inside(first) || (seg.len() > 0 && inside(last));
    if !acceptable && !crossing {
        if seg.has(Flags::RST) {
            return ControlFlow::Break(DropReason::ResetOutsideWindow);
        }
        // What takes no number is answered once in the life of the entry: two ends that disagree must fall silent, and SYN-ACK goes
        // out again by itself.
        if seg.len() > 0 || half.challenge_after == 0 || cx.limits.challenge_ack_interval.is_zero()
        {
            challenge(half, window, cx);
        }
        return ControlFlow::Break(DropReason::OutsideWindow);
    }
    // PAWS; the value is taken over only once the ACK is known to be good.
    let agreed_timestamps = seg.timestamps.filter(|_| half.agreed.timestamps);
    if let Some(timestamps) = agreed_timestamps
        && !seg.has(Flags::RST)
        && (timestamps.value.wrapping_sub(half.ts_recent) as i32) < 0
    {
        challenge(half, window, cx);
        return ControlFlow::Break(DropReason::Paws);
    }
    // Second, the RST bit: exactly at RCV.NXT, else it is challenged (RFC 5961 §3.2).
    if seg.has(Flags::RST) {
        if seg.seq == rcv_nxt {
            return ControlFlow::Continue(Outcome::Reset);
        }
        challenge(half, window, cx);
        return ControlFlow::Break(DropReason::ResetChallenged);
    }
    // Fourth, the SYN bit: RFC 9293 has a passive open go back to LISTEN; a different SYN is challenged as RFC 5961 §4.2 does in
    // synchronised states, so that a forged one ends no handshake.
    if seg.has(Flags::SYN) && !crossing {
        challenge(half, window, cx);
        return ControlFlow::Break(DropReason::SynChallenged);
    }
    // Fifth, the ACK bit.
    if !seg.has(Flags::ACK) {
        return ControlFlow::Break(DropReason::NoAck);
    }
    if seg.ack != half.iss + 1 && seg.ack != half.snd_nxt() {
        if in_fin_wait_1 {
            // §3.5.1 group 3: a synchronised state answers with an ACK.
            challenge(half, window, cx);
            return ControlFlow::Break(DropReason::AckOfUnsent);
        }
        if let Some(reset) = closed::reset_for(half.pair, seg) {
            cx.replies.push(reset);
        }
        return ControlFlow::Break(DropReason::SynReceivedBadAck);
    }
    if crossing {
        half.agreed.ecn = half.agreed.ecn.of_crossing_syn_ack(seg);
    }
    if let Some(timestamps) = agreed_timestamps {
        half.ts_recent = timestamps.value;
    }
    ControlFlow::Continue(Outcome::Established)
}

/// An ACK that tells where we stand: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, at most one an interval.
fn challenge(half: &mut HalfOpen, window: u32, cx: &mut Context<'_>) {
    let now = cx.now.as_millis() as u32;
    if half.challenge_after != 0 && (now.wrapping_sub(half.challenge_after) as i32) < 0 {
        cx.counters.challenge_acks_limited += 1;
        return;
    }
    let interval = cx.limits.challenge_ack_interval;
    let wait = interval + cx.jitter(&half.pair, interval);
    half.challenge_after = now.wrapping_add(wait.as_millis() as u32).max(1);
    cx.counters.challenge_acks += 1;
    let answer = Reply::of_half_open(half, half.snd_nxt(), window, cx.now);
    cx.replies.push(answer);
}
