//! Every arrow of RFC 9293 figure 5 with what may lead along it (§3.10). Written anew: nothing here is taken from the stack.

use std::time::Duration;

use tcpd_core::stack::{EndReason, State, Status};
use tcpd_core::time::Instant;
use tcpd_core::wire::{Flags, SequenceNumber};

use super::{Arrow, Call, Model, Why};
use crate::air::Seen;
use crate::machine::Patience;

/// [`EndReason`] without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Closed,
    Refused,
    Reset,
    TimedOut,
    Aborted,
    Other,
}

impl Kind {
    pub(crate) fn of(reason: EndReason) -> Self {
        match reason {
            EndReason::Closed => Self::Closed,
            EndReason::Refused => Self::Refused,
            EndReason::Reset => Self::Reset,
            EndReason::TimedOut(_) => Self::TimedOut,
            EndReason::Aborted => Self::Aborted,
            EndReason::Unreachable(_) | EndReason::Evicted => Self::Other,
        }
    }
}

/// What its user may hear of an arrow to CLOSED.
pub(crate) fn reason_of(arrow: &Arrow, why: &Why, text_is_lost: bool) -> Vec<Kind> {
    use State::{CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, SynReceived};
    match why {
        // A user who has seen both FINs has seen an end in order, whatever follows.
        _ if arrow.from == State::TimeWait => vec![Kind::Closed],
        Why::Arrival(seen) if seen.has(Flags::RST) => match arrow.from {
            State::SynSent | SynReceived => vec![Kind::Refused],
            Established | FinWait1 | FinWait2 | CloseWait => vec![Kind::Reset],
            // §3.10.7.4 tells nobody; but who has text that was not acknowledged has lost it.
            Closing | LastAck if text_is_lost => vec![Kind::Reset],
            Closing | LastAck => vec![Kind::Closed],
            _ => vec![],
        },
        Why::Arrival(_) if arrow.from == LastAck => vec![Kind::Closed],
        // Text for a user who has let go.
        Why::Arrival(_) => vec![Kind::Aborted],
        Why::Call(_) => vec![Kind::Aborted],
        Why::Time => vec![Kind::TimedOut],
        Why::Forgery(_) | Why::Noise => vec![],
    }
}

/// What leaves no choice: a RST at RCV.NXT in a synchronised state (§3.10.7.4, second; RFC 7323 §5.2: whatever its timestamp), one that
/// acknowledges our SYN in SYN-SENT (§3.10.7.3).
pub(super) fn must_end(seen: &Seen, before: &Status) -> bool {
    if !seen.has(Flags::RST) {
        return false;
    }
    match before.state {
        State::SynSent => seen.has(Flags::ACK) && seen.ack == before.iss + 1,
        State::Established
        | State::FinWait1
        | State::FinWait2
        | State::CloseWait
        | State::Closing
        | State::LastAck => seen.seq == before.rcv_nxt,
        State::Closed | State::Listen | State::SynReceived | State::TimeWait => false,
    }
}

/// The least time after which R2 may give up (§3.8.3: at least 100 s).
const R2: Duration = Duration::from_secs(100);
/// R2 of a SYN: at least 3 minutes.
const SYN_R2: Duration = Duration::from_secs(180);
/// The SYN-ACK is sent again a few times.
const SYN_ACK: Duration = Duration::from_secs(30);
const ORPHAN: Duration = Duration::from_secs(60);

fn ensure(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

impl Model {
    pub(super) fn judge_listener(&self, arrow: &Arrow, why: &Why) -> Result<(), String> {
        crate::coverage::arrow(arrow.from, arrow.to);
        match (arrow.to, why) {
            (State::Listen, Why::Call(Call::Listen))
            | (State::Closed, Why::Call(Call::CloseListener)) => Ok(()),
            _ => Err(format!("{arrow:?} after {why:?}")),
        }
    }

    /// Whether `why` may lead along `arrow`.
    pub(super) fn lawful(
        &self,
        side: usize,
        arrow: &Arrow,
        why: &Why,
        before: Option<&Status>,
        now: Instant,
    ) -> Result<(), String> {
        if self.aside[self.sides[side].end as usize] == Some(side) {
            // The handshake that took its pair is over, one way or the other.
            return ensure(
                (arrow.from, arrow.to) == (State::TimeWait, State::Closed),
                "set aside, TIME-WAIT ends or goes on",
            );
        }
        match why {
            Why::Arrival(seen) => self.by_arrival(side, arrow, seen, before),
            Why::Call(call) => self.by_call(side, arrow, *call),
            Why::Time => self.by_time(side, arrow, now),
            Why::Forgery(_) | Why::Noise => Err("for nothing".into()),
        }
    }

    /// §3.10.7, in the order of its sections.
    fn by_arrival(
        &self,
        side: usize,
        arrow: &Arrow,
        seen: &Seen,
        before: Option<&Status>,
    ) -> Result<(), String> {
        use State::{
            CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen,
            SynReceived, SynSent, TimeWait,
        };
        let known = &self.sides[side];
        let (syn, ack, rst) = (
            seen.has(Flags::SYN),
            seen.has(Flags::ACK),
            seen.has(Flags::RST),
        );
        let iss = known.iss.ok_or("no ISS")?;
        let of_syn = ack && seen.ack == iss + 1;
        let rcv_nxt = before.map(|status| status.rcv_nxt);
        let exact_reset = rst && rcv_nxt == Some(seen.seq);
        let of_fin = ack && known.write_closed && seen.ack == iss + 2 + known.written as u32;
        let fin_reached = known.fins_arrived.iter().any(|&fin| known.in_order() > fin);
        match (arrow.from, arrow.to) {
            (Listen, SynReceived) => ensure(
                syn && !ack && !rst && !seen.has(Flags::FIN),
                "§3.10.7.2: by a SYN alone",
            ),
            (SynSent, Established) => ensure(
                syn && of_syn && !rst,
                "§3.10.7.3: by a SYN that acknowledges ours",
            ),
            (SynSent, SynReceived) => {
                ensure(syn && !ack && !rst, "§3.10.7.3: by a SYN without ACK")
            }
            (SynSent, Closed) => ensure(
                rst && of_syn,
                "§3.10.7.3: by a RST that acknowledges our SYN",
            ),
            (SynReceived, Established) => ensure(
                (of_syn || of_fin) && !rst && (!syn || Some(seen.seq) == known.irs),
                "§3.10.7.4, fifth: by an ACK of our SYN",
            ),
            // §3.10.4: a CLOSE before ESTABLISHED was queued until now.
            (Established, FinWait1) | (CloseWait, LastAck) => ensure(
                known.write_closed && known.entered_at == known.arrived_at && of_syn,
                "§3.10.4: a CLOSE that was queued goes on with the handshake's end",
            ),
            (SynReceived, Listen) => ensure(
                exact_reset && known.passive,
                "§3.10.7.4, second: by a RST at RCV.NXT, after a passive open",
            ),
            (SynReceived, Closed) => ensure(
                exact_reset && !known.passive,
                "§3.10.7.4, second: by a RST at RCV.NXT, after an active open",
            ),
            (Established, CloseWait) | (FinWait1, Closing) | (FinWait2, TimeWait) => ensure(
                fin_reached && !rst && !syn,
                "§3.10.7.4, eighth: by the FIN, once everything before it has arrived",
            ),
            (FinWait1, FinWait2) | (Closing, TimeWait) => ensure(
                of_fin && !rst && known.fin_sent,
                "§3.10.7.4, fifth: by an ACK of our FIN",
            ),
            (LastAck, Closed) => ensure(
                exact_reset || (of_fin && !rst && known.fin_sent),
                "§3.10.7.4: by an ACK of our FIN, or a RST at RCV.NXT",
            ),
            (TimeWait, Closed) => ensure(
                (exact_reset && !self.ignores_reset)
                    || (syn
                        && !ack
                        && !rst
                        && !seen.has(Flags::FIN)
                        && self.is_newer(seen, before)),
                "RFC 1337, RFC 6191: by a newer SYN",
            ),
            (Established | FinWait1 | FinWait2 | CloseWait | Closing, Closed) => ensure(
                exact_reset || (known.released && !rst && !seen.text.is_empty()),
                "§3.10.7.4, second: by a RST at RCV.NXT",
            ),
            _ => Err("no segment leads here".into()),
        }
    }

    /// RFC 6191 §2: a newer timestamp, or, with an equal one or without, a larger sequence number.
    fn is_newer(&self, seen: &Seen, before: Option<&Status>) -> bool {
        let Some(before) = before else { return false };
        let larger = seen.seq.after(before.rcv_nxt);
        match seen.options.timestamps {
            Some(stamp) if before.timestamps => {
                match SequenceNumber(stamp.value)
                    .signed_offset_from(SequenceNumber(before.ts_recent))
                {
                    0 => larger,
                    newer => newer > 0,
                }
            }
            _ => larger,
        }
    }

    /// §3.10.1 to §3.10.5.
    fn by_call(&self, side: usize, arrow: &Arrow, call: Call) -> Result<(), String> {
        use State::{
            CloseWait, Closed, Established, FinWait1, LastAck, Listen, SynReceived, SynSent,
            TimeWait,
        };
        let known = &self.sides[side];
        let closes = matches!(call, Call::ShutdownWrite | Call::Close { unread: false });
        let lawful = match (arrow.from, arrow.to) {
            (Closed, SynSent) => call == Call::Connect,
            (Established, FinWait1) | (CloseWait, LastAck) => closes,
            (SynReceived, FinWait1) => closes && known.written == 0 && !known.passive,
            // The pair is taken over, or the rest of it thrown away.
            (TimeWait, Closed) => matches!(call, Call::Connect | Call::Abort),
            (SynReceived, Closed) if known.passive => {
                matches!(call, Call::CloseListener | Call::Abort)
            }
            (SynReceived, Listen) => false,
            (SynSent, Closed) => matches!(call, Call::Close { .. } | Call::Abort),
            (_, Closed) => matches!(
                call,
                Call::Close { unread: true } | Call::Abort | Call::CloseListener
            ),
            (Listen, _) => false,
            _ => false,
        };
        ensure(lawful, "§3.10.1 to §3.10.5 know no such call")
    }

    /// §3.10.8, §3.8.3, §3.8.4: only after the time.
    fn by_time(&self, side: usize, arrow: &Arrow, now: Instant) -> Result<(), String> {
        use State::{Closed, SynReceived, SynSent, TimeWait};
        let known = &self.sides[side];
        let since = |at: Instant| now.duration_since(at);
        match (arrow.from, arrow.to) {
            (TimeWait, Closed) => {
                let until = known.time_wait_until.ok_or("TIME-WAIT without an end")?;
                ensure(now >= until, "§3.6.1: TIME-WAIT lasts 2MSL")
            }
            (SynSent, Closed) => ensure(since(known.opened_at) >= SYN_R2, "§3.8.3: too soon"),
            (SynReceived, Closed) if known.passive => {
                ensure(since(known.opened_at) >= SYN_ACK, "§3.8.3: too soon")
            }
            (SynReceived, Closed) => ensure(
                since(known.opened_at) >= SYN_R2
                    || (known.released && since(known.released_at) >= ORPHAN),
                "§3.8.3: too soon",
            ),
            (_, Closed) => {
                self.peer_is_gone(side)?;
                let kept_alive = known.patience == Patience::KeepAlive
                    && since(known.heard_at) >= Duration::from_secs(6);
                let patient = known.patience == Patience::UserTimeout
                    && since(known.waiting_since) >= Duration::from_secs(30);
                let orphaned =
                    known.released && since(known.released_at.max(known.waiting_since)) >= ORPHAN;
                // CLOSE in SYN-RECEIVED leads to FIN-WAIT-1 while our SYN is not acknowledged.
                let unopened = !known.established && since(known.opened_at) >= SYN_R2;
                let given_up = since(known.waiting_since) >= R2;
                ensure(
                    kept_alive || patient || orphaned || unopened || given_up,
                    "§3.8.3, §3.8.4, §3.10.8: no timeout can have come yet",
                )
            }
            _ => Err("time leads to CLOSED only".into()),
        }
    }

    /// On a good network nobody gives up a peer that answers, and every user reads and closes.
    fn peer_is_gone(&self, side: usize) -> Result<(), String> {
        let known = &self.sides[side];
        let Some(healed_at) = self.healed_at else {
            return Ok(());
        };
        let let_go_before = known.released && known.released_at < healed_at;
        let answers = self.living[known.end.other() as usize]
            .is_some_and(|other| self.sides[other].is_linked_with(known));
        ensure(let_go_before || !answers, "a peer that answers is given up")
    }

    /// §3.10.7.4, eighth step, TIME-WAIT: the FIN again restarts 2MSL.
    pub(super) fn fin_in_time_wait(
        &mut self,
        side: usize,
        seen: &Seen,
        before: Option<&Status>,
        now: Instant,
    ) {
        let known = &mut self.sides[side];
        let Some(before) = before.filter(|status| status.state == State::TimeWait) else {
            return;
        };
        if known.state != State::TimeWait || seen.flags.intersects(Flags::SYN | Flags::RST) {
            return;
        }
        // RFC 7323 §5.3: an old timestamp does not count.
        let old = before.timestamps
            && seen.options.timestamps.is_some_and(|stamp| {
                SequenceNumber(stamp.value).before(SequenceNumber(before.ts_recent))
            });
        let is_the_fin = seen.has(Flags::FIN) && seen.seq + seen.len() == before.rcv_nxt;
        if seen.has(Flags::ACK) && is_the_fin && !old {
            known.time_wait_until = Some(now + self.two_msl);
        }
    }
}
