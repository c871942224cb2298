//! The timers: RFC 9293 §3.10.8, §3.8.1, §3.8.3, §3.8.4, §3.8.6, RFC 6298.

pub(super) const TABLE: &str = "
timer-handshake:
    every-state             > cannot            | our SYN is acknowledged, or there is none
    SYN-SENT                > = S               | §3.8.1: the SYN again
    SYN-RECEIVED            > = SA              | §3.8.1: SYN,ACK again
    FIN-WAIT-1/opening      > = SA+F            | §3.8.1: SYN,ACK and FIN again

timer-handshake-last:
    every-state             > cannot            | our SYN is acknowledged, or there is none
    SYN-SENT                > CLOSED - timed-out | §3.8.3 MUST-23: R2 of the SYN
    SYN-RECEIVED            > CLOSED -          | RFC 4987 §3: the entry goes, no user knows of it
    SYN-RECEIVED/active     > CLOSED Rn timed-out | §3.8.3; the peer is told
    FIN-WAIT-1/opening      > CLOSED Rn timed-out | §3.8.3; the peer is told

timer-retransmission:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED TIME-WAIT > cannot | another timer, or none
    FIN-WAIT-1/opening      > cannot            | the handshake timer does it all
    ESTABLISHED CLOSE-WAIT  > = D               | §3.10.8: the segment at the front of the queue again
    FIN-WAIT-1 CLOSING LAST-ACK > = F           | §3.10.8: FIN again
    FIN-WAIT-1/unsent       > cannot            | FIN was not sent yet
    FIN-WAIT-2              > cannot            | nothing is unacknowledged

timer-retransmission-last:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED TIME-WAIT > cannot | another timer, or none
    FIN-WAIT-1/opening      > cannot            | the handshake timer does it all
    synchronised            > CLOSED Rn timed-out | §3.8.3 MUST-20 (c): R2; the peer is told
    FIN-WAIT-1/unsent       > cannot            | FIN was not sent yet
    FIN-WAIT-2              > cannot            | nothing is unacknowledged

timer-zero-window:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED TIME-WAIT > cannot | nothing waits for a window
    FIN-WAIT-1/opening      > cannot            | the handshake timer does it all
    ESTABLISHED CLOSE-WAIT  > = D               | §3.8.6.1 MUST-36: text is tried
    FIN-WAIT-1 CLOSING LAST-ACK > = F           | §3.8.6.1 MUST-36: FIN is tried
    FIN-WAIT-1/unacked CLOSING/unacked LAST-ACK/unacked > = D  | §3.8.6.1 MUST-36: text is tried
    FIN-WAIT-2              > cannot            | nothing waits to be sent

timer-zero-window-last:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED TIME-WAIT > cannot | nothing waits for a window
    FIN-WAIT-1/opening      > cannot            | the handshake timer does it all
    synchronised            > CLOSED Ru timed-out | §3.8.3: R2 probes without any answer; MUST-37 is about answered ones
    FIN-WAIT-2              > cannot            | nothing waits to be sent

timer-delayed-ack:
    every-state             > cannot            | nothing can be owed
    ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT > = A | §3.8.6.3
    FIN-WAIT-1/opening      > cannot            | the handshake timer does it all
    ESTABLISHED/window-0    > cannot            | no text is taken
    CLOSE-WAIT/unacked      > cannot            | what we sent carried the ACK
    FIN-WAIT-1/orphan FIN-WAIT-2/orphan > cannot | text for an orphan resets

timer-keep-alive:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED TIME-WAIT > cannot | not synchronised, or over
    FIN-WAIT-1/opening      > cannot            | the handshake timer does it all
    ESTABLISHED FIN-WAIT-2 CLOSE-WAIT > = K     | §3.8.4: idle for long
    ESTABLISHED/unacked FIN-WAIT-1 CLOSE-WAIT/unacked CLOSING LAST-ACK > = - | §3.8.4 MUST-27: only while nothing is outstanding

timer-keep-alive-last:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED TIME-WAIT > cannot | not synchronised, or over
    FIN-WAIT-1/opening      > cannot            | the handshake timer does it all
    synchronised            > CLOSED Rn timed-out | §3.8.4: no answer to several; where something is outstanding R2 comes first
    FIN-WAIT-1/unsent       > CLOSED Ru timed-out | R2 of the window probes comes first

timer-user:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED TIME-WAIT > cannot | nothing is unacknowledged, or open_timeout counts
    FIN-WAIT-1/opening      > cannot            | the handshake timer does it all
    synchronised            > CLOSED Rn timed-out | §3.10.8: aborted due to user timeout
    FIN-WAIT-1/unsent       > CLOSED Ru timed-out | §3.10.8
    FIN-WAIT-2              > cannot            | nothing is unacknowledged

timer-challenge-ack:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED TIME-WAIT > cannot | challenges are not held back here, or lost
    FIN-WAIT-1/opening      > cannot            | the handshake timer does it all
    synchronised            > = A               | RFC 5961 §7: late, not lost
    ESTABLISHED/unacked FIN-WAIT-1 CLOSE-WAIT/unacked CLOSING LAST-ACK > cannot | what is sent again tells the peer earlier

timer-idle:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED TIME-WAIT > cannot | not synchronised, or over
    FIN-WAIT-1/opening      > cannot            | the handshake timer does it all
    synchronised            > CLOSED Rn timed-out | the application's own wish, an ABORT (§3.10.5)
    FIN-WAIT-1/orphan FIN-WAIT-2/orphan CLOSING/orphan LAST-ACK/orphan > = - | nobody is left whose wish it could be
    FIN-WAIT-1/unsent       > CLOSED Ru timed-out | the same, where the peer's window ends

timer-orphan:
    every-state             > cannot            | the user holds it, or it is over
    FIN-WAIT-1/orphan CLOSING/orphan LAST-ACK/orphan > CLOSED Rn timed-out | RFC 9293 has no such timer: bounded; the peer is told that FIN or text was lost
    FIN-WAIT-2/orphan       > CLOSED - timed-out | the same; all was delivered: in silence

timer-time-wait:
    every-state             > cannot            | not in TIME-WAIT
    TIME-WAIT               > CLOSED -          | §3.10.8: delete the TCB
";
