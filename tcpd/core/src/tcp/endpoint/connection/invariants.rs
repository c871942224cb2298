//! What is always true of a TCB, as code: checked after every event wherever assertions are compiled in.

use crate::tcp::buffer::Ring;
use crate::tcp::ecn;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{EndReason, Owner, State};
use crate::tcp::send_space::Fin;
use crate::tcp::timers::Timer;

impl<R: Ring> Connection<R> {
    /// What must hold after every event.
    pub(crate) fn assert_invariants(&self) {
        self.send.assert_invariants(self.rings.send.capacity());
        self.receive.assert_invariants();
        self.assert_buffers();
        self.assert_state();
        self.assert_timers();
        assert!(
            self.passive || !matches!(self.owner, Owner::Listener(_)),
            "an active open in a listener's queue"
        );
    }

    /// Positions against rings, and against what was told to the peer.
    fn assert_buffers(&self) {
        assert_eq!(
            self.receive.capacity,
            self.rings.receive.capacity(),
            "the ring grew behind the window's back"
        );
        assert!(
            self.acked_to <= self.receive.nxt,
            "acknowledged {}, but only {} has arrived",
            self.acked_to,
            self.receive.nxt
        );
        assert!(
            !self.reading_closed || self.receive.unread() == 0,
            "bytes are kept for a user who reads no more"
        );
        if !matches!(self.state, State::Closed | State::TimeWait) {
            self.recovery
                .board
                .assert_invariants(self.send.una, self.send.nxt);
        }
    }

    /// What each state says about the two FINs (RFC 9293 §3.3.2), and about the end.
    fn assert_state(&self) {
        let (send, receive) = (&self.send, &self.receive);
        match self.state {
            State::Closed | State::TimeWait => {}
            State::Established => assert!(!send.fin_sent() && !receive.is_finished()),
            State::CloseWait => assert!(!send.fin_sent() && receive.is_finished()),
            State::FinWait1 => assert!(!send.fin_acknowledged() && !receive.is_finished()),
            State::FinWait2 => assert!(send.fin_acknowledged() && !receive.is_finished()),
            State::Closing | State::LastAck => {
                assert!(!send.fin_acknowledged() && receive.is_finished());
            }
            State::Listen | State::SynSent | State::SynReceived => {
                panic!("{} is no connection's state", self.state)
            }
        }
        match self.state {
            State::Closed => assert!(self.end.is_some(), "CLOSED, and nobody knows why"),
            // Both FINs were exchanged, and everything before them.
            State::TimeWait => assert!(
                send.fin_acknowledged()
                    && receive.is_finished()
                    && self.end == Some(EndReason::Closed)
            ),
            State::Established | State::CloseWait => {
                assert_eq!(send.fin, Fin::NotYet, "a FIN in {}", self.state);
                assert_eq!(self.end, None);
                assert!(!self.is_orphan(), "an orphan in {}", self.state);
            }
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck => {
                assert_eq!(send.fin, Fin::Queued, "no FIN in {}", self.state);
                assert_eq!(self.end, None);
            }
            State::Listen | State::SynSent | State::SynReceived => {}
        }
    }

    /// A timer runs only while there is something that it waits for.
    fn assert_timers(&self) {
        let runs = |timer| self.timers.is_running(timer);
        if matches!(self.state, State::Closed | State::TimeWait) {
            assert_eq!(self.timers.earliest(), None, "a timer in {}", self.state);
            return;
        }
        let outstanding = self.send.has_unacknowledged();
        let waiting = outstanding || self.send.has_unsent();
        assert!(
            outstanding || ecn::is_held(self) || !runs(Timer::Retransmission),
            "the retransmission timer runs for nothing (RFC 6298 §5.2)"
        );
        assert!(
            outstanding || !(runs(Timer::TailLoss) || runs(Timer::Reordering)),
            "a loss is looked for in nothing"
        );
        assert!(
            waiting || !runs(Timer::ZeroWindow),
            "a window is probed for nothing"
        );
        assert!(
            !(runs(Timer::Retransmission) && runs(Timer::ZeroWindow)),
            "the same text is retransmitted and probed for"
        );
        assert!(
            self.receive.nxt > self.acked_to || !runs(Timer::DelayedAck),
            "an acknowledgment is delayed that nobody waits for"
        );
        assert_eq!(
            runs(Timer::KeepAlive),
            self.options.keepalive.is_some(),
            "keepalive is as the user said (MUST-25)"
        );
        assert!(
            !runs(Timer::User) || (self.options.user_timeout.is_some() && waiting),
            "the user's patience with nothing"
        );
        assert_eq!(
            runs(Timer::Orphan),
            self.is_orphan(),
            "in {}: an orphan ends, a held connection does not",
            self.state
        );
        assert!(
            !runs(Timer::Handshake) && !runs(Timer::TimeWait),
            "these two are timers of other shapes"
        );
    }

    /// What must hold when it has nothing to send now: a timer sees to whatever is unacknowledged or unsent, or nothing would ever set
    /// the connection going again.
    pub(crate) fn assert_not_stalled(&self) {
        if matches!(self.state, State::Closed | State::TimeWait) {
            return;
        }
        let watched = self.timers.is_running(Timer::Retransmission)
            || self.timers.is_running(Timer::ZeroWindow)
            || self.timers.is_running(Timer::Pacing);
        assert!(
            watched || !(self.send.has_unacknowledged() || self.send.has_unsent()),
            "stalled in {}: {:?} {:?}",
            self.state,
            self.send,
            self.timers
        );
        let owed = self.receive.nxt > self.acked_to;
        assert!(
            !owed || self.timers.is_running(Timer::DelayedAck),
            "an acknowledgment was forgotten in {}",
            self.state
        );
    }
}
