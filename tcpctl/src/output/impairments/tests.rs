use libtcpclient::protocol::status::ImpairmentRow;

use super::table;

fn rows() -> Vec<ImpairmentRow> {
    let connection = ImpairmentRow {
        packets: "connection 12.1".to_owned(),
        direction: "out".to_owned(),
        impairment: "loss=1% delay=20ms rate=100mbit".to_owned(),
        seed: 1,
        packets_in: 12_345,
        bytes_in: 12_345_678,
        lost: 120,
        queue_full: 7,
        overflowed: 1,
        marked: 3,
        reordered: 4,
        duplicated: 5,
        corrupted: 6,
        delivered: 12_000,
        held: 17,
        ..ImpairmentRow::default()
    };
    let exempt = ImpairmentRow {
        packets: "fd00:7463:7064::/64".to_owned(),
        direction: "in".to_owned(),
        ..ImpairmentRow::default()
    };
    vec![connection, exempt]
}

#[test]
fn paths_with_what_they_did() {
    insta::assert_snapshot!(table(&rows()).render(None, true), @"");
}

#[test]
fn paths_in_80_columns() {
    insta::assert_snapshot!(table(&rows()).render(Some(80), true), @"");
}
