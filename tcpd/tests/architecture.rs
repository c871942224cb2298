//! ARCHITECTURE.md names files; this holds that they exist, so that the page cannot point to what was moved or never written.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_file_named_in_the_architecture_page_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let page = fs::read_to_string(root.join("tcpd/ARCHITECTURE.md")).expect("tcpd/ARCHITECTURE.md");
    let mut named = 0;
    for (number, line) in page.lines().enumerate() {
        // `ipv6.rs` after `tcpd/core/src/wire/ipv4.rs` stands in the same folder.
        let mut folder = PathBuf::new();
        for name in in_backticks(line).filter(|name| is_file_or_folder(name)) {
            let path = match name.split_once('/') {
                Some(_) => PathBuf::from(name),
                None => folder.join(name),
            };
            assert!(
                root.join(&path).exists(),
                "tcpd/ARCHITECTURE.md:{}: there is no {}",
                number + 1,
                path.display()
            );
            folder = path.parent().map(Path::to_owned).unwrap_or_default();
            named += 1;
        }
    }
    assert!(
        named > 50,
        "only {named} files were found on the page: has its form changed?"
    );
}

fn in_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Code like `Stack::receive` is no file; `foo.rs` and `foo/` of the page's own prose are no files either.
fn is_file_or_folder(name: &str) -> bool {
    let ours = [
        "tcpd/",
        "libtcpclient/",
        "tcpctl/",
        "etc/",
        "systemd/",
        ".ci/",
        ".cargo/",
    ];
    let bare = name.ends_with(".rs") && !name.contains('/') && name != "foo.rs";
    (bare || ours.iter().any(|folder| name.starts_with(folder))) && !name.contains(' ')
}
