//! Segments: what a delivered one makes known, and what may stand in a sent one.

use tcpd_core::sim::pair::End;
use tcpd_core::stack::{State, Status};
use tcpd_core::time::Instant;
use tcpd_core::wire::{Flags, SequenceNumber};

use super::{Model, Side, byte_of, counts};
use crate::air::Seen;

impl Model {
    /// A segment was delivered to `side`: what of the other's stream has come, how far ours is acknowledged, how far we may send.
    pub(super) fn arrives(&mut self, side: usize, seen: &Seen, now: Instant) {
        let known = &mut self.sides[side];
        let (Some(iss), Some(irs)) = (known.iss, known.irs) else {
            return;
        };
        known.arrived_at = now;
        if !counts(seen) {
            return;
        }
        if seen.has(Flags::SYN) {
            if seen.seq == irs {
                known.peer_shift = seen.options.window_scale.map(|shift| shift.min(14));
            }
        } else {
            let start = i64::from(seen.seq.signed_offset_from(irs + 1));
            known.note_text(start, start + seen.text.len() as i64);
            if seen.has(Flags::FIN)
                && let Ok(fin) = u64::try_from(start + seen.text.len() as i64)
            {
                known.fins_arrived.push(fin);
            }
        }
        if !seen.has(Flags::ACK) {
            return;
        }
        let acknowledged = i64::from(seen.ack.signed_offset_from(iss + 1));
        let most = known.sent as i64 + i64::from(known.fin_sent);
        if !(0..=most).contains(&acknowledged) {
            // Of another incarnation.
            return;
        }
        known.acknowledged = known.acknowledged.max(acknowledged as u64);
        let shift = match (seen.has(Flags::SYN), known.own_shift, known.peer_shift) {
            (false, Some(_), Some(shift)) => shift,
            _ => 0,
        };
        let edge = seen.ack + (u32::from(seen.window) << shift);
        known.edge_heard = Some(
            known
                .edge_heard
                .map_or(edge, |before| before.later_of(edge)),
        );
    }

    /// Whether `end` may send this. It is the living side's, or of one that was alive when it was caused.
    pub(crate) fn sent(
        &mut self,
        end: End,
        seen: &Seen,
        status: Option<&Status>,
    ) -> Result<(), String> {
        if seen.has(Flags::RST) {
            return self.may_reset(end, seen);
        }
        let recent = &self.recent[end as usize].sides;
        let candidates: Vec<usize> = self.living[end as usize]
            .into_iter()
            .chain(self.aside[end as usize])
            .chain(recent.iter().rev().copied())
            .collect();
        let mut complaint = "nobody is there to send it".to_owned();
        for side in candidates {
            match may_send(side, &self.sides[side], seen) {
                Ok(()) => {
                    note_sent(&mut self.sides[side], seen);
                    return self.is_not_stale(end, side, seen, status);
                }
                Err(wrong) if complaint.starts_with("nobody") => complaint = wrong,
                Err(_) => {}
            }
        }
        Err(complaint)
    }

    /// MUST-61-like: every segment with ACK tells the newest RCV.NXT that its side knows.
    fn is_not_stale(
        &self,
        end: End,
        side: usize,
        seen: &Seen,
        status: Option<&Status>,
    ) -> Result<(), String> {
        let Some(status) = status.filter(|_| self.living[end as usize] == Some(side)) else {
            return Ok(());
        };
        // Segments that belong to no stream were made when they were caused.
        let fresh = seen.text.is_empty() || status.rcv_nxt == seen.ack;
        if fresh {
            Ok(())
        } else {
            Err(format!(
                "text that acknowledges {}, not {}",
                seen.ack, status.rcv_nxt
            ))
        }
    }

    /// §3.5.2: in answer to a segment, but never to a RST; or because a user or a timeout has ended the connection.
    fn may_reset(&self, end: End, seen: &Seen) -> Result<(), String> {
        let recent = &self.recent[end as usize];
        let answers = recent.arrivals.iter().any(|heard| {
            if heard.has(Flags::RST) {
                return false;
            }
            let form = if heard.has(Flags::ACK) {
                seen.seq == heard.ack && !seen.has(Flags::ACK)
            } else {
                seen.seq == SequenceNumber(0)
                    && seen.has(Flags::ACK)
                    && seen.ack == heard.seq + heard.len()
            };
            // Text for a user who has let go: at SND.NXT (RFC 1122 §4.2.2.13).
            let too_late = !heard.text.is_empty()
                && recent
                    .sides
                    .iter()
                    .any(|&side| self.sides[side].released && is_own(&self.sides[side], seen));
            form || too_late
        });
        let ended = (recent.called || recent.timed)
            && recent
                .sides
                .iter()
                .any(|&side| is_own(&self.sides[side], seen));
        if answers || ended {
            Ok(())
        } else {
            Err("§3.5.2: nothing asks for a RST".into())
        }
    }
}

/// Whether a segment without text stands between ISS and what was sent.
fn is_own(side: &Side, seen: &Seen) -> bool {
    let Some(iss) = side.iss else { return false };
    let most = side.sent as u32 + 2;
    seen.seq.within(iss, most + 1)
}

fn may_send(number: usize, side: &Side, seen: &Seen) -> Result<(), String> {
    let iss = side.iss.ok_or("no ISS")?;
    if seen.has(Flags::SYN) {
        if seen.seq != iss {
            return Err(format!("its SYN stands at {iss}"));
        }
        let answers = match side.irs {
            Some(irs) => seen.has(Flags::ACK) && seen.ack == irs + 1,
            None => !seen.has(Flags::ACK),
        };
        return if answers && seen.text.is_empty() && !seen.has(Flags::FIN) {
            Ok(())
        } else {
            Err("a SYN that says more than SYN".into())
        };
    }
    let irs = side.irs.ok_or("it has not heard of a SYN")?;
    if !seen.has(Flags::ACK) {
        return Err("§3.10.7.4: no ACK".into());
    }
    let told = u64::from(seen.ack.offset_from(irs + 1));
    if told > side.in_order() {
        return Err(format!(
            "acknowledges {told}, but {} was delivered in order",
            side.in_order()
        ));
    }
    let start = i64::from(seen.seq.signed_offset_from(iss + 1));
    let end = start + seen.text.len() as i64;
    // A keepalive probe stands one left of SND.NXT.
    if start < -1 || end > side.written as i64 + 1 {
        return Err(format!("stands at {start}..{end} of {}", side.written));
    }
    if !seen.text.is_empty() {
        let right = (start..)
            .zip(&seen.text)
            .all(|(position, &byte)| byte == byte_of(number, position as u64));
        if start < 0 || end > side.written as i64 || !right {
            return Err("bytes that its user did not write there".into());
        }
    }
    if seen.has(Flags::FIN) && (!side.write_closed || end != side.written as i64) {
        return Err(
            "a FIN that its user did not ask for, or elsewhere than behind everything".into(),
        );
    }
    within_window(side, seen)?;
    edge_stays(side, seen)
}

/// §3.8.6: what is sent for the first time lies in the window, but for the one octet of a probe (§3.8.6.1).
fn within_window(side: &Side, seen: &Seen) -> Result<(), String> {
    if seen.len() == 0 {
        return Ok(());
    }
    let end = seen.seq + seen.len();
    let new = side
        .iss
        .is_some_and(|iss| end.after(iss + 1 + side.sent as u32 + u32::from(side.fin_sent)));
    match side.edge_heard {
        Some(edge) if !new || !end.after(edge + 1) => Ok(()),
        // CLOSE in SYN-RECEIVED: the window of the SYN, which acknowledged nothing.
        None if seen.text.is_empty() => Ok(()),
        edge => Err(format!("beyond the window, whose edge is {edge:?}")),
    }
}

/// SHLD-14: the right edge does not move left, but for what a scaled window cannot say (RFC 7323 §2.4).
fn edge_stays(side: &Side, seen: &Seen) -> Result<(), String> {
    let (edge, shift) = edge_of(side, seen);
    let slack = (1 << shift) - 1;
    match side.edge_told {
        Some(before) if (edge + slack).before(before) => Err(format!(
            "the right edge of its window moves left by {}",
            before.offset_from(edge)
        )),
        _ => Ok(()),
    }
}

fn edge_of(side: &Side, seen: &Seen) -> (SequenceNumber, u8) {
    let shift = match (seen.has(Flags::SYN), side.own_shift, side.peer_shift) {
        (false, Some(shift), Some(_)) => shift,
        _ => 0,
    };
    (seen.ack + (u32::from(seen.window) << shift), shift)
}

fn note_sent(side: &mut Side, seen: &Seen) {
    if seen.has(Flags::SYN) {
        side.own_shift = seen.options.window_scale.map(|shift| shift.min(14));
    } else if let Some(iss) = side.iss {
        let end = i64::from(seen.seq.signed_offset_from(iss + 1)) + seen.text.len() as i64;
        if !seen.text.is_empty() {
            side.sent = side.sent.max(end.max(0) as u64);
        }
        side.fin_sent |= seen.has(Flags::FIN);
    }
    if seen.has(Flags::ACK) && side.state != State::Closed {
        let (edge, _) = edge_of(side, seen);
        side.edge_told = Some(side.edge_told.map_or(edge, |before| before.later_of(edge)));
    }
}

impl Side {
    fn note_text(&mut self, start: i64, end: i64) {
        let (start, end) = (start.max(0) as u64, end.max(0) as u64);
        if start >= end {
            return;
        }
        self.arrived.push((start, end));
        self.arrived.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for &(start, end) in &self.arrived {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        self.arrived = merged;
    }
}
