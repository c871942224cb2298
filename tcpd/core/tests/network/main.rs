//! Several stacks behind one bottleneck: see `sim::network` for the path and for what is true of every stream over it.

use std::path::Path;

#[path = "../common"]
mod common {
    pub(crate) mod threads;
}

mod fairness;
mod goodput;
mod recovery;
mod seeds;

/// What is known: the table in `file` beside this, which becomes `now` when snapshots are blessed.
fn known(file: &str, now: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/network")
        .join(file);
    if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        std::fs::write(&path, now).expect("the table can be written");
    }
    std::fs::read_to_string(&path).expect("the table is there")
}
