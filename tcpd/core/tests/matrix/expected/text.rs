//! Text, URG and FIN, and timestamps: RFC 9293 §3.10.7.4 sixth to eighth, §3.8.5, RFC 7323.

pub(super) const TABLE: &str = "
data data-acks-all data-out-of-order data-old data-right data-across-left data-across-right urg-data urg-no-data urg-beyond fin fin-acks-all fin-early fin-data fin-data-across-right fin-twice fin-again:
    CLOSED LISTEN           > = R=              | §3.10.7.1, §3.10.7.2 second
    SYN-SENT                > = -               | §3.10.7.3 fifth: neither SYN nor RST

data data-acks-all urg-data urg-beyond ts-old ts-missing:
    LISTEN/cookie           > ESTABLISHED a incoming           | RFC 4987 §3.6: the cookie is back; what was agreed is only known now

data-out-of-order data-old data-right data-across-left data-across-right fin-data-across-right fin-early fin-twice fin-again:
    LISTEN/cookie           > = -               | §3.10.7.2 second asks for RST: but it may have overtaken the segment with the cookie

urg-no-data:
    LISTEN/cookie           > ESTABLISHED - incoming           | RFC 4987 §3.6: the cookie is back

fin fin-acks-all fin-data:
    LISTEN/cookie           > CLOSE-WAIT a incoming            | RFC 4987 §3.6: the cookie is back, and more with it

ts-old-rst ts-missing-rst:
    LISTEN/cookie           > = -               | §3.10.7.2 first

ts-old-syn ts-missing-syn ts-newer-syn:
    LISTEN/cookie           > = SA              | RFC 4987 §3.6: nothing is kept, nothing is old

data data-across-left:
    SYN-RECEIVED            > ESTABLISHED a incoming           | §3.10.7.4 fifth, seventh: its ACK completes the handshake
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-RECEIVED/active     > ESTABLISHED a connected,readable | §3.10.7.4 fifth, seventh
    ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 > = a readable           | §3.10.7.4 seventh, §3.8.6.3
    ESTABLISHED/window-0    > = A               | §3.10.7.4 first: not acceptable
    FIN-WAIT-2/orphan       > CLOSED Rn         | RFC 1122 §4.2.2.13, SHLD-3: text nobody will read
    CLOSE-WAIT CLOSING LAST-ACK > = A           | §3.10.7.4 seventh: the text is ignored; an ACK says where we stand
    TIME-WAIT               > = A               | the same; the text is ignored
    FIN-WAIT-1/orphan       > CLOSED Rn         | RFC 1122 §4.2.2.13, SHLD-3: text nobody will read
    FIN-WAIT-1/opening      > = a connected,readable           | §3.10.7.4 fifth, seventh: our SYN is acknowledged, our FIN is not

urg-data urg-beyond:
    SYN-RECEIVED            > ESTABLISHED a incoming           | §3.10.7.4 fifth, seventh: its ACK completes the handshake
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-RECEIVED/active     > ESTABLISHED a connected,readable,urgent | §3.10.7.4 fifth to seventh
    ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 > = a readable,urgent    | §3.10.7.4 sixth, seventh; §3.8.5 MUST-32: told
    ESTABLISHED/window-0    > = A urgent        | §3.10.7.4 first: not acceptable; §3.4 MUST-66: its URG counts
    FIN-WAIT-1/orphan FIN-WAIT-2/orphan > CLOSED Rn            | RFC 1122 §4.2.2.13, SHLD-3: text nobody will read
    FIN-WAIT-1/opening      > = a connected,readable,urgent    | §3.10.7.4 fifth to seventh
    CLOSE-WAIT CLOSING LAST-ACK > = A           | §3.10.7.4 sixth, seventh: both are ignored; an ACK says where we stand
    TIME-WAIT               > = A               | the same

data-acks-all:
    SYN-RECEIVED            > ESTABLISHED a incoming           | §3.10.7.4 fifth, seventh: its ACK completes the handshake
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-RECEIVED/active     > ESTABLISHED a connected,readable | §3.10.7.4 fifth, seventh
    ESTABLISHED FIN-WAIT-2  > = a readable      | §3.10.7.4 seventh, §3.8.6.3
    ESTABLISHED/window-0    > = A               | §3.10.7.4 first: not acceptable
    FIN-WAIT-2/orphan       > CLOSED Rn         | RFC 1122 §4.2.2.13, SHLD-3: text nobody will read
    CLOSE-WAIT TIME-WAIT    > = A               | §3.10.7.4 seventh: the text is ignored; an ACK says where we stand
    ESTABLISHED/unacked     > = a acknowledged,readable        | §3.10.7.4 fifth, seventh
    FIN-WAIT-1              > FIN-WAIT-2 a acknowledged,readable | §3.10.7.4 fifth, seventh
    FIN-WAIT-1/unsent       > = a readable      | §3.10.7.4 seventh
    FIN-WAIT-1/opening      > FIN-WAIT-2 a connected,acknowledged,readable | §3.10.7.4 fifth, seventh
    FIN-WAIT-1/orphan       > CLOSED Rn         | RFC 1122 §4.2.2.13, SHLD-3
    CLOSE-WAIT/unacked      > = A acknowledged  | §3.10.7.4 fifth, seventh
    CLOSING                 > TIME-WAIT A acknowledged,closed  | §3.10.7.4 fifth, seventh
    LAST-ACK                > CLOSED - acknowledged,closed     | §3.10.7.4 fifth

data-out-of-order data-across-right:
    SYN-RECEIVED            > ESTABLISHED A incoming           | §3.10.7.4 fifth; RFC 5681 §4.2: at once beyond a gap
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-RECEIVED/active     > ESTABLISHED A connected          | §3.10.7.4 fifth; RFC 5681 §4.2
    synchronised            > = A               | SHLD-31, RFC 5681 §4.2: kept, and acknowledged at once
    ESTABLISHED/window-0    > cannot            | a closed window has no inside
    FIN-WAIT-1/opening      > = A connected     | §3.10.7.4 fifth; RFC 5681 §4.2
    FIN-WAIT-1/orphan FIN-WAIT-2/orphan > CLOSED Rn            | RFC 1122 §4.2.2.13, SHLD-3

data-old data-right:
    SYN-RECEIVED            > = A               | §3.10.7.4 first: not acceptable
    synchronised            > = A               | §3.10.7.4 first: not acceptable

urg-no-data:
    SYN-RECEIVED            > ESTABLISHED - incoming           | §3.10.7.4 fifth
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-RECEIVED/active     > ESTABLISHED - connected,urgent   | §3.10.7.4 fifth, sixth
    ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 > = - urgent             | §3.10.7.4 sixth: RCV.UP moves, the user is told (MUST-32), nothing is to be acknowledged
    CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT > = - | §3.10.7.4 sixth: ignored after the peer's FIN
    FIN-WAIT-1/opening      > = - connected,urgent             | §3.10.7.4 fifth, sixth

fin fin-acks-all fin-data:
    ESTABLISHED/window-0    > = A               | §3.10.7.4 first: FIN takes a number, and none is acceptable

fin fin-acks-all:
    SYN-RECEIVED            > CLOSE-WAIT a incoming            | §3.10.7.4 fifth, eighth
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-RECEIVED/active     > CLOSE-WAIT a connected,peer-closed | §3.10.7.4 fifth, eighth
    ESTABLISHED             > CLOSE-WAIT a peer-closed         | §3.10.7.4 eighth; delayed so that our FIN may carry it
    FIN-WAIT-2              > TIME-WAIT A peer-closed,closed   | §3.10.7.4 eighth

fin:
    FIN-WAIT-1              > CLOSING A peer-closed            | §3.10.7.4 eighth: our FIN is not acknowledged
    FIN-WAIT-1/opening      > CLOSING A connected,peer-closed  | §3.10.7.4 fifth, eighth: our SYN is acknowledged, our FIN is not
    CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT > = A | §3.10.7.4 eighth: remain; it is not the FIN, whose number is known

fin-acks-all:
    ESTABLISHED/unacked     > CLOSE-WAIT a acknowledged,peer-closed | §3.10.7.4 fifth, eighth
    FIN-WAIT-1              > TIME-WAIT A acknowledged,peer-closed,closed | §3.10.7.4 eighth: our FIN is acknowledged
    FIN-WAIT-1/unsent       > CLOSING A peer-closed            | §3.10.7.4 eighth: our FIN was not sent yet
    FIN-WAIT-1/opening      > TIME-WAIT A connected,acknowledged,peer-closed,closed | §3.10.7.4 fifth, eighth
    CLOSE-WAIT              > = A               | §3.10.7.4 eighth: remain
    CLOSE-WAIT/unacked      > = A acknowledged  | §3.10.7.4 fifth, eighth: remain
    CLOSING                 > TIME-WAIT A acknowledged,closed  | §3.10.7.4 fifth
    LAST-ACK                > CLOSED - acknowledged,closed     | §3.10.7.4 fifth
    TIME-WAIT               > = A               | not the old FIN, whose number is known: 2MSL go on

fin-early:
    SYN-RECEIVED            > ESTABLISHED A incoming           | §3.10.7.4 fifth; RFC 5681 §4.2: at once beyond a gap
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-RECEIVED/active     > ESTABLISHED A connected          | §3.10.7.4 fifth; RFC 5681 §4.2
    synchronised            > = A               | §3.10.7.4 eighth: only once all before it has come; RFC 5681 §4.2
    ESTABLISHED/window-0    > cannot            | a closed window has no inside
    FIN-WAIT-1/opening      > = A connected     | §3.10.7.4 fifth, eighth

fin-data:
    SYN-RECEIVED            > CLOSE-WAIT a incoming            | §3.10.7.4 fifth to eighth
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-RECEIVED/active     > CLOSE-WAIT a connected,readable,peer-closed | §3.10.7.4 fifth to eighth
    ESTABLISHED             > CLOSE-WAIT a readable,peer-closed | §3.10.7.4 seventh, eighth
    FIN-WAIT-1              > CLOSING A readable,peer-closed   | §3.10.7.4 seventh, eighth
    FIN-WAIT-1/opening      > CLOSING A connected,readable,peer-closed | §3.10.7.4 fifth to eighth
    FIN-WAIT-2              > TIME-WAIT A readable,peer-closed,closed | §3.10.7.4 seventh, eighth
    FIN-WAIT-1/orphan FIN-WAIT-2/orphan > CLOSED Rn            | RFC 1122 §4.2.2.13, SHLD-3
    CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT > = A | §3.10.7.4 seventh: the text is ignored

fin-data-across-right:
    SYN-RECEIVED            > ESTABLISHED A incoming           | §3.10.7.4 first: the FIN is cut off with the text it follows
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-RECEIVED/active     > ESTABLISHED A connected          | §3.10.7.4 first, fifth
    synchronised            > = A               | §3.10.7.4 first: the FIN is cut off with the text it follows
    ESTABLISHED/window-0    > cannot            | a closed window has no inside
    FIN-WAIT-1/opening      > = A connected     | §3.10.7.4 first, fifth
    FIN-WAIT-1/orphan FIN-WAIT-2/orphan > CLOSED Rn            | RFC 1122 §4.2.2.13, SHLD-3

fin-twice:
    SYN-RECEIVED            > = A               | the first made it ESTABLISHED; SHLD-31: beyond a gap, acknowledged at once
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > = R=              | the first has ended it; §3.10.7.2 second
    synchronised            > = A               | §3.10.7.4 eighth: neither is next; the first one's number counts
    ESTABLISHED/window-0    > cannot            | a closed window has no inside

fin-again:
    SYN-RECEIVED            > = A               | §3.10.7.4 first: not acceptable
    synchronised            > = A               | §3.10.7.4 first: not acceptable
    ESTABLISHED/unacked CLOSE-WAIT/unacked > = A acknowledged  | RFC 9293 appendix A.2: its ACK counts all the same
    FIN-WAIT-1              > FIN-WAIT-2 A acknowledged        | RFC 9293 appendix A.2
    FIN-WAIT-1/unsent FIN-WAIT-1/opening > = A  | §3.10.7.4 first: not acceptable
    CLOSING                 > TIME-WAIT A acknowledged,closed  | RFC 9293 appendix A.2: or two of them send FINs for ever
    LAST-ACK                > CLOSED - acknowledged,closed     | RFC 9293 appendix A.2
    TIME-WAIT               > = A 2msl          | §3.10.7.4 eighth: acknowledged, 2MSL begin anew

ts-old ts-missing ts-old-rst ts-missing-rst ts-old-syn ts-missing-syn ts-newer-syn:
    CLOSED LISTEN SYN-SENT  > cannot            | RFC 7323 §3.2: agreed on SYNs only

ts-old:
    SYN-RECEIVED            > = A               | RFC 7323 §5.3 R1: ACK, and drop
    synchronised            > = A               | RFC 7323 §5.3 R1: ACK, and drop

ts-missing:
    SYN-RECEIVED            > ESTABLISHED a incoming           | RFC 7323 §3.2 SHOULD drop: some peers leave it out of the last ACK, and would never connect
    SYN-RECEIVED/full       > = -               | the queue is full: as if it was lost
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-RECEIVED/active     > ESTABLISHED a connected,readable | the same
    FIN-WAIT-1/opening      > = a connected,readable           | the same
    synchronised            > = -               | RFC 7323 §3.2: SHOULD be dropped silently

ts-old-rst ts-missing-rst:
    SYN-RECEIVED            > LISTEN -          | RFC 7323 §3.2, §5.2: a RST needs none
    SYN-RECEIVED/reopened   > TIME-WAIT -       | §3.6.1 MAY-2 (2): nothing came of it: back to TIME-WAIT
    SYN-RECEIVED/active     > CLOSED - refused  | RFC 7323 §3.2, §5.2
    synchronised            > CLOSED - reset    | RFC 7323 §3.2, §5.2
    CLOSING LAST-ACK        > CLOSED - closed   | §3.10.7.4 second: no signal to the user: all text was delivered
    CLOSING/unacked LAST-ACK/unacked > CLOSED - reset          | §3.6 MUST-12: text may be lost, and the user learns it
    TIME-WAIT               > = -               | RFC 1337 §3 F1
    TIME-WAIT/rfc1337-off   > CLOSED -          | RFC 1337 §3: the assassination, shown where it is not prevented

ts-old-syn ts-missing-syn:
    SYN-RECEIVED            > = A               | §3.10.7.4 first: not acceptable
    synchronised            > = A               | RFC 5961 §4.2: a MUST, before RFC 7323's SHOULD; in TIME-WAIT an old duplicate

ts-newer-syn:
    SYN-RECEIVED            > = A               | §3.10.7.4 first: not acceptable
    synchronised            > = A               | RFC 5961 §4.2
    TIME-WAIT               > SYN-RECEIVED SA   | RFC 6191 §2: a newer timestamp is enough
    TIME-WAIT/no-listener   > = A               | RFC 5961 §4.2: nobody to accept it
";
