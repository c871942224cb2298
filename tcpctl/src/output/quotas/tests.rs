use super::table;
use crate::output::examples::{user_rows, users};

#[test]
fn users_with_use_against_limit_and_what_was_refused() {
    insta::assert_snapshot!(table(&user_rows(), &users()).render(None, true));
}

#[test]
fn users_in_80_columns() {
    insta::assert_snapshot!(table(&user_rows(), &users()).render(Some(80), true));
}
