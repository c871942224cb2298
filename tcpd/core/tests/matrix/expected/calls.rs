//! The user's calls: RFC 9293 §3.10.1 to §3.10.6.

pub(super) const TABLE: &str = "
call-open-active:
    every-state             > = - in-use        | §3.10.1: connection already exists; a listener serves many (MUST-42) and never becomes active
    CLOSED                  > SYN-SENT S ok     | §3.10.1

call-open-active-reuse:
    every-state             > = - in-use        | §3.10.1: connection already exists; without timestamps 2MSL hold for ourselves, too
    CLOSED                  > SYN-SENT S ok     | §3.10.1

call-open-active-takes-over:
    every-state             > = - in-use        | §3.10.1: connection already exists
    CLOSED LISTEN SYN-SENT  > cannot            | no timestamps were agreed
    LISTEN/cookie           > = - in-use        | §3.10.1: connection already exists
    TIME-WAIT/no-listener   > SYN-SENT S ok     | RFC 6191 §4, §3.6.1 MAY-2: taken over with an ISS above the old one

call-open-passive call-open-passive-reuse:
    every-state             > = - in-use        | §3.10.1: connection already exists
    CLOSED                  > LISTEN - ok       | §3.10.1

call-accept:
    every-state             > = - empty         | nothing waits in the listener's queue
    LISTEN/full SYN-RECEIVED/full SYN-RECEIVED/full-reset > = - ok | the one that fills the queue

call-send call-send-urgent:
    SYN-SENT SYN-RECEIVED/active > = - ok       | §3.10.2: queued until ESTABLISHED
    CLOSED                  > = - none          | §3.10.2: connection does not exist
    CLOSED/held             > = - reset         | §3.10.2: the name is still held, and says how it ended
    LISTEN                  > = - none          | §3.10.2: foreign socket unspecified: a listener is no connection
    SYN-RECEIVED            > = - none          | no user has a name for it before accept
    ESTABLISHED CLOSE-WAIT  > = D ok            | §3.10.2
    FIN-WAIT-1 FIN-WAIT-2 CLOSING LAST-ACK > = - closing       | §3.10.2: connection closing
    TIME-WAIT               > = - closed        | §3.10.2: connection closing: here it is closed already
    TIME-WAIT/orphan TIME-WAIT/no-listener TIME-WAIT/crossed TIME-WAIT/rfc1337-off > = - none | the user has let go

call-receive:
    CLOSED LISTEN           > = - none          | §3.10.3: connection does not exist
    CLOSED/held             > = - reset         | §3.10.3: the name is still held, and says how it ended
    SYN-RECEIVED            > = - none          | no user has a name for it before accept
    SYN-SENT SYN-RECEIVED/active ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 > = - empty | §3.10.3: queued; here: come back later
    ESTABLISHED/window-0    > = A ok            | §3.10.3, §3.8.6.2.2: the window opens, and the peer is told
    CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT > = - eof            | §3.10.3: connection closing
    TIME-WAIT/orphan TIME-WAIT/no-listener TIME-WAIT/crossed TIME-WAIT/rfc1337-off > = - none | the user has let go

call-receive-unread:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED FIN-WAIT-1/opening > cannot | nothing can have arrived
    CLOSED/held             > = - ok            | what was received stays readable
    ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT > = - ok | §3.10.3
    ESTABLISHED/window-0    > cannot            | its ring is full of unread text
    FIN-WAIT-1/orphan FIN-WAIT-2/orphan CLOSING/orphan LAST-ACK/orphan > cannot | CLOSE with unread text resets
    TIME-WAIT/orphan TIME-WAIT/no-listener TIME-WAIT/crossed TIME-WAIT/rfc1337-off > cannot | CLOSE with unread text resets

call-close:
    CLOSED                  > = - none          | §3.10.4: connection does not exist
    CLOSED/held             > = - ok            | the name is let go
    LISTEN                  > CLOSED - ok       | §3.10.4
    LISTEN/full LISTEN/cookie > CLOSED other ok | §3.10.4; what waited to be accepted, or was half-open, is reset
    SYN-SENT                > CLOSED - ok       | §3.10.4: delete the TCB
    SYN-RECEIVED            > = - none          | no user has a name for it before accept
    SYN-RECEIVED/active     > FIN-WAIT-1 F ok   | §3.10.4: nothing was written: FIN at once
    ESTABLISHED             > FIN-WAIT-1 F ok   | §3.10.4
    ESTABLISHED/window-0    > CLOSED Rn ok      | RFC 2525 §2.17, MAY-1, SHLD-3: unread text is lost
    FIN-WAIT-1 FIN-WAIT-2 CLOSING LAST-ACK TIME-WAIT > = - ok  | §3.10.4: ok is acceptable after the FIN; the user lets go
    CLOSE-WAIT              > LAST-ACK F ok     | §3.10.4, and §3.3.2 figure 5
    FIN-WAIT-1/orphan FIN-WAIT-2/orphan CLOSING/orphan LAST-ACK/orphan > = - none | the user has let go before
    TIME-WAIT/orphan TIME-WAIT/no-listener TIME-WAIT/crossed TIME-WAIT/rfc1337-off > = - none | the user has let go before

call-close-unread:
    CLOSED LISTEN SYN-SENT SYN-RECEIVED FIN-WAIT-1/opening > cannot | nothing can have arrived
    CLOSED/held             > = - ok            | the name is let go
    ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK > CLOSED Rn ok | RFC 2525 §2.17, MAY-1, SHLD-3: unread text is lost
    FIN-WAIT-1/unsent       > CLOSED Ru ok      | the same
    ESTABLISHED/window-0    > cannot            | see call-close
    FIN-WAIT-1/orphan FIN-WAIT-2/orphan CLOSING/orphan LAST-ACK/orphan > cannot | CLOSE with unread text resets
    TIME-WAIT               > = - ok            | the peer has forgotten the connection: nobody is left to be told
    TIME-WAIT/orphan TIME-WAIT/no-listener TIME-WAIT/crossed TIME-WAIT/rfc1337-off > cannot | CLOSE with unread text resets

call-shutdown-write:
    CLOSED LISTEN           > = - none          | §3.10.4: connection does not exist
    CLOSED/held             > = - reset         | the name is still held, and says how it ended
    SYN-SENT                > = - ok            | queued until ESTABLISHED, as §3.10.4 has it for SYN-RECEIVED with text
    SYN-RECEIVED            > = - none          | no user has a name for it before accept
    SYN-RECEIVED/active     > FIN-WAIT-1 F ok   | §3.10.4: nothing was written: FIN at once
    ESTABLISHED             > FIN-WAIT-1 F ok   | §3.10.4
    FIN-WAIT-1 FIN-WAIT-2 CLOSING LAST-ACK > = - closing       | §3.10.4: connection closing
    CLOSE-WAIT              > LAST-ACK F ok     | §3.10.4, and §3.3.2 figure 5
    TIME-WAIT               > = - closed        | §3.10.4: connection closing: here it is closed already
    TIME-WAIT/orphan TIME-WAIT/no-listener TIME-WAIT/crossed TIME-WAIT/rfc1337-off > = - none | the user has let go

call-shutdown-read:
    CLOSED LISTEN SYN-RECEIVED > = - none       | there is no connection with that name
    CLOSED/held SYN-SENT SYN-RECEIVED/active > = - ok          | RFC 9293 has no such call: what comes is thrown away
    synchronised            > = - ok            | RFC 9293 has no such call: what comes is thrown away
    ESTABLISHED/window-0    > = A ok            | §3.8.6.2.2: the window opens, and the peer is told
    TIME-WAIT/orphan TIME-WAIT/no-listener TIME-WAIT/crossed TIME-WAIT/rfc1337-off > = - none | the user has let go

call-abort:
    CLOSED                  > = - none          | §3.10.5: connection does not exist
    CLOSED/held             > = - ok            | the name is let go
    LISTEN                  > CLOSED - ok       | §3.10.5
    LISTEN/full LISTEN/cookie > CLOSED other ok | §3.10.5; what waited to be accepted, or was half-open, is reset
    SYN-SENT                > CLOSED - ok       | §3.10.5: delete the TCB
    SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT > CLOSED Rn ok | §3.10.5: <SEQ=SND.NXT><CTL=RST>
    SYN-RECEIVED/reopened   > TIME-WAIT Rn ok   | §3.6.1 MAY-2 (2): nothing came of it: back to TIME-WAIT
    CLOSING LAST-ACK TIME-WAIT > CLOSED - ok    | §3.10.5: ok, and delete the TCB
    CLOSING/unacked LAST-ACK/unacked > CLOSED Rn ok            | §3.10.5 has no RST here; but text is lost, and the peer is told

call-status:
    every-state             > = - ok            | §3.10.6
    CLOSED                  > = - none          | §3.10.6: connection does not exist
    CLOSED/held             > = - ok            | the name is still held
";
