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
    let known = ["RFC ", "tcpd: ", "tcpd (", "draft-"];
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

/// A passive open up to the accepted connection 4, from line 2 to line 8.
const OPEN: &str = "\
 0    socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0    bind(3, ..., ...) = 0
+0    listen(3, 5) = 0
+.1   < S 0:0(0) win 65535 <mss 1000>
+0    > S. 0:0(0) ack 1 <mss 1460>
+.1   < . 1:1(0) ack 1 win 65535
+0    accept(3, ..., ...) = 4
";

/// What is wrong with a script that begins with `settings`, opens a connection and goes on with `rest` (from line 9).
fn failure(settings: &str, rest: &str) -> String {
    let text = format!("{settings}\n{OPEN}{rest}\n");
    let script =
        Script::parse("wrong.pkt", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    match script.run(1) {
        Ok(report) => panic!("it held:\n{text}\n{}", report.ladder.render()),
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn a_script_that_the_stack_does_not_follow_fails_at_the_line_and_says_why() {
    for (rest, place, why) in [
        // Packets that differ, field by field.
        (
            "+.1 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1",
            "10:6",
            "differs in flags",
        ),
        (
            "+.1 write(4, ..., 10) = 10\n+0 > P. 1:12(11) ack 1",
            "10:6",
            "differs in seq",
        ),
        (
            "+.1 write(4, ..., 10) = 10\n+0 > P. 2:12(10) ack 1",
            "10:6",
            "differs in seq",
        ),
        (
            "+.1 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 2",
            "10:6",
            "differs in ack",
        ),
        (
            "+.1 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 win 7",
            "10:6",
            "differs in win",
        ),
        (
            "+.1 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 urg 1",
            "10:6",
            "differs in urg",
        ),
        (
            "+.1 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 <mss 5>",
            "10:6",
            "differs in options",
        ),
        (
            "+.1 write(4, ..., 10) = 10\n+0 > [peer 2] P. 1:11(10) ack 1",
            "10:6",
            "differs in peer",
        ),
        (
            "+.1 write(4, ..., 10) = 10\n+0 > [from_port 9] P. 1:11(10) ack 1",
            "10:6",
            "differs in from port",
        ),
        (
            "+.1 write(4, ..., 10) = 10\n+0 > icmp echo_reply id 1 seq 1 (0)",
            "10:6",
            "differs in packet",
        ),
        // Time.
        (
            "+.1 write(4, ..., 10) = 10\n+.1 > P. 1:11(10) ack 1",
            "10:7",
            "differs in time",
        ),
        (
            "+.1 < P. 1:11(10) ack 1\n+.02 > . 1:1(0) ack 11",
            "10:8",
            "expected a packet until 0.320000, the stack sent none",
        ),
        (
            "+.1 < P. 1:11(10) ack 1\n+.01~+.03 > . 1:1(0) ack 11",
            "10:13",
            "expected a packet until",
        ),
        // Packets that nobody expects.
        (
            "+.1 write(4, ..., 10) = 10\n+.1 state(4) = ESTABLISHED",
            "10:1",
            "the stack sent one packet more at 0.300000",
        ),
        (
            "+.1 < P. 1:11(10) ack 1\n+.1 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 11",
            "11:6",
            "differs in time, flags, seq",
        ),
        (
            "+.1 write(4, ..., 10) = 10\n+.1 >? P. 1:12(11) ack 1",
            "10:1",
            "the stack sent one packet more",
        ),
        // Calls.
        ("+0 read(4, ..., 10) = 10", "9:1", "the call would block"),
        (
            "+0 fcntl(4, F_SETFL, O_NONBLOCK) = 0\n+0 read(4, ..., 10) = 10",
            "10:1",
            "expected read = 10, it gave -1 EAGAIN",
        ),
        (
            "+0 close(7) = 0",
            "9:1",
            "expected close = 0, it gave -1 EBADF",
        ),
        (
            "+0 write(4, ..., 10) = -1 EPIPE",
            "9:1",
            "expected write = -1 EPIPE, it gave 10",
        ),
        (
            "+0 shutdown(3, SHUT_WR) = -1 EPIPE",
            "9:1",
            "expected shutdown = -1 EPIPE, it gave -1 ENOTCONN",
        ),
        (
            "+0...1 read(4, ..., 10) = 10\n1 < . 1:1(0) ack 1",
            "9:1",
            "has not returned",
        ),
        (
            "0.2...0.5 read(4, ..., 10) = 10\n1 < P. 1:11(10) ack 1",
            "9:1",
            "expected the call to return at 0.500000",
        ),
        (
            "0.2...1 read(4, ..., 10) = 10\n0.5 < P. 1:11(10) ack 1",
            "9:1",
            "expected the call to return at 1.000000, it returned at 0.500000",
        ),
        (
            "+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [ECONNRESET], [4]) = 0",
            "9:1",
            "expected getsockopt to find",
        ),
        // States and assertions.
        (
            "+0 state(4) = CLOSE-WAIT",
            "9:1",
            "expected state = CLOSE-WAIT, it gave ESTABLISHED",
        ),
        (
            "+0 %{ assert snd_cwnd == 1 }%",
            "9:4",
            "expected snd_cwnd == 1, it is 10000",
        ),
        (
            "+0 %{ assert frob == 1 }%",
            "9:4",
            "expected state, end, end_timer, ecn, ce_in, ece_in, ecn_reductions, snd_una",
        ),
    ] {
        let found = failure("// RFC 9293", rest);
        let first = found.lines().next().unwrap_or_default();
        assert!(
            first.starts_with(&format!("wrong.pkt:{place}: ")) && first.contains(why),
            "{rest}\n  wanted {place} … {why}\n  found  {first}"
        );
    }
}

#[test]
fn a_failure_shows_both_packets_side_by_side_and_the_ladder() {
    let found = failure(
        "// RFC 9293",
        "+.1 write(4, ..., 10) = 10\n+0 > P. 1:12(11) ack 1",
    );
    let lines: Vec<&str> = found.lines().collect();
    for line in [
        "* seq         1:12(11)  1:11(10)",
        "  flags       P.        P.",
        "  time        0.300000  0.300000",
    ] {
        assert!(lines.contains(&line), "{line} is missing in\n{found}");
    }
    assert!(
        found.contains("SYN-RECEIVED ◀─ S  0(0) win 65535 <mss 1000>"),
        "{found}"
    );
    assert!(
        found.contains("── P. 1(10) ack 1 win 65535") && found.contains("not expected"),
        "{found}"
    );
}

#[test]
fn settings_that_there_are_not_are_refused_with_their_place() {
    for (text, message) in [
        ("--set frob=1\n0 close(3) = 0", "1:1: expected ip_version"),
        (
            "// rule\n--set msl=1400.7\n0 close(3) = 0",
            "2:1: msl: expected a value that fits",
        ),
        (
            "--ip_version=ipv5\n0 close(3) = 0",
            "1:1: ip_version: expected ipv4 or ipv6, found `ipv5`",
        ),
    ] {
        let error = Script::parse("settings.pkt", text)
            .expect_err("it is wrong")
            .to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
