//! Arrows point downwards only: `stack` knows `tcp`, both know `wire`, everybody knows `time` and `random`.
//! `impairment` stands beside the stack; neither knows the other.

use std::fs;
use std::path::{Path, PathBuf};

/// Every source file below `folder`, and `folder.rs`.
fn sources(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![root.join(format!("{folder}.rs"))];
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

fn assert_unknown(layer: &str, above: &[&str]) {
    for path in sources(layer) {
        let text = fs::read_to_string(&path).expect("readable");
        for name in above {
            assert!(
                !text.contains(&format!("crate::{name}")),
                "{} knows {name}",
                path.display()
            );
        }
    }
}

#[test]
fn no_layer_knows_one_above_it() {
    assert_unknown("tcp", &["stack", "impairment", "sim"]);
    assert_unknown("wire", &["tcp::", "stack", "impairment", "sim"]);
    assert_unknown("time", &["wire", "tcp", "stack", "impairment", "sim"]);
    assert_unknown("random", &["wire", "tcp", "stack", "impairment", "sim"]);
    assert_unknown("stack", &["impairment", "sim"]);
    assert_unknown("impairment", &["tcp::", "stack", "sim"]);
}
