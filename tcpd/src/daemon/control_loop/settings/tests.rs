use libtcpclient::protocol::CongestionControl;

use super::{ConnectionChange, parse};

#[test]
fn a_setting_that_makes_sense_is_taken() {
    for kind in CongestionControl::ALL {
        assert_eq!(
            parse(&format!(" congestion={kind} ")),
            Ok(ConnectionChange { congestion: kind })
        );
    }
}

#[test]
fn anything_else_is_refused_in_one_line_that_names_what_is_allowed() {
    let both = "congestion=cubic, congestion=newreno";
    for (given, refusal) in [
        ("", format!("nothing to set; allowed: {both}")),
        (
            "congestion=bbr",
            "\"bbr\" is no congestion control; allowed: cubic, newreno".to_owned(),
        ),
        (
            "congestion=",
            "\"\" is no congestion control; allowed: cubic, newreno".to_owned(),
        ),
        (
            "congestion=Cubic",
            "\"Cubic\" is no congestion control; allowed: cubic, newreno".to_owned(),
        ),
        (
            "cubic",
            format!("\"cubic\" is not NAME=VALUE; allowed: {both}"),
        ),
        ("cwnd=7", format!("\"cwnd\" cannot be set; allowed: {both}")),
        (
            "congestion=cubic congestion=newreno",
            "congestion is set twice; allowed: once".to_owned(),
        ),
        (
            "congestion=cubic mss=1",
            format!("\"mss\" cannot be set; allowed: {both}"),
        ),
        (
            "congestion=\u{1b}[2J",
            "\"\\u{1b}[2J\" is no congestion control; allowed: cubic, newreno".to_owned(),
        ),
    ] {
        assert_eq!(parse(given), Err(refusal), "{given:?}");
    }
}
