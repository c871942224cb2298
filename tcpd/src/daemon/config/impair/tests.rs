use super::super::Config;
use super::*;

fn refused(flag: &str) -> String {
    let error = Config::with_flags(&[flag.to_owned()]).expect_err("refused");
    error.to_string()
}

#[test]
fn a_configuration_without_impairment_makes_no_rule() {
    assert_eq!(Config::default().impair.rules(), []);
}

#[test]
fn each_direction_and_each_network_is_a_rule() {
    let impair = Impair {
        inbound: "loss=1%".to_owned(),
        outbound: "delay=5ms".to_owned(),
        peers: vec![
            "203.0.113.7/24 out rate=1mbit".to_owned(),
            "fd00::1   loss=2%".to_owned(),
            "192.0.2.0/24".to_owned(),
        ],
        seed: 7,
    };
    let rules: Vec<String> = impair
        .rules()
        .iter()
        .map(|rule| {
            format!(
                "{} {:?} {} {}",
                rule.target, rule.directions, rule.impairment, rule.seed
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            "everything In loss=1% 7",
            "everything Out delay=5ms 7",
            "203.0.113.0/24 Out rate=1mbit 7",
            "fd00::1/128 Both loss=2% 7",
            "192.0.2.0/24 Both  7",
        ]
    );
}

#[test]
fn what_cannot_be_is_refused_with_what_is_allowed() {
    assert_eq!(
        refused("impair.in=loss=120%"),
        "--set: impair.in = \"loss=120%\": loss of \"120%\": must be a probability from 0% to 100%, as 1% or 0.05%; \
         allowed: words as \"loss=1% delay=20ms rate=100mbit\", or \"\" for nothing"
    );
    let negative = refused("impair.out=delay=-5ms");
    assert!(
        negative.contains("must be a time from 0s to 60s"),
        "{negative}"
    );
    assert!(refused("impair.seed=-1").contains("too small"));
}

#[test]
fn a_list_of_networks_is_checked_line_by_line() {
    let wrong = |lines: &[&str]| check_peers(lines).expect_err("refused");
    assert!(wrong(&["203.0.113.0/33 loss=1%"]).contains("is not a network"));
    assert!(wrong(&["loss=1%"]).contains("is not a network"));
    assert!(wrong(&["fd00::/8 up loss=1%"]).contains("no such setting"));
    assert!(wrong(&["fd00::/8 in loss=101%"]).contains("from 0% to 100%"));
    let twice = ["203.0.113.1/24 in loss=1%", "203.0.113.2/24 delay=1ms"];
    assert_eq!(wrong(&twice), "203.0.113.0/24 in is given twice");
    let many: Vec<String> = (0..=MAX_PEERS)
        .map(|n| format!("192.0.2.{n} loss=1%"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(check_peers(&many[1..]), Ok(()));
    assert!(wrong(&many).contains("networks"));
}

#[test]
fn a_file_with_a_bad_network_names_its_line_and_what_is_allowed() {
    let problems = crate::daemon::config::strict::check_file(
        "t.toml",
        "[impair]\nseed = 1\npeers = [\"203.0.113.0/24 delay=-1ms\"]\n",
    );
    let text = problems.expect_err("refused")[0].to_string();
    assert!(text.starts_with("t.toml:3: impair.peers = "), "{text}");
    assert!(text.contains("must be a time from 0s to 60s"), "{text}");
    assert!(text.contains("at most 31 different networks"), "{text}");
}
