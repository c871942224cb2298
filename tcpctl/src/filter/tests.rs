use std::net::IpAddr;

use libtcpclient::protocol::status::TcpState;

use super::{AddressFilter, StateFilter};

fn state(text: &str) -> StateFilter {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn address(text: &str) -> AddressFilter {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_state_is_known_by_the_name_of_the_rfc_in_any_spelling() {
    for one in TcpState::ALL {
        for spelling in [
            one.name().to_owned(),
            one.name().to_lowercase(),
            one.name().replace('-', "_"),
            one.name().replace('-', ""),
        ] {
            for other in TcpState::ALL {
                assert_eq!(
                    state(&spelling).contains(other),
                    one == other,
                    "{spelling} {other}"
                );
            }
        }
    }
}

#[test]
fn a_state_is_known_by_the_name_that_ss_gives_it() {
    assert_eq!(state("syn-recv"), state("SYN-RECEIVED"));
    assert_eq!(state("listening"), state("LISTEN"));
    assert_eq!(state("unconnected"), state("CLOSED"));
    assert_eq!(state("close"), state("CLOSED"));
}

#[test]
fn the_groups_of_ss_are_known() {
    let of = |group: &str| {
        TcpState::ALL
            .iter()
            .filter(|one| state(group).contains(**one))
            .count()
    };
    assert_eq!(of("all"), 11);
    assert_eq!(of("connected"), 9);
    assert_eq!(of("synchronized"), 8);
    assert_eq!(of("bucket"), 2);
    assert_eq!(of("big"), 9);
}

#[test]
fn an_unknown_state_is_answered_with_all_the_known_ones() {
    let error = "established2"
        .parse::<StateFilter>()
        .expect_err("no such state");
    for state in TcpState::ALL {
        assert!(error.contains(&state.name().to_lowercase()), "{error}");
    }
}

#[test]
fn an_address_without_a_prefix_is_that_address_only() {
    assert!(address("198.18.0.1").contains(ip("198.18.0.1")));
    assert!(!address("198.18.0.1").contains(ip("198.18.0.2")));
    assert!(address("[fd00::2]").contains(ip("fd00::2")));
    assert!(!address("fd00::2").contains(ip("198.18.0.2")));
}

#[test]
fn a_network_contains_its_addresses_for_every_prefix_length() {
    assert!(address("198.18.0.0/15").contains(ip("198.19.255.255")));
    assert!(!address("198.18.0.0/15").contains(ip("198.20.0.0")));
    assert!(address("0.0.0.0/0").contains(ip("203.0.113.1")));
    assert!(!address("0.0.0.0/0").contains(ip("::1")));
    assert!(address("::/0").contains(ip("fd00::1")));
    assert!(address("fd00::/8").contains(ip("fd7f::1")));
    assert!(!address("fd00::/8").contains(ip("fe80::1")));
}

#[test]
fn a_prefix_longer_than_the_address_is_refused() {
    assert!(
        "198.18.0.0/33"
            .parse::<AddressFilter>()
            .expect_err("too long")
            .contains("from 0 to 32")
    );
    assert!(
        "fd00::/129"
            .parse::<AddressFilter>()
            .expect_err("too long")
            .contains("from 0 to 128")
    );
    assert!("localhost".parse::<AddressFilter>().is_err());
}
