use libtcpclient::protocol::status::{EndpointKind, Owner, OwnerKind, TcpState};

use super::{connection, listener};
use crate::output::examples::{busy, listeners, orphan, service, syn_sent, time_wait, users};

#[test]
fn a_connection_in_the_middle_of_a_transfer() {
    insta::assert_snapshot!(connection(&busy(), &users()), @r#"
    Connection 12.3  198.18.0.2:7 <-> 198.18.0.1:40112
      state               ESTABLISHED: open in both directions
      opened              by the peer (passive OPEN)
      owner               service echo, worker 4712
      age                 3 min 5 s
      last received       12 ms ago
      last sent           3 ms ago
      our side            open
      the peer's side     open
      sending             no: the congestion window is full

    Send sequence space (RFC 9293 figure 3)
               1                 2                 3                 4
      ------------------|-----------------|-----------------|-----------------
                     SND.UNA           SND.NXT           SND.UNA
                                                        +SND.WND
                   4294966296           14480             64536

      1 - 966,295 B  acknowledged
      2 -  15,480 B  sent, not yet acknowledged
      3 -  50,056 B  may be sent now; 115,592 B wait in the ring
      4 -            not yet allowed

      SND.WND             65,536 B (the largest so far: 131,072 B)
      SND.WL1, SND.WL2    9001, 4294966296
      SND.UP              0
      ISS                 4294000000

    Receive sequence space (RFC 9293 figure 4)
               1                 2                 3
      ------------------|-----------------|-----------------
                     RCV.NXT           RCV.NXT
                                      +RCV.WND
                      9101              74537

      1 -    100 B  received in order; 100 B not yet read by the program
      2 - 65,436 B  may be received; 2,896 B beyond a hole, in 2 ranges
      3 -           not yet allowed

      RCV.WND             65,436 B
      announced up to     74537
      RCV.UP              0
      IRS                 9000

    Congestion control (RFC 5681)
      algorithm           newreno, fast-recovery
      cwnd                28,960 B (20 segments)
      ssthresh            14,480 B
      in flight (pipe)    15,480 B (10 segments)
      delivery rate       605.5 KiB/s
      pacing rate         not paced
      reordering          seen; a segment may be overtaken by 11 ms before it counts as lost
      duplicate ACKs      3 in a row

    Round-trip time (RFC 6298)
      SRTT                45.2 ms
      RTTVAR              812 µs
      smallest            44 ms
      latest              45.3 ms
      as the receiver     46.1 ms
      RTO                 400 ms, doubled once

    Explicit congestion notification (RFC 3168)
      state               on
      marks received      3 packets
      echoes received     2 segments
      reductions          1

    Timers
      retransmission      in 212 ms       then the segment at SND.UNA is sent again
      keep-alive          in 1 h 58 min   then a probe asks whether the peer is still there

    Options
      MSS, sending        1,448 B
      MSS, receiving      1,460 B
      path MTU            1,500 B
      Snd.Wind.Shift      7 (x 128)
      Rcv.Wind.Shift      7 (x 128)
      timestamps          yes
      SACK                no
      Nagle               on
      keepalive           after 2 h of silence, then every 1 min 15 s, 9 times
      user timeout        the daemon's
      the peer's          30 min, of no effect here
      idle timeout        off

    Rings
      transmit            128 KiB of 128 KiB used (100.0 %), may grow to 4 MiB
        never sent        112.9 KiB
      receive             100 B of 64 KiB used (0.2 %), wants 128 KiB, may grow to 4 MiB
        beyond a hole     2,896 B, in 2 ranges

    Counts
      received            1,204 segments, 100 B in order
      sent                700 segments, 943.6 KiB acknowledged
      sent again          7 segments, 10,136 B (1.0 % of what was sent)
      timeouts            1
      fast retransmits    6
      lost                8 segments, 1 of them arrived after all
      tail loss probes    2
      D-SACKs in          1
      reductions undone   1
      duplicate ACKs in   21
      out of order in     2
      dropped             4 sequence-outside-window
      dropped             1 timestamp-too-old
    "#);
}

#[test]
fn a_connection_in_time_wait_shows_only_what_is_kept_of_it() {
    insta::assert_snapshot!(connection(&time_wait(), &users()), @r#"
    Connection 2.2  198.18.0.2:7 <-> 198.18.0.1:40110
      state               TIME-WAIT: both sides closed; it stays 2 MSL, until no old segment can be under way any more
      opened              by the peer (passive OPEN)
      owner               none
      age                 1 min 1 s
      last received       100 ms ago
      last sent           100 ms ago
      our side            closed: nothing more will be written
      the peer's side     closed: its FIN is in
      sending             no: this side is closed, and nothing is left to send

    Send sequence space (RFC 9293 figure 3)
               1                 2                 3                 4
      ------------------|-----------------|-----------------|-----------------
                     SND.UNA           SND.NXT           SND.UNA
                                                        +SND.WND
                      5000              5000              5000

      1 -      acknowledged
      2 - 0 B  sent, not yet acknowledged
      3 - 0 B  may be sent now
      4 -      not yet allowed

      SND.WND             0 B (the largest so far: 0 B)

    Receive sequence space (RFC 9293 figure 4)
               1                 2                 3
      ------------------|-----------------|-----------------
                     RCV.NXT           RCV.NXT
                                      +RCV.WND
                      9102              74637

      1 -           received in order
      2 - 65,535 B  may be received
      3 -           not yet allowed

      RCV.WND             65,535 B
      announced up to     74637

    Timers
      time-wait           in 59.9 s       then it is forgotten
    "#);
}

#[test]
fn a_connection_whose_syn_is_not_answered() {
    insta::assert_snapshot!(connection(&syn_sent(), &users()), @r#"
    Connection 30.1  198.18.0.2:33002 <-> 198.18.0.1:81
      state               SYN-SENT: our SYN went out; the peer has not answered it
      opened              by this side (active OPEN)
      owner               program nc, pid 4711, user alice, session 3
      endpoint            rings in shared memory
      age                 1.4 s
      last received       never
      last sent           400 ms ago
      our side            open
      the peer's side     open
      sending             no: the handshake is not finished

    Send sequence space (RFC 9293 figure 3)
               1                 2                 3                 4
      ------------------|-----------------|-----------------|-----------------
                     SND.UNA           SND.NXT           SND.UNA
                                                        +SND.WND
                       77                78                77

      1 - 0 B  acknowledged
      2 - 1 B  sent, not yet acknowledged (our SYN)
      3 - 0 B  may be sent now: the peer has not said its window
      4 -      not yet allowed

      SND.WND             0 B (the largest so far: 0 B)
      SND.WL1, SND.WL2    0, 0
      SND.UP              0
      ISS                 77

    Receive sequence space (RFC 9293 figure 4)
      RCV.NXT             not known before the peer's SYN

    Round-trip time (RFC 6298)
      SRTT                not measured yet
      RTTVAR              not measured yet
      RTO                 2 s, doubled once

    Timers
      handshake           in 1.6 s        then SYN is sent again, or the attempt is given up

    Options
      MSS, sending        536 B
      MSS, receiving      1,460 B
      Snd.Wind.Shift      not negotiated
      Rcv.Wind.Shift      not negotiated
      timestamps          no
      SACK                no
      Nagle               on
      keepalive           off
      user timeout        the daemon's
      idle timeout        off

    Counts
      received            0 segments, 0 B in order
      sent                2 segments, 0 B acknowledged
      sent again          1 segment, 0 B (50.0 % of what was sent)
      timeouts            1
      fast retransmits    0
      lost                0 segments
    "#);
}

#[test]
fn a_listener_shows_its_backlog() {
    insta::assert_snapshot!(listener(&listeners()[0], &users()), @r#"
    Listener 1.1  *:80
      state               LISTEN: it waits for connection requests
      owner               service http
      waiting             2 of 128 may wait to be accepted
      half-open           1 handshake not finished
      accepted            1,204
      refused             3
    "#);
}

#[test]
fn every_state_has_its_own_reason() {
    let mut seen = std::collections::BTreeSet::new();
    for state in TcpState::ALL {
        let mut status = busy();
        status.row.state = state;
        let text = connection(&status, &users());
        let line = text
            .lines()
            .find(|line| line.starts_with("  state"))
            .expect("a line for the state")
            .to_owned();
        assert!(line.contains(&format!("{state}: ")), "{line}");
        assert!(
            seen.insert(line.split_once(": ").expect("a reason").1.to_owned()),
            "two states with the reason of {line}"
        );
    }
}

#[test]
fn a_window_that_the_peer_took_back_is_said() {
    let mut status = busy();
    status.snd.wnd_bytes = 10_000;
    let text = connection(&status, &users());
    assert!(
        text.contains("0 B  may be sent now: the peer took back 5,480 B"),
        "{text}"
    );
}

#[test]
fn the_end_and_the_owner_are_said_in_words() {
    let mut status = busy();
    status.row.state = TcpState::Closed;
    status.end = Some("user-timeout".to_owned());
    assert!(connection(&status, &users()).contains("connection aborted due to user timeout"));
    status.end = Some("of-a-later-version".to_owned());
    assert!(connection(&status, &users()).contains("of-a-later-version"));
    status.row.owner = orphan();
    assert!(connection(&status, &users()).contains("none any more"));
    status.row.owner.kind = OwnerKind::HandedOff;
    status.row.owner.uid = Some(4242);
    assert!(connection(&status, &users()).contains("none yet: user 4242 handed it off"));
    status.row.owner = Owner {
        endpoint: Some(EndpointKind::Socket),
        program: Some("sh".to_owned()),
        ..service("gate", Some(12))
    };
    assert!(connection(&status, &users()).contains("an ordinary socket, of sh (12)\n"));
    status.row.owner.pid = None;
    assert!(connection(&status, &users()).contains("passed on by a process that has ended\n"));
    status.row.owner = service("echo", None);
    assert!(connection(&status, &users()).contains("service echo, no worker yet"));
}

#[test]
fn what_limits_sending_is_told_in_a_sentence() {
    let sending = |word: Option<&str>| {
        let mut status = busy();
        status.not_sending = word.map(str::to_owned);
        let text = connection(&status, &users());
        let line = text.lines().find(|line| line.starts_with("  sending"));
        let line = line.expect("a line for sending");
        line.trim_start_matches("  sending").trim().to_owned()
    };
    assert_eq!(sending(None), "yes");
    assert_eq!(
        sending(Some("peer-window")),
        "no: the peer's window is full"
    );
    // Whatever word the core has, there is a sentence for it.
    let words = [
        "handshake",
        "closed",
        "nothing-to-send",
        "acknowledgment",
        "send-ring",
        "zero-window",
        "peer-window",
        "congestion-window",
        "recovery",
        "pacing",
        "silly-window",
        "nagle",
    ];
    for word in words {
        assert_ne!(sending(Some(word)), format!("no: {word}"));
    }
    assert_eq!(sending(Some("a later word")), "no: a later word");
}
