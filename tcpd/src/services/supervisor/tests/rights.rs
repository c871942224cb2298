use super::*;

#[test]
fn a_token_is_good_once() {
    let mut t = Fixture::new();
    t.arrive(0, 1);
    t.adopt(0, 5).expect("good");
    assert_eq!(t.adopt(0, 5), Err(Refusal::Unknown));
    assert_eq!((t.failed.total(), t.supervisor.tokens()), (1, 0));
}

#[test]
fn a_token_in_the_hands_of_another_user_is_good_for_nobody() {
    let mut t = Fixture::new();
    t.arrive(0, 1);
    let token = t.ordered()[0].token.0;
    assert_eq!(t.hello(token, OWN_UID + 1, 5), Err(Refusal::WrongUser));
    assert_eq!(t.adopt(0, 5), Err(Refusal::Unknown));
    t.pass(TOKEN_LIFE);
    assert_eq!(t.daemon.aborted, [1000]);
}

#[test]
fn tokens_differ_and_do_not_show_themselves() {
    let mut t = Fixture::new();
    t.arrive(0, 2);
    let tokens = [t.ordered()[0].token, t.ordered()[1].token];
    assert!(tokens[0] != tokens[1]);
    assert_eq!(format!("{:?}", tokens[0]), "Token(…)");
}

#[test]
fn the_next_deadline_is_that_of_the_oldest_token_not_spent() {
    let mut t = Fixture::new();
    let began = t.now;
    t.arrive(0, 1);
    t.now += Duration::from_secs(1);
    t.arrive(0, 1);
    t.adopt(0, 5).expect("good");
    assert_eq!(
        t.supervisor.next_deadline(),
        Some(began + Duration::from_secs(1) + TOKEN_LIFE)
    );
    t.adopt(1, 6).expect("good");
    assert_eq!(t.supervisor.next_deadline(), None);
}
