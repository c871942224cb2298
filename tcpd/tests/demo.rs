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
