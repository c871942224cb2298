//! How a connection is closed, one direction at a time.

use std::time::Duration;

use tcpd_core::sim::pair::End::{Left, Right};
use tcpd_core::stack::State::{
    CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, TimeWait,
};

use super::Scenario;
use super::stage::{Played, Reading, Stage};

/// How long a server thinks before it closes, too.
const THINKING: Duration = Duration::from_secs(1);

pub(super) const FOUR_WAY_CLOSE: Scenario = Scenario {
    name: "four-way-close",
    title: "each direction is closed by a FIN and its ACK: four segments",
    rfc: "RFC 9293 §3.6, figure 12",
    about: "A connection is two streams, and each is closed by the side that sends it. FIN takes a sequence number behind the last byte, so \
            it is delivered in order and acknowledged like a byte. Who closes first waits in TIME-WAIT.",
    settings: &[],
    preset: &[],
    script: four_way_close,
};

fn four_way_close(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    stage.close(client)?;
    stage.say("CLOSE: \"I have no more data to send.\" It does not say that nothing is received any more.", "RFC 9293 §3.10.4");
    stage.line(
        Left,
        "F. 101(0) ack 301",
        (FinWait1, CloseWait),
        "FIN takes number 101. The server's program will read end of file after everything that came before.",
        "RFC 9293 §3.6",
    )?;
    let reading = stage.read(server)?;
    stage.check(
        reading == Reading::EndOfFile,
        "the server reads end of file",
    )?;
    stage.line(
        Right,
        ". 301(0) ack 102",
        (FinWait2, CloseWait),
        "ACK of the FIN. The program has not closed within the time an ACK may be delayed, so the ACK goes alone. One direction is closed now; the other \
         one stays open as long as its sender likes.",
        "RFC 9293 §3.10.7.4, eighth step",
    )?;
    stage.pass(THINKING)?;
    stage.close(server)?;
    stage.say("The server's program is done, too.", "RFC 9293 §3.10.4");
    stage.line(
        Right,
        "F. 301(0) ack 102",
        (TimeWait, LastAck),
        "The second FIN. Its sender waits for one ACK, and for nothing else.",
        "RFC 9293 §3.6",
    )?;
    stage.line(
        Left,
        ". 102(0) ack 302",
        (TimeWait, Closed),
        "The last ACK. If it is lost the FIN comes again, and somebody must be there to acknowledge it: that is what TIME-WAIT is for.",
        "RFC 9293 §3.10.7.4, eighth step",
    )?;
    stage.timer(
        Left,
        Closed,
        "After twice the maximum segment lifetime no segment of this connection can be on its way any more: the pair of sockets is free.",
        "RFC 9293 §3.6.1",
    )
}

pub(super) const FIN_ACK_MERGED: Scenario = Scenario {
    name: "fin-ack-merged",
    title: "who closes at once on end of file saves a segment: FIN and ACK go together",
    rfc: "RFC 9293 §3.6, §3.8.6.3",
    about: "The ACK of a bare FIN may wait a little, as that of data may. A program that closes as soon as it reads end of file adds its own FIN \
            to the ACK, and three segments close the connection.",
    settings: &[],
    preset: &[],
    script: fin_ack_merged,
};

fn fin_ack_merged(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    stage.close(client)?;
    stage.line(
        Left,
        "F. 101(0) ack 301",
        (FinWait1, CloseWait),
        "The first FIN. Its ACK is delayed, in the hope that something can carry it.",
        "RFC 9293 §3.8.6.3",
    )?;
    let reading = stage.read(server)?;
    stage.check(
        reading == Reading::EndOfFile,
        "the server reads end of file",
    )?;
    stage.close(server)?;
    stage.say(
        "End of file, and the program closes before the delayed ACK is due.",
        "RFC 9293 §3.10.4",
    );
    stage.line(
        Right,
        "F. 301(0) ack 102",
        (TimeWait, LastAck),
        "FIN and ACK in one segment: its ACK leads to FIN-WAIT-2 and its FIN at once to TIME-WAIT, step by step. Figure 5 \
         leaves the arrow from FIN-WAIT-1 to TIME-WAIT out; its note 2 names it.",
        "RFC 9293 §3.10.7.4, fifth and eighth step; §3.3.2",
    )?;
    stage.line(
        Left,
        ". 102(0) ack 302",
        (TimeWait, Closed),
        "The ACK of the second FIN, at once: the peer can do nothing but wait for it.",
        "RFC 9293 §3.10.7.4, eighth step",
    )?;
    stage.timer(
        Left,
        Closed,
        "2MSL later the pair of sockets is free.",
        "RFC 9293 §3.6.1",
    )
}

pub(super) const HALF_CLOSE: Scenario = Scenario {
    name: "half-close",
    title: "one side has sent everything and says so; the other goes on sending",
    rfc: "RFC 9293 §3.6, case 1",
    about: "shutdown(write) closes one direction only. \"Here is my whole question\", says the FIN; the answer may take as long as it takes. rsh \
            and old HTTP clients worked so, and a TCP that forces CLOSE-WAIT to end breaks them.",
    settings: &[],
    preset: &[],
    script: half_close,
};

fn half_close(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    stage.send(client, 20)?;
    stage.shutdown_write(client)?;
    stage.say(
        "Everything is said; reading goes on.",
        "RFC 9293 §3.6, case 1",
    );
    stage.line(
        Left,
        "P. 101(20) ack 301",
        (Established, Established),
        "The question.",
        "RFC 9293 §3.10.2",
    )?;
    stage.line(
        Left,
        "F. 121(0) ack 301",
        (FinWait1, CloseWait),
        "FIN: the question ends here.",
        "RFC 9293 §3.10.4",
    )?;
    stage.read(server)?;
    let reading = stage.read(server)?;
    stage.check(
        reading == Reading::EndOfFile,
        "the server reads end of file",
    )?;
    stage.line(
        Right,
        ". 301(0) ack 122",
        (FinWait2, CloseWait),
        "Question and FIN are acknowledged.",
        "RFC 9293 §3.10.7.4",
    )?;
    stage.pass(Duration::from_secs(30))?;
    stage.send(server, 1000)?;
    stage.say(
        "The server's program took its time; in CLOSE-WAIT it may send as in ESTABLISHED.",
        "RFC 9293 §3.10.2",
    );
    stage.line(
        Right,
        "P. 301(1000) ack 122",
        (FinWait2, CloseWait),
        "The answer flows in the direction that is still open.",
        "RFC 9293 §3.10.7.4, seventh step",
    )?;
    stage.read(client)?;
    stage.line(
        Left,
        ". 122(0) ack 1301",
        (FinWait2, CloseWait),
        "FIN-WAIT-2 receives and acknowledges as ever.",
        "RFC 9293 §3.10.7.4, seventh step",
    )?;
    stage.close(server)?;
    stage.line(
        Right,
        "F. 1301(0) ack 122",
        (TimeWait, LastAck),
        "The answer ends, too.",
        "RFC 9293 §3.6",
    )?;
    stage.line(
        Left,
        ". 122(0) ack 1302",
        (TimeWait, Closed),
        "The last ACK.",
        "RFC 9293 §3.6",
    )?;
    stage.timer(Left, Closed, "2MSL are over.", "RFC 9293 §3.6.1")
}

pub(super) const SIMULTANEOUS_CLOSE: Scenario = Scenario {
    name: "simultaneous-close",
    title: "both sides close at once: two FINs cross, and both wait in TIME-WAIT",
    rfc: "RFC 9293 §3.6, figure 13",
    about: "Each FIN is sent before the other arrives. A side that gets a FIN while its own is not acknowledged is in CLOSING. Neither knows \
            that it was first, so both do the waiting.",
    settings: &[],
    preset: &[],
    script: simultaneous_close,
};

fn simultaneous_close(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    stage.close(client)?;
    stage.close(server)?;
    stage.say(
        "Both programs close within one trip of the network.",
        "RFC 9293 §3.6, case 3",
    );
    stage.line(
        Left,
        "F. 101(0) ack 301",
        (FinWait1, Closing),
        "It arrives in FIN-WAIT-1 and does not acknowledge the FIN there: CLOSING.",
        "RFC 9293 §3.10.7.4, eighth step",
    )?;
    stage.line(
        Right,
        "F. 301(0) ack 101",
        (Closing, FinWait1),
        "The same in the other direction.",
        "RFC 9293 §3.10.7.4, eighth step",
    )?;
    stage.line(
        Left,
        ". 102(0) ack 302",
        (Closing, TimeWait),
        "The ACK of the FIN ends CLOSING.",
        "RFC 9293 §3.10.7.4, fifth step",
    )?;
    stage.line(
        Right,
        ". 302(0) ack 102",
        (TimeWait, Closing),
        "And so does the other one: each side sent it from CLOSING.",
        "RFC 9293 §3.10.7.4, fifth step",
    )?;
    stage.timer(
        Left,
        Closed,
        "2MSL are over on both sides.",
        "RFC 9293 §3.6.1",
    )?;
    stage.timer(
        Right,
        Closed,
        "At the same time, for they did the same.",
        "RFC 9293 §3.6.1",
    )
}

pub(super) const FIN_WAIT_2_FOREVER: Scenario = Scenario {
    name: "fin-wait-2-forever",
    title: "a side that shut down writing may wait for ever: the RFC has no timer for FIN-WAIT-2",
    rfc: "RFC 9293 §3.6",
    about: "As long as a program holds the connection, FIN-WAIT-2 is a half-closed connection in use, not a leftover. It lasts until the peer \
            closes, be it a day.",
    settings: &[],
    preset: &[],
    script: fin_wait_2_forever,
};

fn fin_wait_2_forever(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    stage.shutdown_write(client)?;
    stage.line(
        Left,
        "F. 101(0) ack 301",
        (FinWait1, CloseWait),
        "The client has sent everything and keeps reading.",
        "RFC 9293 §3.6, case 1",
    )?;
    stage.line(
        Right,
        ". 301(0) ack 102",
        (FinWait2, CloseWait),
        "The FIN is acknowledged; from here on no timer runs on either side.",
        "RFC 9293 §3.6",
    )?;
    stage.pass(Duration::from_secs(9_000))?;
    let state = stage.state(client);
    stage.check(state == FinWait2, "the client is still in FIN-WAIT-2")?;
    stage.remark("two and a half hours later");
    stage.send(server, 5)?;
    stage.say("The peer was in no hurry.", "RFC 9293 §3.10.2");
    stage.line(
        Right,
        "P. 301(5) ack 102",
        (FinWait2, CloseWait),
        "Data after hours of silence is as good as ever.",
        "RFC 9293 §3.10.7.4, seventh step",
    )?;
    let reading = stage.read(client)?;
    stage.check(reading == Reading::Bytes(5), "the client reads five bytes")?;
    stage.line(
        Left,
        ". 102(0) ack 306",
        (FinWait2, CloseWait),
        "Acknowledged, and the waiting goes on.",
        "RFC 9293 §3.8.6.3",
    )?;
    stage.close(server)?;
    stage.line(
        Right,
        "F. 306(0) ack 102",
        (TimeWait, LastAck),
        "Only the peer's FIN (or a reset) ends FIN-WAIT-2.",
        "RFC 9293 figure 5",
    )?;
    stage.line(
        Left,
        ". 102(0) ack 307",
        (TimeWait, Closed),
        "The last ACK.",
        "RFC 9293 §3.6",
    )?;
    stage.timer(Left, Closed, "2MSL are over.", "RFC 9293 §3.6.1")
}

pub(super) const FIN_WAIT_2_ORPHAN: Scenario = Scenario {
    name: "fin-wait-2-orphan",
    title: "the program has let go, the peer never closes: FIN-WAIT-2 is given up after a while",
    rfc: "RFC 9293 §3.6; fin_wait_2_timeout",
    about: "close() lets go of both directions, so nobody will ever read what the peer may send. The RFC has no timer for this; every system \
            has one, or peers that never close would fill its memory. Try --set fin_wait_2_timeout=5s.",
    settings: &[],
    preset: &[],
    script: fin_wait_2_orphan,
};

fn fin_wait_2_orphan(stage: &mut Stage) -> Played {
    let (client, server) = stage.established()?;
    stage.close(client)?;
    stage.say(
        "close(): nobody holds the connection any more. It is an orphan.",
        "RFC 9293 §3.10.4",
    );
    stage.line(
        Left,
        "F. 101(0) ack 301",
        (FinWait1, CloseWait),
        "FIN as ever.",
        "RFC 9293 §3.6",
    )?;
    stage.line(
        Right,
        ". 301(0) ack 102",
        (FinWait2, CloseWait),
        "The peer acknowledges it, and then its program hangs.",
        "RFC 9293 §3.6",
    )?;
    stage.timer(Left, Closed, "The orphan has waited for fin_wait_2_timeout and is forgotten, without a word to the peer.", "tcpd, as Linux: tcp_fin_timeout")?;
    stage.send(server, 5)?;
    stage.say(
        "The peer's program wakes up, and knows nothing of all this.",
        "RFC 9293 §3.10.2",
    );
    stage.line(
        Right,
        "P. 301(5) ack 102",
        (Closed, CloseWait),
        "It arrives where no connection is.",
        "RFC 9293 §3.10.7.1",
    )?;
    stage.line(Left, "R 102(0)", (Closed, Closed), "RST, with the number that the segment acknowledged: the peer believes it, and its connection is over.", "RFC 9293 §3.5.2, group 1")?;
    let now = stage.now();
    let again = stage.stack(Right).send(now, server.id, b"again");
    stage.refused(Right, "send()", again, Closed)?;
    stage.say(
        "The program learns at its next send that the five bytes are lost. Reading would say end of file: that direction was complete with the FIN.",
        "RFC 9293 §3.10.2, §3.10.7.4 second step",
    );
    Ok(())
}
