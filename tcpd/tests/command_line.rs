//! The command line: what each wrong way of calling tcpd says, and with what exit code it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn tcpd(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpd"));
    command.args(arguments).output().expect("run tcpd")
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of a test's own, removed with it.
struct File(PathBuf);

impl File {
    fn with(name: &str, text: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("tcpd-cli-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).expect("the temporary directory is writable");
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// `tcpd check` and `tcpd run` both refuse the file with this one message.
fn refused(name: &str, text: &str, message: &str) {
    let file = File::with(name, text);
    let message = format!("{}{message}\n", file.name());
    for arguments in [
        &["check", file.name()][..],
        &["run", "--config", file.name()][..],
    ] {
        let output = tcpd(arguments);
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        assert_eq!(said(&output.stderr), message, "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_bad_configuration_is_one_message_a_problem_and_exit_78() {
    refused(
        "unknown",
        "[log]\nlevle = \"debug\"\n",
        ":2: log.levle = \"debug\": unknown key; allowed: level, to, directory, rotation, keep",
    );
    refused(
        "type",
        "[device]\nmtu = \"1400\"\n",
        ":2: device.mtu = \"1400\": not an integer; allowed: an integer from 1280 to 65535",
    );
    refused(
        "fraction",
        "[device]\nmtu = 1400.7\n",
        ":2: device.mtu = 1400.7: not an integer; allowed: an integer from 1280 to 65535",
    );
    refused(
        "port",
        "[[service]]\nname = \"echo\"\nport = 70000\nhandler = \"echo\"\n",
        ":3: service.echo.port = 70000: too large; allowed: an integer from 1 to 65535",
    );
    let echo = "[[service]]\nname = \"echo\"\nhandler = \"echo\"\nport = ";
    refused(
        "duplicate",
        &format!("{echo}7\n{echo}8\n"),
        &format!(
            ":6: service.echo.name = \"echo\": a second service of this name; the first: {}:2; \
             allowed: a name of its own for each service",
            std::env::temp_dir()
                .join(format!("tcpd-cli-{}-duplicate.toml", std::process::id()))
                .display()
        ),
    );
}

#[test]
fn a_missing_file_is_one_message_and_exit_78() {
    let output = tcpd(&["check", "/nonexistent/tcpd.toml"]);
    assert_eq!(output.status.code(), Some(78));
    let message =
        "/nonexistent/tcpd.toml: cannot be read: No such file or directory (os error 2)\n";
    assert_eq!(said(&output.stderr), message);
}

#[test]
fn every_problem_of_a_file_is_said() {
    let file = File::with("many", "[tcp]\nmsl = 30\n[device]\nmtu = 1\n");
    let output = tcpd(&["check", file.name(), "--set", "tcp.nagle=perhaps"]);
    assert_eq!(
        (output.status.code(), said(&output.stderr).lines().count()),
        (Some(78), 3),
        "{output:?}"
    );
}

#[test]
fn the_shipped_file_is_good() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc/tcpd.toml");
    let output = tcpd(&["check", shipped.to_str().expect("a path in UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    assert!(said(&output.stdout).ends_with(": good, 0 service(s)\n"));
}

#[test]
fn variables_are_checked_too() {
    let file = File::with("variables", "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpd"));
    let output = command
        .args(["check", file.name()])
        .env("TCPD_TCP__MSL", "5")
        .output()
        .expect("run tcpd");
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(
        said(&output.stderr),
        "environment: TCPD_TCP__MSL = \"5\": not a duration; \
         allowed: a duration from \"1ms\" to \"10min\" (us, ms, s, min, h, d)\n"
    );
}

#[test]
fn a_wrong_command_line_is_exit_64_and_help_is_0() {
    for wrong in [&["fly"][..], &["run", "--fast"], &[]] {
        assert_eq!(tcpd(wrong).status.code(), Some(64), "{wrong:?}");
    }
    let help = tcpd(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(said(&help.stdout).contains("75  a daemon runs already"));
    assert!(!said(&help.stdout).contains("spawner"));
}
