use super::{select, table};
use crate::output::examples::counters;

#[test]
fn only_counters_that_are_not_zero_are_shown() {
    insta::assert_snapshot!(table(&select(counters(), &[], false)).render(None, true), @r#"
        Value  Counter               Meaning
    1,234,567  segments-in           TCP segments received, whatever became of them
    1,234,560  segments-accepted     TCP segments that were processed
            7  dropped-bad-checksum  segments dropped because their checksum is wrong
    "#);
}

#[test]
fn all_of_them_with_their_meaning_wrapped_in_80_columns() {
    insta::assert_snapshot!(table(&select(counters(), &[], true)).render(Some(80), true), @r#"
        Value Counter              Meaning
    1,234,567 segments-in          TCP segments received, whatever became of them
    1,234,560 segments-accepted    TCP segments that were processed
            7 dropped-bad-checksum segments dropped because their checksum is wrong
            0 dropped-no-listener  SYNs to a port on which nobody listens; answered
                                   with RST
    "#);
}

#[test]
fn a_part_of_the_name_is_enough() {
    let names = ["drop".to_owned()];
    let chosen: Vec<String> = select(counters(), &names, true)
        .into_iter()
        .map(|row| row.name)
        .collect();
    assert_eq!(chosen, ["dropped-bad-checksum", "dropped-no-listener"]);
    assert_eq!(select(counters(), &names, false).len(), 1);
    assert_eq!(
        select(counters(), &["Segments_In".to_owned()], false).len(),
        1
    );
}
