use std::time::Duration;

use proptest::prelude::*;

use crate::impairment::{Burst, Impairment, SpecError};

fn parsed(text: &str) -> Impairment {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    match text.parse::<Impairment>() {
        Ok(impairment) => panic!("{text} is {impairment:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_setting_is_read() {
    let text = "loss=1% burst=0.5%:30%:80% delay=20ms jitter=1.5ms rate=100mbit queue=64KiB ce=32KiB \
                reorder=2%:7ms duplicate=0.1% corrupt=0.01%";
    let expected = Impairment {
        loss: 0.01,
        burst: Some(Burst {
            enter: 0.005,
            leave: 0.3,
            loss: 0.8,
        }),
        delay: Duration::from_millis(20),
        jitter: Duration::from_micros(1_500),
        rate: 12_500_000,
        queue: 65_536,
        ce_threshold: 32_768,
        reorder: 0.02,
        reorder_delay: Duration::from_millis(7),
        duplicate: 0.001,
        corrupt: 0.0001,
    };
    assert_eq!(parsed(text), expected);
    assert_eq!(expected.to_string().parse(), Ok(expected));
}

#[test]
fn what_is_not_said_is_nothing() {
    assert!(parsed("").is_nothing());
    assert!(parsed(" \t ").is_nothing());
    assert!(parsed("loss=0% delay=0ms").is_nothing());
    assert_eq!(parsed("").to_string(), "");
    let limited = parsed("rate=1gbit");
    assert_eq!(
        (limited.rate, limited.queue),
        (125_000_000, Impairment::QUEUE)
    );
    assert!(!limited.is_nothing());
}

#[test]
fn every_single_setting_is_something() {
    for text in [
        "loss=1%",
        "burst=1%:1%",
        "delay=1us",
        "jitter=1ms",
        "rate=1kbit",
        "reorder=1%",
    ] {
        assert!(!parsed(text).is_nothing(), "{text}");
    }
    for text in ["duplicate=1%", "corrupt=1%"] {
        assert!(!parsed(text).is_nothing(), "{text}");
    }
}

#[test]
fn a_probability_beyond_its_range_is_refused_with_the_range() {
    for value in [
        "120%", "-1%", "100.1%", "1", "0.5", "nan%", "1e1%", "%", ".5%", "5.%", "", "1%%",
    ] {
        let message = refused(&format!("loss={value}"));
        let expected =
            format!("loss of {value:?}: must be a probability from 0% to 100%, as 1% or 0.05%");
        assert_eq!(message, expected);
    }
    for key in ["duplicate", "corrupt", "reorder"] {
        assert!(refused(&format!("{key}=101%")).contains("from 0% to 100%"));
    }
}

#[test]
fn a_time_beyond_its_range_is_refused_with_the_range() {
    for value in [
        "-5ms",
        "61s",
        "20",
        "20min",
        "ms",
        "1e3ms",
        "99999999999999999999s",
        "+1ms",
        "1 ms",
    ] {
        for key in ["delay", "jitter"] {
            let message = refused(&format!("{key}={value}"));
            assert!(
                message.contains(key) && message.contains("from 0s to 60s"),
                "{message}"
            );
        }
    }
    assert_eq!(
        refused("delay=-5ms"),
        "delay of \"-5ms\": must be a time from 0s to 60s, as 20ms; units are us, ms and s"
    );
}

#[test]
fn a_rate_or_size_beyond_its_range_is_refused_with_the_range() {
    for value in ["0mbit", "0.5kbit", "101gbit", "100", "100mb", "-1mbit"] {
        assert!(
            refused(&format!("rate={value}")).contains("from 1kbit to 100gbit"),
            "{value}"
        );
    }
    for value in ["0B", "65MiB", "1kb", "-1B", "1"] {
        for key in ["queue", "ce"] {
            let message = refused(&format!("rate=1mbit {key}={value}"));
            assert!(message.contains("from 1B to 64MiB"), "{message}");
        }
    }
}

#[test]
fn a_burst_that_would_never_end_or_has_the_wrong_parts_is_refused() {
    for value in [
        "1%",
        "1%:0%",
        "1%:2%:3%:4%",
        "101%:1%",
        "1%:",
        ":1%",
        "1%:1%:200%",
    ] {
        let message = refused(&format!("burst={value}"));
        assert!(message.contains("ENTER:LEAVE"), "{message}");
    }
    for value in ["1%:", "1%:70s", "1%:1ms:1ms", ":1ms"] {
        assert!(
            refused(&format!("reorder={value}")).contains("perhaps a time"),
            "{value}"
        );
    }
}

#[test]
fn unknown_words_are_refused_with_all_that_is_known() {
    for text in ["los=1%", "loss", "=1%", "Loss=1%", "delay=1ms lossy=1%"] {
        let message = refused(text);
        assert!(
            message.contains("loss=1%") && message.contains("corrupt=0.01%"),
            "{message}"
        );
    }
}

#[test]
fn a_setting_given_twice_and_one_without_its_rate_are_refused() {
    assert_eq!(
        "loss=1% loss=2%".parse::<Impairment>(),
        Err(SpecError::Twice("loss"))
    );
    assert_eq!(
        "queue=1KiB".parse::<Impairment>(),
        Err(SpecError::NeedsRate("queue"))
    );
    assert_eq!(
        "ce=1KiB delay=1ms".parse::<Impairment>(),
        Err(SpecError::NeedsRate("ce"))
    );
}

prop_compose! {
    fn impairments()(
        chances in prop::array::uniform7(0u32..=1_000_000),
        burst in any::<bool>(),
        times in prop::array::uniform3(0u64..=60_000_000),
        rate in prop::option::of(1u64..=100_000_000),
        sizes in prop::array::uniform2(1u32..=64 << 20),
    ) -> Impairment {
        // Percents with up to four decimals, as a text has them.
        let chance = |index: usize| chances[index] as f64 / 10_000.0 / 100.0;
        let limited = rate.is_some();
        Impairment {
            loss: chance(0),
            burst: burst.then(|| Burst { enter: chance(1), leave: chance(2).max(0.000_001), loss: chance(3) }),
            delay: Duration::from_micros(times[0]),
            jitter: Duration::from_micros(times[1]),
            rate: rate.unwrap_or(0) * 125,
            queue: if limited { sizes[0] } else { Impairment::QUEUE },
            ce_threshold: if limited { sizes[1] } else { 0 },
            reorder: chance(4),
            reorder_delay: Duration::from_micros(times[2]),
            duplicate: chance(5),
            corrupt: chance(6),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(impairment in impairments()) {
        let text = impairment.to_string();
        prop_assert_eq!(text.parse(), Ok(impairment), "{}", text);
    }

    #[test]
    fn any_text_is_an_impairment_or_a_named_error(text in "\\PC{0,40}", key in "[a-z]{0,9}", value in "\\PC{0,12}") {
        drop(text.parse::<Impairment>());
        drop(format!("{key}={value}").parse::<Impairment>());
    }
}
