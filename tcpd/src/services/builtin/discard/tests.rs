use super::super::Handler;
use super::super::test_connection::Served;

#[test]
fn nothing_comes_back() {
    let (rest, result) = Served::start(&Handler::Discard).say(&[42; 300_000]);
    assert_eq!(rest, b"");
    result.expect("a clean end");
}
