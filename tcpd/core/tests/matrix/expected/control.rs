//! SYN, ACK and RST without text: RFC 9293 §3.10.7, RFC 5961, RFC 1337, RFC 6191.

pub(super) const TABLE: &str = "
syn-exact syn-in-window syn-left syn-right syn-again syn-data syn-urg:
    CLOSED                  > = R0              | §3.10.7.1: ACK off: SEQ 0, ACK = SEG.SEQ + SEG.LEN
    LISTEN                  > SYN-RECEIVED SA   | §3.10.7.2 third; text on the SYN is not kept, the peer sends it again
    LISTEN/full             > = -               | RFC 4987 §3: a full queue takes no SYN; the peer tries again
    LISTEN/cookie           > = SA              | RFC 4987 §3.6: nothing is kept
    SYN-SENT                > SYN-RECEIVED SA   | §3.10.7.3 fourth: no ACK: the SYNs have crossed, MUST-10

syn-exact syn-in-window syn-data syn-urg:
    SYN-RECEIVED            > = A               | RFC 5961 §4.2: challenged, also where the OPEN was passive: a forged SYN ends no handshake
    synchronised            > = A               | RFC 5961 §4.2, §3.10.7.4 fourth: whatever its number

syn-in-window:
    ESTABLISHED/window-0    > cannot            | a closed window has no inside

syn-left syn-right:
    SYN-RECEIVED            > = A               | §3.10.7.4 first: not acceptable
    synchronised            > = A               | RFC 5961 §4.2: whatever its number

syn-again:
    SYN-RECEIVED            > = SA              | §3.10.7.4 first asks for an ACK: SYN,ACK is one, and what the peer has missed
    FIN-WAIT-1/opening      > = SA              | as in SYN-RECEIVED: our SYN is unacknowledged
    synchronised            > = A               | RFC 5961 §4.2: whatever its number

syn-exact syn-in-window syn-data syn-urg syn-right:
    TIME-WAIT               > SYN-RECEIVED SA   | RFC 6191 §2, §3.6.1 MAY-2: beyond the last number of the old connection
    TIME-WAIT/no-listener   > = A               | RFC 5961 §4.2: nobody to accept it

syn-fin:
    CLOSED                  > = R0              | §3.10.7.1: SYN and FIN both count
    LISTEN SYN-SENT         > = -               | not taken for a SYN, as RFC 9293 would: no honest peer opens and closes at once
    SYN-RECEIVED            > = A               | RFC 5961 §4.2
    synchronised            > = A               | RFC 5961 §4.2

syn-rst:
    CLOSED LISTEN           > = -               | §3.10.7.1, §3.10.7.2 first: RST is dropped
    SYN-SENT                > = -               | §3.10.7.3 second: no ACK: dropped
    SYN-RECEIVED            > LISTEN -          | §3.10.7.4 second, MUST-11: passive: back to LISTEN, the user hears nothing
    SYN-RECEIVED/reopened   > TIME-WAIT -       | §3.6.1 MAY-2 (2): nothing came of it: back to TIME-WAIT
    SYN-RECEIVED/active     > CLOSED - refused  | §3.10.7.4 second, MUST-11: active: connection refused
    synchronised            > CLOSED - reset    | §3.10.7.4 second: RST is looked at before SYN
    CLOSING LAST-ACK        > CLOSED - closed   | §3.10.7.4 second: no signal to the user: all text was delivered
    CLOSING/unacked LAST-ACK/unacked > CLOSED - reset          | §3.6 MUST-12: text may be lost, and the user learns it
    TIME-WAIT               > = -               | RFC 1337 §3 F1
    TIME-WAIT/rfc1337-off   > CLOSED -          | RFC 1337 §3: the assassination, shown where it is not prevented

syn-ack syn-ack-data syn-ack-wrong-ack syn-ack-old-ack syn-ack-again:
    CLOSED LISTEN           > = R=              | §3.10.7.1, §3.10.7.2 second: there is nothing it could acknowledge

syn-ack syn-ack-again:
    SYN-SENT                > ESTABLISHED A connected          | §3.10.7.3 fourth

syn-ack-data:
    SYN-SENT                > ESTABLISHED A connected,readable | §3.10.7.3 fourth: text is processed further

syn-ack-wrong-ack syn-ack-old-ack:
    SYN-SENT                > = R=+S            | §3.10.7.3 first: RST, and stay; §3.5.1 figure 9: the SYN again at once, once

syn-ack syn-ack-data syn-ack-wrong-ack syn-ack-old-ack:
    SYN-RECEIVED            > = A               | RFC 5961 §4.2; SYN is looked at before ACK
    synchronised            > = A               | RFC 5961 §4.2

syn-ack-again:
    SYN-RECEIVED            > = A               | §3.10.7.4 first: not acceptable
    SYN-RECEIVED/active     > ESTABLISHED - connected          | RFC 9293 appendix A.2: the crossing SYN,ACK lies one left of RCV.NXT
    FIN-WAIT-1/opening      > FIN-WAIT-2 - connected,acknowledged | RFC 9293 appendix A.2: the same, and our FIN is acknowledged
    synchronised            > = A               | RFC 5961 §4.2

ack-exact ack-duplicate ack-partial ack-old ack-too-old ack-beyond ack-probe ack-right:
    CLOSED LISTEN           > = R=              | §3.10.7.1, §3.10.7.2 second

ack-exact:
    LISTEN/cookie           > ESTABLISHED - incoming           | RFC 4987 §3.6: the cookie is back
    SYN-RECEIVED/full-reset > CLOSED R=         | the knob: the peer learns at once that there is no room
    SYN-SENT                > = -               | §3.10.7.3 fifth: neither SYN nor RST
    SYN-RECEIVED            > ESTABLISHED - incoming           | §3.10.7.4 fifth
    SYN-RECEIVED/full       > = -               | the queue is full: as if the ACK was lost; SYN,ACK goes out again
    SYN-RECEIVED/active     > ESTABLISHED - connected          | §3.10.7.4 fifth
    synchronised            > = -               | §3.10.7.4 fifth: nothing new
    ESTABLISHED/unacked CLOSE-WAIT/unacked > = - acknowledged  | §3.10.7.4 fifth: SND.UNA moves, SEND is answered
    FIN-WAIT-1              > FIN-WAIT-2 - acknowledged        | §3.10.7.4 fifth: our FIN is acknowledged
    FIN-WAIT-1/unsent       > = -               | §3.10.7.4 fifth: FIN was not sent yet
    FIN-WAIT-1/opening      > FIN-WAIT-2 - connected,acknowledged | §3.10.7.4 fifth: SYN and FIN are acknowledged
    CLOSING                 > TIME-WAIT - acknowledged,closed  | §3.10.7.4 fifth
    LAST-ACK                > CLOSED - acknowledged,closed     | §3.10.7.4 fifth

ack-duplicate:
    SYN-SENT                > = R=+S            | §3.10.7.3 first: SEG.ACK =< ISS
    SYN-RECEIVED            > = R=              | §3.10.7.4 fifth: SND.UNA < SEG.ACK does not hold: RST, and stay
    synchronised            > = -               | §3.10.7.4 fifth: SEG.ACK =< SND.UNA is ignored
    FIN-WAIT-1/opening      > = A               | it would be ignored: ISS is not even our SYN, and is challenged as what is older (RFC 5961 §5.2)

ack-partial:
    SYN-SENT                > = R=+S            | §3.10.7.3 first: SEG.ACK =< ISS
    SYN-RECEIVED            > = R=              | §3.10.7.4 fifth: SND.UNA < SEG.ACK does not hold
    synchronised            > = -               | §3.10.7.4 fifth: SEG.ACK =< SND.UNA is ignored
    ESTABLISHED/unacked FIN-WAIT-1/unacked CLOSE-WAIT/unacked CLOSING/unacked LAST-ACK/unacked > = - acknowledged | §3.10.7.4 fifth: SND.UNA moves, not over the FIN
    FIN-WAIT-1/opening      > = - connected     | §3.10.7.4 fifth: our SYN is acknowledged, our FIN is not

ack-old:
    SYN-SENT                > = R=+S            | §3.10.7.3 first
    SYN-RECEIVED            > = R=              | §3.10.7.4 fifth
    synchronised            > = -               | RFC 5961 §5.2: SND.UNA - MAX.SND.WND =< SEG.ACK: ignored
    FIN-WAIT-1/opening      > = A               | RFC 5961 §5.2: older than anything we sent (CVE-2023-52881)

ack-too-old:
    SYN-SENT                > = R=+S            | §3.10.7.3 first
    SYN-RECEIVED            > = R=              | §3.10.7.4 fifth
    synchronised            > = A               | RFC 5961 §5.2: challenged
    TIME-WAIT               > = -               | only a FIN is expected here (§3.10.7.4 fifth); to answer a bare ACK invites a war

ack-beyond:
    SYN-SENT                > = R=+S            | §3.10.7.3 first: SEG.ACK > SND.NXT
    SYN-RECEIVED            > = R=              | §3.10.7.4 fifth
    synchronised            > = A               | §3.10.7.4 fifth: acknowledges what was never sent
    TIME-WAIT               > = -               | only a FIN is expected here (§3.10.7.4 fifth); to answer a bare ACK invites a war

ack-probe:
    SYN-SENT                > = -               | §3.10.7.3 fifth
    SYN-RECEIVED            > = A               | §3.10.7.4 first: not acceptable
    synchronised            > = A               | §3.10.7.4 first, §3.8.4: a keepalive probe is answered
    ESTABLISHED/unacked CLOSE-WAIT/unacked > = A acknowledged  | RFC 9293 appendix A.2: its ACK counts all the same
    FIN-WAIT-1              > FIN-WAIT-2 A acknowledged        | RFC 9293 appendix A.2
    FIN-WAIT-1/unsent FIN-WAIT-1/opening > = A  | §3.10.7.4 first: not acceptable
    CLOSING                 > TIME-WAIT A acknowledged,closed  | RFC 9293 appendix A.2
    LAST-ACK                > CLOSED - acknowledged,closed     | RFC 9293 appendix A.2
    TIME-WAIT               > = -               | no peer in a state of the other side probes; to answer a bare ACK invites a war

ack-right:
    SYN-SENT                > = -               | §3.10.7.3 fifth
    SYN-RECEIVED            > = A               | §3.10.7.4 first: not acceptable
    synchronised            > = A               | §3.10.7.4 first: not acceptable, and its ACK does not count
    TIME-WAIT               > = -               | to answer a bare ACK invites a war

no-ack no-ack-data fin-no-ack:
    CLOSED                  > = R0              | §3.10.7.1
    LISTEN                  > = -               | §3.10.7.2 fourth: should not be reached: dropped
    SYN-SENT                > = -               | §3.10.7.3 fifth
    SYN-RECEIVED            > = -               | §3.10.7.4 fifth: the ACK bit is off
    synchronised            > = -               | §3.10.7.4 fifth: the ACK bit is off

no-ack-data fin-no-ack:
    ESTABLISHED/window-0    > = A               | §3.10.7.4 first: no number is acceptable in a closed window

rst-exact rst-data rst-in-window rst-left rst-right:
    CLOSED LISTEN           > = -               | §3.10.7.1, §3.10.7.2 first
    SYN-SENT                > = -               | §3.10.7.3 second: no ACK: dropped

rst-ack-exact rst-ack-wrong-ack rst-ack-in-window rst-ack-left rst-ack-right:
    CLOSED LISTEN           > = -               | §3.10.7.1, §3.10.7.2 first

rst-ack-exact rst-ack-in-window rst-ack-left rst-ack-right:
    SYN-SENT                > CLOSED - refused  | §3.10.7.3 second: the ACK is acceptable

rst-ack-wrong-ack:
    SYN-SENT                > = -               | §3.10.7.3 first: a RST is not answered, and stay

rst-exact rst-data rst-ack-exact rst-ack-wrong-ack:
    SYN-RECEIVED            > LISTEN -          | §3.10.7.4 second, MUST-11: passive
    SYN-RECEIVED/reopened   > TIME-WAIT -       | §3.6.1 MAY-2 (2): nothing came of it: back to TIME-WAIT
    SYN-RECEIVED/active     > CLOSED - refused  | §3.10.7.4 second, MUST-11: active
    synchronised            > CLOSED - reset    | §3.10.7.4 second, RFC 5961 §3.2: exactly RCV.NXT; MUST-66, SHLD-2: also in a closed window, also with text
    CLOSING LAST-ACK        > CLOSED - closed   | §3.10.7.4 second: no signal to the user: all text was delivered
    CLOSING/unacked LAST-ACK/unacked > CLOSED - reset          | §3.6 MUST-12: text may be lost, and the user learns it
    TIME-WAIT               > = -               | RFC 1337 §3 F1
    TIME-WAIT/rfc1337-off   > CLOSED -          | RFC 1337 §3: the assassination, shown where it is not prevented

rst-in-window rst-ack-in-window:
    SYN-RECEIVED            > = A               | RFC 5961 §3.2: challenged
    synchronised            > = A               | RFC 5961 §3.2: challenged
    ESTABLISHED/window-0    > cannot            | a closed window has no inside
    TIME-WAIT               > = -               | RFC 1337 §3 F1

rst-left rst-right rst-ack-left rst-ack-right:
    SYN-RECEIVED            > = -               | RFC 5961 §3.2: outside: silence
    synchronised            > = -               | RFC 5961 §3.2: outside: silence

icmp-hard:
    every-state             > = -               | RFC 5927 §4.1: it is about nothing that is outstanding; or nobody is there to be told
    ESTABLISHED/unacked FIN-WAIT-1 CLOSE-WAIT/unacked CLOSING LAST-ACK > = - trouble | RFC 5927 §6.1: no more than a hint; MUST-47: told
    FIN-WAIT-1/unsent       > = -               | RFC 5927 §4.1: it is about nothing that is outstanding
    SYN-SENT SYN-RECEIVED/active > CLOSED - refused            | §3.9.2.2 SHLD-26: while opening a hard error is one

icmp-soft:
    every-state             > = -               | RFC 5927 §4.1: it is about nothing that is outstanding; or nobody is there to be told
    SYN-SENT SYN-RECEIVED/active ESTABLISHED/unacked FIN-WAIT-1 CLOSE-WAIT/unacked CLOSING LAST-ACK > = - trouble | §3.9.2.2 MUST-56: must not abort; MUST-47: told
    FIN-WAIT-1/unsent       > = -               | RFC 5927 §4.1: it is about nothing that is outstanding

icmp-forged:
    every-state             > = -               | RFC 5927 §4.1: SEG.SEQ was never sent

bad-checksum:
    every-state             > = -               | §3.1 MUST-3: as if it had not come
";
