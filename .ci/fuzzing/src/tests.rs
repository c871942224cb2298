use std::collections::BTreeSet;

use libtcpclient::protocol::{DecodeError, FromDaemon, Header, Request};

use super::*;

/// Kinds of which the codec knows something: their bodies are missing, or there is nothing in them.
fn known(decode: impl Fn(&[u8]) -> Option<DecodeError>) -> BTreeSet<u16> {
    let message = |kind: &[u8], number: u8| [kind, &[0, 0, number, 0, 0, 0]].concat();
    let all = (0..=u16::MAX).filter(|kind| {
        // What answers nothing has number 0, anything else has not.
        let decoded = [0, 1].map(|number| decode(&message(&kind.to_le_bytes(), number)));
        let is_unknown = |refusal| matches!(refusal, Some(DecodeError::UnknownKind(_)));
        !decoded.into_iter().any(is_unknown)
    });
    all.collect()
}

#[test]
fn there_is_a_message_of_every_kind() {
    let kinds = |messages: Vec<Vec<u8>>| -> BTreeSet<u16> {
        let headers = messages.iter().map(|message| Header::peek(message));
        headers
            .map(|header| header.expect("a header").kind)
            .collect()
    };
    let requests = messages::requests();
    let said = kinds(requests.iter().map(|request| request.encode(1)).collect());
    assert_eq!(said, known(|bytes| Request::decode(bytes).err()));
    let from_daemon = known(|bytes| FromDaemon::decode(bytes).err());
    let everything = said.union(&from_daemon).copied().collect::<BTreeSet<_>>();
    assert_eq!(kinds(messages::encoded()), everything);
    for message in messages::encoded() {
        let good = Request::decode(&message).is_ok() || FromDaemon::decode(&message).is_ok();
        assert!(good, "{message:?}");
    }
}

fn target(corpus: &Path) -> Target<'_> {
    Target {
        name: "test",
        seeds: Vec::new(),
        corpus: corpus.to_owned(),
        cases: 3000,
        longest: 16,
    }
}

fn corpus() -> PathBuf {
    let directory = std::env::temp_dir().join(format!("tcpd-fuzzing-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a temporary directory");
    fs::write(directory.join("seed"), b"GET").expect("a temporary file");
    directory
}

/// Step by step, each step something new that is said: bytes that a random search would never find at once.
#[test]
fn what_is_new_is_built_upon_until_it_breaks() {
    let corpus = corpus();
    let goal = b"GOTO";
    let mut longest = 0;
    let found = catch_unwind(AssertUnwindSafe(|| {
        let target = Target {
            cases: 1_000_000,
            ..target(&corpus)
        };
        target.run(|input| {
            assert!(input.len() <= 16);
            let right = input
                .iter()
                .zip(goal)
                .take_while(|(one, other)| one == other);
            longest = longest.max(right.clone().count());
            assert!(right.clone().count() < goal.len(), "found");
            right.count().to_string()
        });
    }));
    found.expect_err("it is found");
    assert_eq!(longest, 4);
    let written = workspace().join("target/fuzz");
    let kept = fs::read_dir(written).expect("a directory").flatten();
    let mut ours =
        kept.filter(|entry| fs::read(entry.path()).is_ok_and(|bytes| bytes.starts_with(goal)));
    let entry = ours.next().expect("the input is written down");
    fs::remove_file(entry.path()).expect("ours");
    fs::remove_dir_all(corpus).expect("ours");
}
