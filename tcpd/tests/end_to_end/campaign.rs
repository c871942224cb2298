//! A campaign of hostile clients against a daemon, beside an honest one: every attack in a process of its own, all at once, each
//! started again when it ends, for as long as the neighbour is watched.
//!
//! The attackers have one processor, the daemon and its neighbour another. They are stopped and let go in turn, so that the
//! neighbour's throughput with and without them is measured side by side. In peace that processor is as busy as in war, with
//! nothing: otherwise it would help out.
//!
//! `TCPD_ATTACK_SECONDS` makes it longer, `TCPD_ATTACK_SEED` repeats one, `TCPD_ATTACKS` names some of [`attacks::ALL`].

mod attacker;
mod attacks;
mod measures;

use std::time::Duration;

use libtcpclient::protocol::status::TcpState;
use rustix::process::Signal;

use self::attacker::{Attackers, Busy, attack_if_told};
use self::measures::{Footprint, Throughput, pin, processors};
use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::ECHO;
use crate::hostile::neighbour::Neighbour;

/// How long it takes, in seconds.
const LENGTH: u64 = 20;
/// A round of it: the two parts of one.
const PEACE: Duration = Duration::from_millis(500);
const WAR: Duration = Duration::from_millis(1500);
/// The neighbour's throughput in war, of that in peace.
const LEAST_SHARE: f64 = 0.8;
/// So many times as many rounds, at most, while less than it must has happened: other programs disturb single rounds.
const MORE: u64 = 3;
/// What the neighbour must move in all.
const TRANSFER: u64 = 100 << 20;

/// What the attackers must have made the daemon do: each of these counters has moved.
const PROVOKED: [&str; 12] = [
    "sessions-ended-by-client",
    "sessions-ended-connector-gone",
    "sessions-ended-truncated-message",
    "sessions-ended-unknown-message",
    "sessions-ended-malformed-message",
    "sessions-ended-no-hello",
    "sessions-ended-version",
    "sessions-ended-token",
    "sessions-ended-unread-replies",
    "sessions-ended-violation",
    "sessions-ended-bell-closed",
    "requests-refused",
];

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

/// Sessions that ended, by every reason there is.
fn ended(counters: &[(String, u64)]) -> u64 {
    let by_reason = counters
        .iter()
        .filter(|(name, _)| name.starts_with("sessions-ended-"));
    by_reason.map(|(_, value)| value).sum()
}

fn counters(daemon: &Daemon) -> Vec<(String, u64)> {
    let mut control = daemon.control();
    let rows = control.stats().map(|row| row.expect("a counter"));
    rows.map(|row| (row.name, row.value)).collect()
}

fn value(counters: &[(String, u64)], name: &str) -> u64 {
    let found = counters.iter().find(|(each, _)| each == name);
    found.unwrap_or_else(|| panic!("no counter {name}")).1
}

/// What the attackers have not made the daemon do yet; nothing where only some of them are there.
fn unprovoked(daemon: &Daemon) -> Vec<&'static str> {
    let counters = counters(daemon);
    let mut missing = Vec::from(PROVOKED);
    missing.retain(|name| value(&counters, name) == 0);
    match std::env::var_os("TCPD_ATTACKS") {
        None => missing,
        Some(_) => Vec::new(),
    }
}

/// Nothing is left of the attackers but counters and TIME-WAIT.
fn all_is_gone(daemon: &Daemon) {
    wait_for("end of the sessions and their arenas", 60, || {
        let all = counters(daemon);
        let left = value(&all, "sessions") == 1 && value(&all, "arenas") == 0;
        let open =
            |row: &libtcpclient::protocol::status::ConnectionRow| row.state != TcpState::TimeWait;
        (left && !daemon.connections().iter().any(open)).then_some(())
    });
}

#[test]
fn every_attack_at_once_harms_no_neighbour_and_leaves_nothing() {
    in_namespace(|| {
        if attack_if_told() {
            return;
        }
        let rounds = setting("TCPD_ATTACK_SECONDS", LENGTH) / (PEACE + WAR).as_secs();
        let rounds = rounds.max(1);
        let seed = setting("TCPD_ATTACK_SEED", 1);
        let [theirs, ours] = processors();
        // The daemon and the neighbour's threads inherit it.
        pin(ours);
        let daemon = Daemon::start_with(
            ECHO,
            &["limits.slots_per_session=256", "control.hello_timeout=2s"],
        );
        let start = Footprint::at_rest(&daemon);
        let neighbour = Neighbour::start(&daemon);
        neighbour.moves_on();

        let mut attackers = Attackers::start(&daemon, theirs, seed);
        let busy = Busy::start(theirs, attackers.started());
        // On one processor they share it, and no share is promised.
        let share = if theirs == ours { 0.0 } else { LEAST_SHARE };
        let mut throughput = Throughput::default();
        for round in 1..=MORE * rounds {
            attackers.signal(Signal::STOP);
            busy.signal(Signal::CONT);
            throughput.peace.push(measures::rate(&neighbour, PEACE));
            busy.signal(Signal::STOP);
            attackers.signal(Signal::CONT);
            throughput
                .war
                .push(measures::rate_while(&neighbour, WAR, || attackers.tend()));
            let enough = throughput.is_least(share) && neighbour.moved() >= TRANSFER;
            if round >= rounds && enough && unprovoked(&daemon).is_empty() {
                break;
            }
        }
        println!(
            "{throughput}; {} attackers, seed {seed}",
            attackers.started()
        );
        drop((attackers, busy));
        assert!(neighbour.moved() >= TRANSFER);
        neighbour.finish();
        all_is_gone(&daemon);

        let after = counters(&daemon);
        let opened = value(&after, "sessions-opened");
        assert_eq!(opened, ended(&after) + 1, "{after:?}");
        println!(
            "{opened} sessions; {:?}",
            after
                .iter()
                .filter(|(name, value)| name.starts_with("sessions-ended") && *value > 0)
                .collect::<Vec<_>>()
        );
        assert_eq!(unprovoked(&daemon), [""; 0]);
        measures::is_back(&daemon, &start);
        assert!(throughput.is_least(share), "{throughput}: {throughput:?}");
    });
}

/// What one process has at once, if the descriptors suffice.
const CROWD: u64 = 10_000;
/// Descriptors of the daemon's that are not of the crowd.
const OTHERS: u64 = 400;

#[test]
fn ten_thousand_sessions_that_die_at_once_leave_nothing() {
    in_namespace(|| {
        if attack_if_told() {
            return;
        }
        // A session is four descriptors of the daemon's, and three of the client's. Only root may raise the limit.
        let limit = measures::raise_descriptors(6 * CROWD);
        let crowd = CROWD.min(limit.saturating_sub(OTHERS) / 4);
        let most = format!("limits.sessions_per_uid={}", 2 * CROWD);
        let daemon = Daemon::start_with("", &[&most, "limits.slots_per_session=16"]);
        let start = Footprint::at_rest(&daemon);
        let neighbour = Neighbour::start(&daemon);
        let attackers = Attackers::with(&daemon, "crowd", crowd);
        wait_for("the crowd", 60, || {
            (value(&counters(&daemon), "sessions") >= crowd).then_some(())
        });
        let full = Footprint::of(&daemon);
        neighbour.moves_on();
        attackers.signal(Signal::KILL);
        let took = measures::time(|| {
            wait_for("end of the crowd", 60, || {
                let all = counters(&daemon);
                // The neighbour and who asks.
                (value(&all, "sessions") == 2 && value(&all, "arenas") == 1).then_some(())
            });
        });
        println!(
            "{crowd} sessions ({limit} descriptors): {} bytes of daemon memory each; over in {took:?}",
            (full.memory.saturating_sub(start.memory)) / crowd
        );
        drop(attackers);
        neighbour.moves_on();
        neighbour.finish();
        all_is_gone(&daemon);
        measures::is_back(&daemon, &start);
    });
}
