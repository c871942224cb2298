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
    insta::assert_snapshot!(table(&rows()).render(None, true), @r#"
    Packets              Way    Came  Lost  Queue full  Marked  Reordered  Twice  Damaged  On the way  What happens
    connection 12.1      out  12,345   120           8       3          4      5        6          17  loss=1% delay=20ms rate=100mbit
    fd00:7463:7064::/64  in        0     0           0       0          0      0        0           0  nothing
    "#);
}

#[test]
fn paths_in_80_columns() {
    insta::assert_snapshot!(table(&rows()).render(Some(80), true), @r#"
    Packets             Way   Came Lost Queue full Damaged What happens
    connection 12.1     out 12,345  120          8       6 loss=1% delay=20ms
                                                           rate=100mbit
    fd00:7463:7064::/64 in       0    0          0       0 nothing
    "#);
}
