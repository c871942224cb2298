//! Through all eleven states.

use tcpd_core::sim::pair::End::{Left, Right};
use tcpd_core::stack::State::{
    CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, SynReceived, SynSent,
    TimeWait,
};

use super::Scenario;
use super::stage::{Played, Stage};

pub(super) const ALL_STATES: Scenario = Scenario {
    name: "all-states",
    title: "a tour through all eleven states, on two connections",
    rfc: "RFC 9293 §3.3.2, figure 5",
    about: "The first connection is closed by one side after the other, the second one by both at once. tcpd scenario all-states --fsm FILE draws the state \
            diagram with every arrow that was taken.",
    settings: &[],
    preset: &[],
    script: all_states,
};

fn all_states(stage: &mut Stage) -> Played {
    stage.listen(Right)?;
    stage.say("1. LISTEN waits for a SYN from anybody.", "RFC 9293 §3.3.2");
    let client = stage.connect(Left)?;
    stage.say(
        "2. SYN-SENT waits for the answer to its SYN.",
        "RFC 9293 §3.3.2",
    );
    stage.line(
        Left,
        "S 100(0)",
        (SynSent, SynReceived),
        "3. SYN-RECEIVED has got a SYN and sent one, and waits for the ACK of its own.",
        "RFC 9293 §3.3.2",
    )?;
    stage.line(
        Right,
        "S. 300(0) ack 101",
        (Established, SynReceived),
        "4. ESTABLISHED: data may flow.",
        "RFC 9293 §3.3.2",
    )?;
    stage.line(
        Left,
        ". 101(0) ack 301",
        (Established, Established),
        "On both sides.",
        "RFC 9293 §3.5",
    )?;
    let server = stage.accept(Right)?;
    stage.close(client)?;
    stage.line(
        Left,
        "F. 101(0) ack 301",
        (FinWait1, CloseWait),
        "5. FIN-WAIT-1 waits for the ACK of its FIN. 6. CLOSE-WAIT waits for its own program.",
        "RFC 9293 §3.3.2",
    )?;
    stage.line(
        Right,
        ". 301(0) ack 102",
        (FinWait2, CloseWait),
        "7. FIN-WAIT-2 waits for the peer's FIN.",
        "RFC 9293 §3.3.2",
    )?;
    stage.close(server)?;
    stage.line(
        Right,
        "F. 301(0) ack 102",
        (TimeWait, LastAck),
        "8. LAST-ACK waits for the last ACK. 9. TIME-WAIT waits for time to pass.",
        "RFC 9293 §3.3.2",
    )?;
    stage.line(
        Left,
        ". 102(0) ack 302",
        (TimeWait, Closed),
        "10. CLOSED is no state at all: nothing is remembered.",
        "RFC 9293 §3.3.2",
    )?;
    stage.timer(Left, Closed, "2MSL are over.", "RFC 9293 §3.10.8")?;

    let client = stage.connect(Left)?;
    stage.say("The second connection.", "RFC 9293 §3.10.1");
    stage.line(
        Left,
        "S 500(0)",
        (SynSent, SynReceived),
        "As before.",
        "RFC 9293 §3.5",
    )?;
    stage.line(
        Right,
        "S. 700(0) ack 501",
        (Established, SynReceived),
        "As before.",
        "RFC 9293 §3.5",
    )?;
    stage.line(
        Left,
        ". 501(0) ack 701",
        (Established, Established),
        "As before.",
        "RFC 9293 §3.5",
    )?;
    let server = stage.accept(Right)?;
    stage.close(client)?;
    stage.close(server)?;
    stage.say("Both programs close at once.", "RFC 9293 §3.6, case 3");
    stage.line(
        Left,
        "F. 501(0) ack 701",
        (FinWait1, Closing),
        "11. CLOSING: both have sent FIN, and each waits for the ACK of its own.",
        "RFC 9293 §3.3.2",
    )?;
    stage.line(
        Right,
        "F. 701(0) ack 501",
        (Closing, FinWait1),
        "The same on the other side.",
        "RFC 9293 §3.3.2",
    )?;
    stage.line(
        Left,
        ". 502(0) ack 702",
        (Closing, TimeWait),
        "The ACK leads to TIME-WAIT.",
        "RFC 9293 figure 5",
    )?;
    stage.line(
        Right,
        ". 702(0) ack 502",
        (TimeWait, Closing),
        "On both sides.",
        "RFC 9293 figure 5",
    )?;
    stage.timer(Left, Closed, "2MSL are over.", "RFC 9293 §3.10.8")?;
    stage.timer(Right, Closed, "All eleven were there.", "RFC 9293 §3.3.2")
}
