//! How a connection ends, and the ACK that challenges those who would end it blindly.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::{Connection, Intents};
use crate::tcp::endpoint::{Cause, Changes, Context, EndReason, State};
use crate::tcp::timers::Timer;
use crate::tcp::transmit::Reply;

impl<R: Ring> Connection<R> {
    /// The TCB is deleted: CLOSED. What was received and not read stays readable.
    pub(crate) fn finish(&mut self, reason: EndReason, why: Cause, cx: &mut Context<'_>) {
        if self.state == State::Closed {
            return;
        }
        cx.transition(&mut self.state, State::Closed, why);
        self.timers.stop_all();
        self.intents = Intents::default();
        if self.end.is_none() {
            self.end = Some(reason);
            self.changed(Changes::ENDED);
        }
    }

    /// Both sides have closed; 2MSL begin. The stack puts the compact entry in this one's place once the last ACK is out.
    pub(crate) fn enter_time_wait(&mut self, why: Cause, cx: &mut Context<'_>) {
        cx.transition(&mut self.state, State::TimeWait, why);
        self.timers.stop_all();
        if self.end.is_none() {
            self.end = Some(EndReason::Closed);
            self.changed(Changes::ENDED);
        }
    }

    /// Tells the peer that the connection is gone: <SEQ=SND.NXT><CTL=RST> (§3.10.5), where the peer's window lets it stand: a RST
    /// counts at RCV.NXT only (§3.10.7.4, RFC 5961 §3.2).
    pub(crate) fn reset_peer(&mut self, cx: &mut Context<'_>) {
        let seq = self.send.sequence_of(self.send.textless_position());
        let dscp = self.options.dscp;
        cx.replies.push(Reply {
            dscp,
            ..Reply::reset(self.pair, seq)
        });
    }

    /// The ACK that answers a segment which takes no sequence number and lies outside of the window, or acknowledges what was never
    /// sent: a few, a twenty-fifth of the challenge ACK's interval (20 ms) apart.
    pub(crate) fn dataless_answer(&mut self, cx: &mut Context<'_>) {
        let interval = cx.limits.challenge_ack_interval / 25;
        if self.outside_window.allow(&self.pair, interval, cx) {
            self.intents.ack = true;
        }
    }

    /// RFC 5961: an ACK that tells where we stand, at most one an interval. Beyond that it is late, not lost: the RST may be a true one,
    /// sent before its sender had all our text, and a peer that is gone must hear from us to say it again where it counts.
    pub(crate) fn challenge_ack(&mut self, cx: &mut Context<'_>) {
        let interval = cx.limits.challenge_ack_interval;
        match self.challenge.allow(&self.pair, interval, cx) {
            Ok(()) => {
                cx.counters.challenge_acks += 1;
                self.tally.challenge_acks += 1;
                self.intents.ack = true;
            }
            Err(later) => {
                cx.counters.challenge_acks_limited += 1;
                self.timers.set(Timer::ChallengeAck, later);
            }
        }
    }
}
