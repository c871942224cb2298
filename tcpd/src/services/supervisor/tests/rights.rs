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
    let token = ticket(&t.ordered()[0]).token.0;
    assert_eq!(t.hello(token, OWN_UID + 1, 5), Err(Refusal::WrongUser));
    assert_eq!(t.adopt(0, 5), Err(Refusal::Unknown));
    t.pass(TOKEN_LIFE);
    assert_eq!(t.daemon.aborted, [1000]);
}

#[test]
fn tokens_differ_and_do_not_show_themselves() {
    let mut t = Fixture::new();
    t.arrive(0, 2);
    let tokens = [0, 1].map(|order| ticket(&t.ordered()[order]).token);
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

#[test]
fn the_token_of_a_service_with_a_user_is_for_that_user() {
    let account = crate::system::accounts::account("root", None).expect("root");
    let mut t = Fixture::with(|echo| {
        echo.terms.account = Some(crate::system::accounts::Account {
            uid: 4242,
            ..account
        });
    });
    t.arrive(0, 2);
    let token = |t: &Fixture, order: usize| ticket(&t.ordered()[order]).token.0;
    assert_eq!(
        t.adopt(0, 5),
        Err(Refusal::WrongUser),
        "the daemon's own user"
    );
    let token = token(&t, 1);
    let adopted = t.hello(token, 4242, 6);
    assert_eq!(adopted.expect("the service's user").connection, 1001);
}
