use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use super::all;

#[test]
fn the_pages_in_the_tree_are_what_is_made_of_command_lines_and_configuration() {
    for (path, text) in all().expect("pages") {
        let found = fs::read_to_string(crate::root().join(&path)).unwrap_or_default();
        assert!(
            found == text,
            "{path} is out of date: `cargo xtask pages` makes it again"
        );
    }
}

#[test]
fn groff_finds_nothing_to_say_about_the_manual_pages() {
    let pages = all().expect("pages");
    let pages: Vec<_> = pages
        .iter()
        .filter(|(path, _)| path.contains("/man/"))
        .collect();
    assert_eq!(pages.len(), 3);
    for (path, text) in pages {
        assert_eq!(groff(text).1, "", "{path}");
    }
    let (_, said) = groff(".TH a 1\n.SH B\n.XX\n");
    assert!(said.contains("XX"), "it would say something: {said:?}");
}

#[test]
fn the_manual_pages_have_every_command_option_and_key() {
    let pages = all().expect("pages");
    let page = |name: &str| {
        let (_, text) = pages
            .iter()
            .find(|(path, _)| path.ends_with(name))
            .expect("a page");
        groff(text).0
    };
    for (name, words) in [
        (
            "tcpd.8",
            &[
                "tcpd run",
                "tcpd check",
                "tcpd scenario",
                "--config",
                "SIGUSR1",
                "configuration is wrong",
            ][..],
        ),
        (
            "tcpctl.1",
            &[
                "tcpctl list",
                "--listening",
                "Recv-Q",
                "68  no connection",
                "TCPD_SOCKET",
            ][..],
        ),
        (
            "tcpd.toml.5",
            &[
                "shutdown_grace = \"10s\"",
                "THE TABLE [tcp]",
                "rto_max = \"60s\"",
                "[[service]]",
                "max_workers",
            ][..],
        ),
    ] {
        let text = page(name);
        for word in words {
            assert!(text.contains(word), "{name}: no {word:?} in:\n{text}");
        }
        assert!(!text.contains("spawner"), "{name}");
    }
    let file = fs::read_to_string(crate::root().join("etc/tcpd.toml")).expect("the file");
    let text = page("tcpd.toml.5");
    let keys = file
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    for key in keys {
        assert!(text.contains(key), "no {key:?} in:\n{text}");
    }
}

#[test]
fn bash_can_read_its_completions() {
    for (path, text) in all().expect("pages") {
        if path.ends_with(".bash") {
            let output = fed(Command::new("bash").arg("-n"), &text);
            assert!(output.status.success(), "{path}: {output:?}");
        }
    }
}

/// The page as a terminal of 100 columns shows it, and what groff finds wrong with it.
fn groff(page: &str) -> (String, String) {
    let mut command = Command::new("groff");
    command.args(["-man", "-Tutf8", "-Kutf8", "-ww", "-rLL=100n", "-P-cbou"]);
    let output = fed(&mut command, page);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\u{2010}', "-");
    (text(&output.stdout), text(&output.stderr))
}

/// Runs a filter.
fn fed(command: &mut Command, input: &str) -> std::process::Output {
    let program = command.get_program().to_owned();
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("{program:?} is needed for this test (Debian: apt-get install groff-base): {error}")
    });
    let mut stdin = child.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()).expect("it reads"));
        child.wait_with_output().expect("it ends")
    })
}
