use super::*;

const USER: u32 = 1000;
const LIFE: Duration = Duration::from_secs(10);

struct Fixture {
    tokens: Tokens<u64>,
    failed: FailedAttempts,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        Self {
            tokens: Tokens::default(),
            failed: FailedAttempts::default(),
            now: Instant::from_secs(100),
        }
    }

    fn issue(&mut self, job: u64) -> [u8; 16] {
        let issued = self.tokens.issue(self.now + LIFE, job, USER);
        issued.expect("random bytes")
    }

    fn redeem(&mut self, token: [u8; 16], uid: u32) -> Result<u64, Refusal> {
        self.tokens.redeem(self.now, token, uid, &mut self.failed)
    }
}

#[test]
fn a_token_is_good_once_and_for_its_user() {
    let mut t = Fixture::new();
    let (one, two) = (t.issue(1), t.issue(2));
    assert_ne!(one, two);
    assert_eq!(t.tokens.count(), 2);
    assert_eq!(t.redeem(one, USER), Ok(1));
    assert_eq!(t.redeem(one, USER), Err(Refusal::Unknown));
    assert_eq!(t.redeem(two, USER + 1), Err(Refusal::WrongUser));
    assert_eq!(t.redeem(two, USER), Err(Refusal::Unknown));
    assert_eq!((t.tokens.count(), t.failed.total()), (0, 3));
}

#[test]
fn a_token_grows_too_old_also_in_the_hands_of_another_user() {
    let mut t = Fixture::new();
    let (one, two) = (t.issue(1), t.issue(2));
    assert_eq!(t.redeem(two, USER + 1), Err(Refusal::WrongUser));
    assert_eq!(t.tokens.next_deadline(), Some(t.now + LIFE));
    assert_eq!(t.tokens.expire(t.now), None);
    t.now += LIFE;
    assert_eq!(t.tokens.expire(t.now), Some(1));
    assert_eq!(t.tokens.expire(t.now), Some(2));
    assert_eq!(t.tokens.expire(t.now), None);
    assert_eq!(t.redeem(one, USER), Err(Refusal::Unknown));
    assert_eq!(t.tokens.next_deadline(), None);
}

#[test]
fn lives_end_in_the_order_of_their_ends() {
    let mut t = Fixture::new();
    t.tokens.put([1; 16], t.now + 2 * LIFE, 1, USER);
    t.tokens.put([2; 16], t.now + LIFE, 2, USER);
    assert_eq!(t.tokens.expire(t.now + 2 * LIFE), Some(2));
    assert_eq!(t.tokens.expire(t.now + 2 * LIFE), Some(1));
}

#[test]
fn a_token_spent_for_nothing_is_good_again_for_the_rest_of_its_life() {
    let mut t = Fixture::new();
    let token = t.issue(1);
    let end = t.now + LIFE;
    t.redeem(token, USER).expect("good");
    t.tokens.put(token, end, 1, USER);
    assert_eq!(t.tokens.next_deadline(), Some(end));
    assert_eq!(t.redeem(token, USER), Ok(1));
}

#[test]
fn who_guesses_is_told_to_wait_and_a_good_token_stays_good() {
    let mut t = Fixture::new();
    for _ in 0..MAX_FAILURES {
        assert_eq!(t.redeem([0; 16], USER), Err(Refusal::Unknown));
    }
    assert_eq!(t.redeem([0; 16], USER), Err(Refusal::TooManyFailures));
    assert_eq!(t.redeem([0; 16], USER + 1), Err(Refusal::Unknown));
    let good = t.issue(1);
    assert_eq!(t.redeem(good, USER), Ok(1));
    t.now += FAILURE_WINDOW;
    assert_eq!(t.redeem([0; 16], USER), Err(Refusal::Unknown));
}

#[test]
fn the_memory_for_failures_is_bounded() {
    let mut t = Fixture::new();
    for uid in 0..5000 {
        assert_eq!(t.redeem([1; 16], uid), Err(Refusal::Unknown));
    }
    assert_eq!(t.failed.total(), 5000);
    assert!(t.failed.by_user.len() <= MAX_USERS);
}
