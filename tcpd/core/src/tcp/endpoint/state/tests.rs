use super::{ARROWS, State};

#[test]
fn the_bit_table_says_what_the_list_of_arrows_says() {
    for from in State::ALL {
        for to in State::ALL {
            assert_eq!(
                from.may_become(to),
                ARROWS.contains(&(from, to)),
                "{from} to {to}"
            );
        }
    }
}

#[test]
fn every_state_can_be_reached_and_left() {
    for state in State::ALL {
        assert!(
            ARROWS.iter().any(|&(from, _)| from == state),
            "{state} has no way out"
        );
        assert!(
            ARROWS.iter().any(|&(_, to)| to == state),
            "{state} has no way in"
        );
    }
}

#[test]
fn no_state_becomes_itself_and_every_live_state_can_be_aborted() {
    for state in State::ALL {
        assert!(!state.may_become(state));
        assert!(state == State::Closed || state.may_become(State::Closed));
    }
}

#[test]
fn the_arrows_of_closing_are_those_of_the_figure() {
    let to = |state: State| -> Vec<&str> {
        State::ALL
            .into_iter()
            .filter(|&next| state.may_become(next))
            .map(State::name)
            .collect()
    };
    assert_eq!(
        to(State::Established),
        ["CLOSED", "FIN-WAIT-1", "CLOSE-WAIT"]
    );
    assert_eq!(
        to(State::FinWait1),
        ["CLOSED", "FIN-WAIT-2", "CLOSING", "TIME-WAIT"]
    );
    assert_eq!(to(State::CloseWait), ["CLOSED", "LAST-ACK"]);
    assert_eq!(to(State::LastAck), ["CLOSED"]);
}

#[test]
fn only_what_has_closed_its_side_comes_to_time_wait() {
    let from: Vec<State> = State::ALL
        .into_iter()
        .filter(|state| state.may_become(State::TimeWait))
        .collect();
    assert_eq!(from, [State::FinWait1, State::FinWait2, State::Closing]);
    assert!(from.iter().all(|state| state.is_synchronised()));
}
