use super::Undo;

#[test]
fn an_echo_older_than_the_first_retransmission_says_that_the_original_arrived() {
    let mut undo = Undo::begin(1000);
    assert!(!undo.is_older(Some(1)), "nothing was sent again");
    undo.retransmitted(1000, Some(500));
    undo.retransmitted(1000, Some(600));
    assert!(undo.is_older(Some(499)));
    assert!(!undo.is_older(Some(500)), "the same tick says nothing");
    assert!(!undo.is_older(None));
    let mut wrapped = Undo::begin(0);
    wrapped.retransmitted(1, Some(3));
    assert!(wrapped.is_older(Some(u32::MAX)), "timestamps wrap");
}

#[test]
fn every_byte_sent_again_has_to_be_a_duplicate() {
    let mut undo = Undo::begin(1000);
    assert!(!undo.all_were_duplicates());
    undo.retransmitted(2000, None);
    undo.duplicate(1000, 2000);
    assert!(!undo.all_were_duplicates());
    undo.duplicate(2000, 3000);
    assert!(undo.all_were_duplicates());
    undo.retransmitted(1000, None);
    assert!(!undo.all_were_duplicates());
}

#[test]
fn duplicates_of_before_the_reduction_explain_nothing() {
    let mut undo = Undo::begin(5000);
    undo.retransmitted(1000, None);
    undo.duplicate(1000, 2000);
    assert!(!undo.all_were_duplicates());
}

#[test]
fn without_a_reduction_nothing_is_undone() {
    let mut undo = Undo::default();
    undo.retransmitted(1000, Some(5));
    undo.duplicate(0, 1000);
    assert!(!undo.all_were_duplicates() && !undo.is_older(Some(1)));
}
