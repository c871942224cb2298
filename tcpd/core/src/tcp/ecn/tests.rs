use super::{EcnMode, EcnState, Offer};
use crate::tcp::config::EcnPolicy;
use crate::tcp::segment::Segment;
use crate::wire::{Ecn, Flags, TcpSegment};

/// A segment with these flags, in a packet whose ECN field is `ecn`.
fn segment(flags: &str, ecn: Ecn) -> Segment<'static> {
    let tcp = TcpSegment {
        flags: flags.parse().expect("flags"),
        ..TcpSegment::default()
    };
    Segment::new(&tcp, None, ecn)
}

#[test]
fn a_syn_brings_ecn_about_only_with_both_flags_unmarked_and_where_it_is_wanted() {
    let policies = [EcnPolicy::Off, EcnPolicy::Passive, EcnPolicy::On];
    for flags in ["S", "SE", "SW", "SEW"] {
        for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            let seen = policies.map(|policy| EcnMode::of_syn(&segment(flags, ecn), policy));
            let wanted = if flags == "SEW" && ecn == Ecn::NotEct {
                EcnMode::On
            } else {
                EcnMode::Off
            };
            assert_eq!(seen, [EcnMode::Off, wanted, wanted], "{flags} {ecn}");
        }
    }
}

#[test]
fn a_syn_ack_agrees_with_ece_alone_and_to_what_was_asked_for() {
    let offers = [Offer::None, Offer::Made, Offer::Withdrawn];
    for (flags, wanted) in [
        ("S.", [EcnMode::Off; 3]),
        ("SW.", [EcnMode::Off; 3]),
        ("SEW.", [EcnMode::Off; 3]),
        ("SE.", [EcnMode::Off, EcnMode::On, EcnMode::EchoOnly]),
    ] {
        let seen = offers.map(|offer| EcnMode::of_syn_ack(&segment(flags, Ecn::NotEct), offer));
        assert_eq!(seen, wanted, "{flags}");
    }
}

#[test]
fn an_offer_is_withdrawn_once_and_only_if_it_was_made() {
    let mut offers = [Offer::None, Offer::Made, Offer::Withdrawn];
    let new = offers.each_mut().map(|offer| offer.withdraw());
    assert_eq!(new, [false, true, false]);
    assert_eq!(offers, [Offer::None, Offer::Withdrawn, Offer::Withdrawn]);
    assert_eq!(offers.map(Offer::syn_flags), [Flags::NONE; 3]);
    assert_eq!(Offer::Made.syn_flags(), Flags::ECE | Flags::CWR);
}

#[test]
fn a_connection_without_ecn_has_no_state_of_it() {
    assert!(EcnState::of(EcnMode::Off).is_none());
    let state = EcnState::of(EcnMode::EchoOnly).expect("a state");
    assert_eq!((state.mode, state.echo()), (EcnMode::EchoOnly, Flags::NONE));
}
