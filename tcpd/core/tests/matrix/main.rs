//! The matrix: every state × every event, played for IPv4 and IPv6 and written down.
//!
//! * [`states`] puts a stack into each state, through real calls and segments; [`events`] makes each event happen;
//!   [`reaction`] says what came of it, [`table`] writes it down.
//! * `snapshots/` holds what was written: a table a state, a line an event, and an index. No cell is empty: one that cannot happen
//!   says why, and a timer that cannot run is tried to be armed first.
//! * [`expected`] is the oracle, a line a rule with its paragraph, written from the RFCs' text: the snapshots say what tcpd does, the
//!   oracle what it should do, and both must agree in every cell.
//! * In the tables numbers are relative to those before the event: `snd.una`, `snd.nxt`, `rcv.nxt`, `irs`, `edge` = RCV.NXT + RCV.WND;
//!   where nothing is known of a side, its numbers are `x` (the peer's) and `y` (ours). `win` stands where the window was or is closed.
//!
//! Who changes a reaction on purpose: `cargo xtask bless` (or `INSTA_UPDATE=always cargo test -p tcpd-core --test matrix`), then read
//! the diff. Where the oracle disagrees, either it or the change is wrong: look into the RFC before touching a line of it.

#[path = "../common"]
mod common {
    pub(crate) mod packets;
}

mod events;
mod expected;
mod numbers;
mod reaction;
mod states;
mod table;
mod world;

use tcpd_core::stack::{State, Timer};

#[test]
fn every_cell_reacts_as_its_table_says() {
    for state in State::ALL {
        insta::assert_snapshot!(state.name(), table::of_state(state));
    }
    insta::assert_snapshot!("index", table::index());
}

#[test]
fn every_cell_agrees_with_the_rfc() {
    let lines = expected::lines();
    let mut used = vec![false; lines.len()];
    let mut wrong = Vec::new();
    for cell in table::cells() {
        let (situation, event) = (cell.situation, cell.event.name);
        let ranks = lines.iter().map(|line| line.rank(situation, event));
        let best = ranks.clone().max().unwrap_or(0);
        let found: Vec<usize> = (0..lines.len())
            .zip(ranks)
            .filter(|(_, rank)| *rank == best && best > 0)
            .map(|(number, _)| number)
            .collect();
        let [number] = found[..] else {
            wrong.push(format!("{}: {} lines for it", cell.name(), found.len()));
            continue;
        };
        used[number] = true;
        if let Some(difference) = lines[number].differs(situation, &cell.reaction) {
            wrong.push(format!(
                "{}: {difference} | {}",
                cell.name(),
                lines[number].cite
            ));
        }
    }
    let unused = lines.iter().zip(&used).filter(|(_, used)| !**used);
    wrong.extend(unused.map(|(line, _)| format!("decides nothing: {line:?}")));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_timer_there_is_goes_off_in_the_matrix() {
    // The peers of the matrix do not know SACK: these two go off in tests/scripts/rack; and nothing fills a large CWND here.
    let elsewhere = [Timer::TailLoss, Timer::Reordering, Timer::Pacing];
    for timer in Timer::ALL {
        assert!(
            elsewhere.contains(&timer) || events::all().any(|event| matches!(event.action, events::Action::Timer { timer: one, .. } if one == timer)),
            "no event for the {} timer",
            timer.name()
        );
    }
}

/// That a timer cannot run in a state is shown for each timer event by trying; here every other event has tried, too.
#[test]
fn no_event_arms_a_timer_that_cannot_run_in_its_state() {
    for cell in table::cells() {
        let Ok(reaction) = &cell.reaction else {
            continue;
        };
        for &timer in &reaction.running {
            assert!(
                events::may_run(timer, reaction.next),
                "{}: the {} timer runs in {}",
                cell.name(),
                timer.name(),
                reaction.next
            );
        }
    }
}
