//! `%{ assert name == value }%`: what the connection under test holds, by the names of RFC 9293 and of Linux's `tcp_info`.
//!
//! The connection is that of the newest descriptor. Sequence numbers are as the script counts, times in microseconds.
//!
//! | name | |
//! |---|---|
//! | `state`, `tcpi_state` | ESTABLISHED, … |
//! | `end`, `end_timer` | why it ended, as `reset` or `timed_out`, and by which timer, as `idle`; or `none` |
//! | `ecn` | `off`, `echo_only`, `on`; `ce_in`, `ece_in`, `ecn_reductions`: what came of it |
//! | `snd_una`, `snd_nxt`, `rcv_nxt` | sequence numbers |
//! | `snd_wnd`, `max_snd_wnd`, `rcv_wnd`, `snd_cwnd`, `snd_ssthresh`, `snd_mss`, `in_flight` | bytes |
//! | `tcpi_rtt`, `tcpi_rttvar`, `tcpi_rto` | SRTT, RTTVAR and RTO |
//! | `lost`, `undone`, `dsacks` | segments found to be lost, reductions taken back, D-SACKs received |
//! | `tcpi_backoff`, `tcpi_total_retrans`, `tcpi_probes` | counts |
//! | `peer_user_timeout` | seconds, by the peer's option; 0 without |
//! | `urgent` | bytes before the urgent pointer that were not read |
//! | `iss_step` | how far the ISS of far end 1's connection is beyond the SND.NXT of the one before |

use std::time::Duration;

use super::runner::{Check, Runner, Wrong};
use super::syntax::{Assertion, Comparison, Wanted};
use crate::stack::EndReason;

/// What a name stands for.
enum Found {
    Number(i64),
    State(&'static str),
}

/// Checks one assertion.
pub(super) fn check(runner: &mut Runner<'_>, assertion: &Assertion) -> Check {
    let found = find(runner, &assertion.name)?;
    let (holds, text) = match (&assertion.value, found) {
        (Wanted::Integer(wanted), Found::Number(found)) => {
            let holds = match assertion.comparison {
                Comparison::Equal => found == *wanted,
                Comparison::NotEqual => found != *wanted,
                Comparison::Less => found < *wanted,
                Comparison::LessOrEqual => found <= *wanted,
                Comparison::Greater => found > *wanted,
                Comparison::GreaterOrEqual => found >= *wanted,
            };
            (holds, found.to_string())
        }
        (Wanted::State(wanted), Found::State(found)) => {
            let wanted = wanted.trim_start_matches("TCP_").replace('_', "-");
            let holds = match assertion.comparison {
                Comparison::Equal => found == wanted,
                Comparison::NotEqual => found != wanted,
                _ => return Err(Wrong::new("expected == or != between states")),
            };
            (holds, found.to_owned())
        }
        (Wanted::Any, Found::Number(found)) => (true, found.to_string()),
        (Wanted::State(wanted), Found::Number(_)) => {
            return Err(Wrong::new(format!(
                "expected a number to compare {} with, found {wanted}",
                assertion.name
            )));
        }
        (_, Found::State(_)) => {
            return Err(Wrong::new("expected the name of a state to compare with"));
        }
    };
    if holds {
        return Ok(());
    }
    let sign = match assertion.comparison {
        Comparison::Equal => "==",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    };
    let wanted = match &assertion.value {
        Wanted::Integer(value) => value.to_string(),
        Wanted::State(state) => state.clone(),
        Wanted::Any => "?".into(),
    };
    Err(Wrong::new(format!(
        "expected {} {sign} {wanted}, it is {text}",
        assertion.name
    )))
}

fn find(runner: &mut Runner<'_>, name: &str) -> Check<Found> {
    if name == "iss_step" {
        return match runner.flow(1).iss_step {
            Some(step) => Ok(Found::Number(step.into())),
            None => Err(Wrong::new("iss_step: there was no connection before")),
        };
    }
    let status = runner
        .sockets
        .latest_stream()
        .and_then(|id| runner.stack.status(id));
    let Some(status) = status else {
        return Err(Wrong::new(format!(
            "{name}: no descriptor names a connection"
        )));
    };
    let peer = runner.peer_at(status.remote.port());
    let (ours, theirs) = {
        let flow = runner.flow(peer);
        (flow.ours, flow.theirs)
    };
    let relative = |number: u32, base: u32| Found::Number(number.wrapping_sub(base).into());
    let micros = |time: Option<Duration>| {
        let micros = time.unwrap_or(Duration::ZERO).as_micros();
        Found::Number(i64::try_from(micros).unwrap_or(i64::MAX))
    };
    let count = |count: u64| Found::Number(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(match name {
        "state" | "tcpi_state" => Found::State(status.state.name()),
        "end" => Found::State(status.end.map_or("none", EndReason::name)),
        "end_timer" => Found::State(match status.end {
            Some(EndReason::TimedOut(timer)) => timer.name(),
            _ => "none",
        }),
        "ecn" => Found::State(status.ecn.name()),
        "ce_in" => count(status.ce_in),
        "ece_in" => count(status.ece_in),
        "ecn_reductions" => count(status.ecn_reductions),
        "snd_una" => relative(status.snd_una.0, ours),
        "snd_nxt" => relative(status.snd_nxt.0, ours),
        "rcv_nxt" => relative(status.rcv_nxt.0, theirs),
        "snd_wnd" => Found::Number(status.snd_wnd.into()),
        "max_snd_wnd" => Found::Number(status.max_snd_wnd.into()),
        "rcv_wnd" => Found::Number(status.rcv_wnd.into()),
        "snd_cwnd" => Found::Number(status.cwnd.into()),
        "snd_ssthresh" => Found::Number(status.ssthresh.map_or(i64::MAX, i64::from)),
        "snd_mss" => Found::Number(status.mss_send.into()),
        "in_flight" => Found::Number(status.in_flight.into()),
        "lost" => count(status.lost),
        "undone" => count(status.undone),
        "dsacks" => count(status.duplicate_sacks_in),
        "tcpi_rtt" => micros(status.srtt),
        "tcpi_rttvar" => micros(status.rttvar),
        "tcpi_rto" => micros(Some(status.rto)),
        "tcpi_backoff" => Found::Number(status.backoff.into()),
        "tcpi_total_retrans" => {
            Found::Number(i64::try_from(status.retransmissions).unwrap_or(i64::MAX))
        }
        "tcpi_probes" => Found::Number(status.probes.into()),
        "peer_user_timeout" => count(status.user_timeout_peer.map_or(0, |time| time.as_secs())),
        "urgent" => {
            Found::Number(i64::try_from(runner.stack.urgent(status.id)).unwrap_or(i64::MAX))
        }
        _ => {
            return Err(Wrong::new(format!(
                "expected state, end, end_timer, ecn, ce_in, ece_in, ecn_reductions, snd_una, snd_nxt, rcv_nxt, snd_wnd, max_snd_wnd, rcv_wnd, snd_cwnd, snd_ssthresh, snd_mss, \
                 in_flight, lost, undone, dsacks, tcpi_rtt, tcpi_rttvar, tcpi_rto, tcpi_backoff, tcpi_total_retrans, tcpi_probes, peer_user_timeout, urgent or iss_step, found `{name}`"
            )));
        }
    })
}
