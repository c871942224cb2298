//! Every script under `tests/scripts`, and that the runner finds what is wrong.

use std::path::{Path, PathBuf};

use tcpd_core::sim::script::Script;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// Every script, by path.
fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).expect("the folder of scripts can be read");
        for entry in entries {
            let path = entry.expect("an entry of the folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pkt") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Runs a script under several seeds, which place the sequence numbers of both sides elsewhere.
fn run(path: &Path) -> Result<(), String> {
    let name = path
        .strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string();
    let text = std::fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
    let script = Script::parse(&name, &text).map_err(|error| format!("{name}:{error}"))?;
    if !cites_a_rule(&script.title) {
        return Err(format!(
            "{name}:1:1: expected the rule in the first line, as `// RFC 9293 §3.5: …`"
        ));
    }
    for seed in 1..=3 {
        script
            .run(seed)
            .map_err(|failure| format!("{failure}(seed {seed})\n"))?;
    }
    Ok(())
}

/// "Document section …: sentence".
fn cites_a_rule(title: &str) -> bool {
    let known = ["RFC ", "design §", "tcp-requirements §", "draft-"];
    known.iter().any(|start| title.starts_with(start)) && title.contains(": ")
}

#[test]
fn every_script_holds() {
    let scripts = scripts();
    assert!(scripts.len() >= 60, "only {} scripts found", scripts.len());
    let failures: Vec<String> = scripts.iter().filter_map(|path| run(path).err()).collect();
    assert!(
        failures.is_empty(),
        "{} of {} scripts failed:\n\n{}\nto see one: cargo xtask script tcpd/core/tests/scripts/FILE",
        failures.len(),
        scripts.len(),
        failures.join("\n")
    );
}
