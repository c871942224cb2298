//! `tcpd demo`: every step happens.

mod common {
    pub(crate) mod tcpctl;
}

use std::process::Command;

#[test]
fn the_tour_reaches_its_end_and_shows_every_step() {
    common::tcpctl::tcpctl();
    let output = Command::new(env!("CARGO_BIN_EXE_tcpd"))
        .arg("demo")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{}: {errors}\n{said}",
        output.status
    );
    for shown in [
        "ESTABLISHED",
        "tcpd: worker echo",
        "TIME-WAIT",
        "Connection refused",
        "Connection reset",
        "the program heard",
        "What to try next",
    ] {
        assert!(said.contains(shown), "no {shown:?} in\n{said}");
    }
}

#[test]
fn a_step_that_does_not_happen_ends_the_tour_with_its_reason() {
    let over = std::env::temp_dir().join(format!("tcpd-demo-{}.toml", std::process::id()));
    let echo = "[[service]]\nname = \"echo\"\nhandler = \"echo\"\nport = 7\nenabled = false\n";
    std::fs::write(&over, echo).unwrap();
    let program = env!("CARGO_BIN_EXE_tcpd");
    let output = Command::new(program)
        .args(["sandbox", "--config"])
        .arg(&over)
        .args(["--", program, "demo", "--inside"])
        .output()
        .unwrap();
    std::fs::remove_file(&over).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{errors}");
    assert!(
        errors.contains("demo: connect to 198.18.0.2:7: Connection refused"),
        "{errors}"
    );
}
