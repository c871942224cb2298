//! ICMP errors about our segments: RFC 5927 decides whether they are believed, RFC 9293 §3.9.2.2 what they do.

use std::ops::ControlFlow;

use crate::stack::icmp::{IcmpCause, IcmpError, IcmpErrorKind, IcmpIgnored, IcmpInput};
use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::{Cause, Changes, EndReason, Pair};
use crate::tcp::path_mtu::{self, Heard};
use crate::time::Instant;
use crate::wire::{IpHeader, SequenceNumber};

impl<R: Ring> Stack<R> {
    pub(super) fn icmp_arrives(&mut self, now: Instant, header: &IpHeader, packet: &[u8]) -> Step {
        let icmp = &mut self.icmp;
        let mut input = IcmpInput::Ignored(IcmpIgnored::Kind);
        let reply = self.output.build(|out| {
            input = icmp.receive(now, header, packet, out);
            input == IcmpInput::Replied
        });
        if let Some(reply) = reply {
            // RFC 1122 §3.2.2.6: an echo comes back whole, also one that came in fragments.
            let mtu = self.mtu_towards(now, header.addresses.source);
            let ids = &mut self.fragment_ids;
            self.output.send(reply, mtu, || ids.next(&header.addresses));
        }
        match input {
            IcmpInput::Replied => {
                self.counters.icmp_in += 1;
                ControlFlow::Continue(())
            }
            IcmpInput::Error(error) => {
                self.icmp_error(now, &error)?;
                self.counters.icmp_in += 1;
                ControlFlow::Continue(())
            }
            IcmpInput::Ignored(IcmpIgnored::Malformed(_) | IcmpIgnored::QuoteTooShort) => {
                ControlFlow::Break(DropReason::MalformedIcmp)
            }
            IcmpInput::Ignored(IcmpIgnored::RateLimited) => {
                ControlFlow::Break(DropReason::RateLimited)
            }
            // RFC 9293 §3.9.2.2 MUST-55: source quench is of a kind that is dropped in silence.
            IcmpInput::Ignored(
                IcmpIgnored::Kind | IcmpIgnored::Unsolicited | IcmpIgnored::NotTcp,
            ) => ControlFlow::Break(DropReason::IcmpIgnored),
        }
    }

    /// RFC 9293 §3.9.2.2 MUST-54: an error acts on the connection whose segment it quotes.
    fn icmp_error(&mut self, now: Instant, error: &IcmpError) -> Step {
        let pair = Pair::of_flow(&error.flow);
        let Some(id) = self.flows.find(&self.endpoints, &pair) else {
            return ControlFlow::Break(DropReason::IcmpNotOutstanding);
        };
        if !self.is_outstanding(id, error.seq) {
            return ControlFlow::Break(DropReason::IcmpNotOutstanding);
        }
        match error.kind {
            IcmpErrorKind::Soft(cause) => self.note_soft_error(now, id, cause),
            IcmpErrorKind::HardDuringOpen(cause) => match self.endpoints.get(id.key()) {
                Some(Slot::SynSent(open)) if !open.finishing => {
                    // RFC 9293 §3.9.2.2 SHLD-26, RFC 5927 §5.2: while opening, a hard error is one.
                    let reason = if cause == IcmpCause::Port || cause == IcmpCause::Protocol {
                        EndReason::Refused
                    } else {
                        EndReason::Unreachable(cause)
                    };
                    self.fail_open(now, id, reason, Cause::Unreachable);
                }
                _ => self.note_soft_error(now, id, cause),
            },
            IcmpErrorKind::PacketTooBig { mtu, quoted_len } => {
                return self.packet_too_big(now, id, error.seq, (mtu, quoted_len));
            }
        }
        ControlFlow::Continue(())
    }

    /// RFC 5927 §4.1: SND.UNA =< SEG.SEQ < SND.NXT.
    fn is_outstanding(&self, id: EndpointId, seq: SequenceNumber) -> bool {
        match self.endpoints.get(id.key()) {
            Some(Slot::Connection(conn)) => {
                let position = conn.send.position_of(seq);
                position >= conn.send.una as i64 && position < conn.send.nxt as i64
            }
            Some(Slot::SynSent(open)) => {
                let syn = seq == open.iss && open.sent_at.is_some();
                syn || (seq == open.iss + 1 && open.fin_sent())
            }
            Some(Slot::HalfOpen(half)) => seq == half.iss,
            Some(Slot::TimeWait(..) | Slot::Listener(_)) | None => false,
        }
    }

    /// RFC 9293 §3.9.2.2 MUST-56, SHLD-25: told to the user as trouble, and as the reason if the connection fails for lack of an answer;
    /// it ends nothing.
    fn note_soft_error(&mut self, now: Instant, id: EndpointId, cause: IcmpCause) {
        let reason = Some(EndReason::Unreachable(cause));
        match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn)) => {
                conn.soft_error = reason;
                conn.changed(Changes::TROUBLE);
            }
            Some(Slot::SynSent(open)) => {
                open.soft_error = reason;
                open.changes |= Changes::TROUBLE;
            }
            Some(Slot::HalfOpen(_) | Slot::TimeWait(..) | Slot::Listener(_)) | None => {}
        }
        self.settle(now, id);
    }

    /// The path is narrower than thought: smaller segments from SND.UNA on, without blaming congestion (RFC 1191 §6.5).
    fn packet_too_big(
        &mut self,
        now: Instant,
        id: EndpointId,
        seq: SequenceNumber,
        (mtu, quoted_len): (u32, u32),
    ) -> Step {
        let slot = self.endpoints.get(id.key());
        let Some(pair) = slot.and_then(|slot| slot.pair(&self.addresses)) else {
            return ControlFlow::Break(DropReason::IcmpNotOutstanding);
        };
        let Some(mtu) = self.path_mtu.judge(pair.remote, mtu, quoted_len) else {
            return ControlFlow::Break(DropReason::IcmpIgnored);
        };
        let believed = match self.at(now, id) {
            Some((Slot::Connection(conn), mut cx)) => {
                let position = u64::try_from(conn.send.position_of(seq)).unwrap_or(0);
                path_mtu::too_big(conn, mtu, position, &mut cx) == Heard::Lowered
            }
            // A SYN is small; what is learnt counts for the text.
            _ => true,
        };
        if believed {
            self.learn_path_mtu(now, pair.remote, mtu);
        }
        self.settle(now, id);
        ControlFlow::Continue(())
    }
}
