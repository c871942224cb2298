use super::{Column, Table};

fn table() -> Table {
    let mut table = Table::new(&[
        Column::new("ID"),
        Column::new("Recv-Q").right(),
        Column::new("Local"),
        Column::new("Owner").shrinks_to(8).leaves(1),
        Column::new("Timer").shrinks_to(6).leaves(2),
    ]);
    table.row(
        [
            "1.1",
            "0",
            "198.18.0.2:7",
            "4711/a-program-with-a-name",
            "keepalive 1h59m",
        ]
        .map(str::to_owned)
        .to_vec(),
    );
    table.row(
        ["12.7", "65,536", "[fd00::2]:80", "-", "-"]
            .map(str::to_owned)
            .to_vec(),
    );
    table
}

fn widest(text: &str) -> usize {
    text.lines()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0)
}

#[test]
fn without_a_limit_nothing_is_cut() {
    insta::assert_snapshot!(table().render(None, true), @r#"
    ID    Recv-Q  Local         Owner                       Timer
    1.1        0  198.18.0.2:7  4711/a-program-with-a-name  keepalive 1h59m
    12.7  65,536  [fd00::2]:80  -                           -
    "#);
}

#[test]
fn the_gaps_shrink_first() {
    let text = table().render(Some(70), true);
    assert!(
        text.contains("4711/a-program-with-a-name keepalive 1h59m"),
        "{text}"
    );
    assert!(widest(&text) <= 70, "{text}");
}

#[test]
fn then_the_widest_columns_that_may_shrink() {
    insta::assert_snapshot!(table().render(Some(50), true), @r#"
    ID   Recv-Q Local        Owner        Timer
    1.1       0 198.18.0.2:7 4711/a-prog… keepalive…
    12.7 65,536 [fd00::2]:80 -            -
    "#);
}

#[test]
fn then_columns_leave_in_their_order() {
    insta::assert_snapshot!(table().render(Some(36), true), @r#"
    ID   Recv-Q Local        Timer
    1.1       0 198.18.0.2:7 keepalive…
    12.7 65,536 [fd00::2]:80 -
    "#);
    insta::assert_snapshot!(table().render(Some(26), true), @r#"
    ID   Recv-Q Local
    1.1       0 198.18.0.2:7
    12.7 65,536 [fd00::2]:80
    "#);
}

#[test]
fn no_line_is_wider_than_the_terminal_while_columns_can_still_give() {
    for width in 25..=200 {
        let text = table().render(Some(width), true);
        assert!(widest(&text) <= usize::from(width), "{width}:\n{text}");
        assert_eq!(text.lines().count(), 3, "{width}:\n{text}");
    }
}

#[test]
fn without_a_header_only_the_rows_are_there() {
    let text = table().render(None, false);
    assert_eq!(text.lines().count(), 2);
    assert!(text.starts_with("1.1"));
    assert_eq!(Table::new(&[Column::new("ID")]).render(None, false), "");
    assert_eq!(Table::new(&[Column::new("ID")]).render(None, true), "ID\n");
}

#[test]
fn a_table_that_wraps_loses_nothing() {
    let mut table = Table::new(&[Column::new("Name"), Column::new("Help").shrinks_to(10)]).wraps();
    table.row(
        ["bad-checksum", "segments whose checksum is wrong"]
            .map(str::to_owned)
            .to_vec(),
    );
    insta::assert_snapshot!(table.render(Some(26), true), @r#"
    Name         Help
    bad-checksum segments
                 whose
                 checksum is
                 wrong
    "#);
}
