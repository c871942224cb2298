//! A script that tells something else than what happens must fail, each way it can be wrong.

use tcpd_core::sim::pair::End::{Left, Right};
use tcpd_core::stack::State::{Closed, Established, Listen, SynReceived, SynSent};

use super::{Played, Stage};
use crate::scenario::Scenario;
use crate::scenario::play::play;
use crate::scenario::settings::Settings;

/// What is wrong with `script`, if anything.
fn wrong(script: fn(&mut Stage) -> Played) -> Option<String> {
    let scenario: &'static Scenario = Box::leak(Box::new(Scenario {
        name: "test",
        title: "",
        rfc: "",
        about: "",
        settings: &[],
        preset: &[],
        script,
    }));
    let settings = Settings::new(scenario, &[]).expect("the defaults");
    play(scenario, settings, false).wrong
}

/// A handshake up to its second segment.
fn half(stage: &mut Stage) -> Played {
    stage.listen(Right)?;
    stage.connect(Left)?;
    stage.line(Left, "S 100(0)", (SynSent, SynReceived), "one", "RFC")?;
    stage.line(
        Right,
        "S. 300(0) ack 101",
        (Established, SynReceived),
        "two",
        "RFC",
    )
}

#[test]
fn a_script_that_tells_what_happens_goes_as_it_tells() {
    let right = wrong(|stage| {
        half(stage)?;
        stage.line(
            Left,
            ". 101(0) ack 301",
            (Established, Established),
            "three",
            "RFC",
        )
    });
    assert_eq!(right, None);
}

#[test]
fn another_packet_than_the_one_that_came_fails() {
    let flags = wrong(|stage| {
        stage.connect(Left)?;
        stage.line(Left, "S.", (SynSent, Closed), "", "")
    });
    let expected = "expected `S.` from the left; there was `S 100(0) mss 1460` from the left";
    assert_eq!(flags.as_deref(), Some(expected));
    let side = wrong(|stage| {
        stage.connect(Left)?;
        stage.line(Right, "S", (SynSent, Closed), "", "")
    });
    let expected = "expected `S` from the right; there was `S 100(0) mss 1460` from the left";
    assert_eq!(side.as_deref(), Some(expected));
    let number = wrong(|stage| {
        stage.connect(Left)?;
        stage.line(Left, "S 10", (SynSent, Closed), "", "")
    });
    assert!(
        number.is_some(),
        "a word is a word, not the beginning of one"
    );
}

#[test]
fn another_state_than_the_one_that_is_fails() {
    let sender = wrong(|stage| {
        stage.listen(Right)?;
        stage.connect(Left)?;
        stage.line(Left, "S", (Established, SynReceived), "", "")
    });
    let expected = "after `S` the left is in SYN-SENT, not in ESTABLISHED";
    assert_eq!(sender.as_deref(), Some(expected));
    let receiver = wrong(|stage| {
        stage.listen(Right)?;
        stage.connect(Left)?;
        stage.line(Left, "S", (SynSent, Listen), "", "")
    });
    let expected = "after `S` the right is in SYN-RECEIVED, not in LISTEN";
    assert_eq!(receiver.as_deref(), Some(expected));
}

#[test]
fn a_packet_that_nobody_explains_fails() {
    let silent = wrong(half).expect("the third segment is not told");
    assert_eq!(silent, "nobody explains `. 101(0) ack 301` from the left");
    let timer = wrong(|stage| {
        stage.lose(Left, u32::MAX);
        stage.connect(Left)?;
        stage.lost(Left, "S", SynSent, "", "")?;
        stage.timer(Left, Closed, "", "")
    });
    let expected = "expected a timer at the left to lead to CLOSED; there was `S 100(0) mss 1460` from the left";
    assert_eq!(timer.as_deref(), Some(expected));
}

#[test]
fn what_is_lost_did_not_arrive_and_what_arrives_was_not_lost() {
    let lost = wrong(|stage| {
        stage.lose(Left, 1);
        stage.connect(Left)?;
        stage.line(Left, "S", (SynSent, Closed), "", "")
    });
    assert_eq!(lost.as_deref(), Some("`S` was lost"));
    let arrives = wrong(|stage| {
        stage.connect(Left)?;
        stage.settle()?;
        stage.lost(Left, "S", SynSent, "", "")
    });
    assert_eq!(arrives.as_deref(), Some("`S` was not lost"));
    let travels = wrong(|stage| {
        stage.connect(Left)?;
        stage.lost(Left, "S", SynSent, "", "")
    });
    assert_eq!(travels.as_deref(), Some("`S` was not lost"));
}

#[test]
fn nothing_happens_for_ever_is_told() {
    let nothing = wrong(|stage| stage.line(Left, "S", (SynSent, Closed), "", ""));
    let expected = "expected `S` from the left: nothing more happens";
    assert_eq!(nothing.as_deref(), Some(expected));
}
