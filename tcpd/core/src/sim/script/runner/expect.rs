//! `>`: a packet that the stack must send next.

use super::{Runner, Wrong};
use crate::sim::script::Place;
use crate::sim::script::compare::{self, SideBySide};
use crate::sim::script::frame::{Seen, SeenTcp, Upper};
use crate::sim::script::syntax::Packet;
use crate::time::Instant;
use crate::wire::Flags;
use crate::wire::ladder::Direction;

impl Runner<'_> {
    /// Waits for the next packet of the stack between `from` and `to` and compares it. Says when it was sent; `None` when it was
    /// optional and did not come.
    pub(super) fn expect(
        &mut self,
        packet: &Packet,
        optional: bool,
        from: Instant,
        to: Instant,
    ) -> Result<Option<Instant>, (Place, Wrong)> {
        let place = packet.place;
        let here = |wrong| (place, wrong);
        let (earliest, latest) = (from - self.tolerance, to + self.tolerance);
        self.advance_until_seen(latest)?;
        let Some((at, bytes)) = self.seen.front().cloned() else {
            if optional {
                return Ok(None);
            }
            self.advance_to(latest)?;
            let text = format!(
                "expected a packet until {}, the stack sent none",
                self.text(to)
            );
            return Err(here(Wrong::new(text)));
        };
        let peer = packet.attributes.peer.unwrap_or(1);
        let seen = Seen::read(&bytes).map_err(|why| {
            here(Wrong::new(format!(
                "the stack sent a malformed packet: {why}"
            )))
        })?;
        let mut flow = self.flow(peer).clone();
        let ticks = u32::try_from(self.tolerance.as_millis()).unwrap_or(u32::MAX);
        let mut table = SideBySide::default();
        let in_time = earliest <= at && at <= latest;
        let wanted_time = if from == to {
            self.text(from)
        } else if from == Instant::ZERO {
            "any".to_owned()
        } else {
            format!("{} ~ {}", self.text(from), self.text(to))
        };
        table.push("time", wanted_time, self.text(at), in_time);
        let seen_peer = self.peer_of_seen(&seen);
        if let Some(seen_peer) = seen_peer {
            let agrees = seen_peer == peer || packet.attributes.destination_port.is_some();
            table.push("peer", peer.to_string(), seen_peer.to_string(), agrees);
        }
        if let Upper::Tcp(tcp) = &seen.upper
            && tcp.flags == Flags::SYN
            && seen_peer == Some(peer)
        {
            // Our port of an active open shows in its SYN.
            flow.local_port = tcp.source_port;
        }
        table.append(compare::compare(
            &packet.attributes,
            &packet.body,
            &seen,
            &mut flow,
            ticks.max(1),
        ));
        if !table.agrees() {
            if optional {
                return Ok(None);
            }
            let message = format!(
                "the packet is not the one expected: it differs in {}",
                table.differences().join(", ")
            );
            return Err(here(Wrong {
                message,
                table: Some(table),
            }));
        }
        *self.flow(peer) = flow;
        self.seen.pop_front();
        self.show(peer, at, &seen);
        Ok(Some(at))
    }

    fn peer_of_seen(&self, seen: &Seen) -> Option<u16> {
        match &seen.upper {
            Upper::Tcp(tcp) => Some(self.peer_at(tcp.destination_port)),
            Upper::Icmp { .. } => None,
        }
    }

    fn show(&mut self, peer: u16, at: Instant, seen: &Seen) {
        let text = match &seen.upper {
            Upper::Tcp(tcp) => self.text_of(peer, tcp),
            Upper::Icmp { kind, code, .. } => format!("icmp {kind} code {code}"),
        };
        let state = self.state_of(peer).to_owned();
        let right = if peer == 1 {
            String::new()
        } else {
            format!("peer {peer}")
        };
        let at = self.shown(at);
        self.ladder
            .packet(at, &state, Direction::Right, text, true, &right);
    }

    /// Shows a packet that no event has taken.
    pub(super) fn show_unexpected(&mut self, at: Instant, bytes: &[u8]) {
        let (text, right) = match Seen::read(bytes) {
            Ok(seen) => match &seen.upper {
                Upper::Tcp(tcp) => {
                    let peer = self.peer_at(tcp.destination_port);
                    let right = match peer {
                        1 => "not expected".to_owned(),
                        _ => format!("peer {peer}, not expected"),
                    };
                    (self.text_of(peer, tcp), right)
                }
                Upper::Icmp { kind, code, .. } => {
                    (format!("icmp {kind} code {code}"), "not expected".into())
                }
            },
            Err(why) => (format!("{} bytes", bytes.len()), why),
        };
        let at = self.shown(at);
        self.ladder
            .packet(at, "", Direction::Right, text, true, &right);
    }

    fn text_of(&mut self, peer: u16, tcp: &SeenTcp) -> String {
        let flow = self.flow(peer).clone();
        let mut text = format!(
            "{:<2} {}({})",
            tcp.flags,
            tcp.seq.wrapping_sub(flow.ours),
            tcp.payload.len()
        );
        if tcp.flags.contains(Flags::ACK) {
            text += &format!(" ack {}", tcp.ack.wrapping_sub(flow.theirs));
        }
        text += &format!(" win {}", tcp.window);
        if !tcp.options.is_empty() {
            let options = flow.clone().script_options(&tcp.options, &[]);
            text += &format!(" {}", compare::text_of(&options));
        }
        text
    }
}
