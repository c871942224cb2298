use super::*;

fn target(corpus: &Path) -> Target<'_> {
    Target {
        name: "test",
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
