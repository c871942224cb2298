//! A bad network, played by the daemon to its own packets, with the kernel's TCP at the other end.

use std::io::{Read, Write};
use std::process::Command;
use std::time::Duration;

use libtcpclient::client::error::SessionError;
use libtcpclient::protocol::status::ImpairmentRow;
use libtcpclient::protocol::{ErrorCode, Filter, Impair, ImpairDirection, Impaired};
use libtcpclient::{Builder, Session};
use tcpd::system::clock;

use crate::common::daemon::{Daemon, HOST_V4, HOST_V6};
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{accept, connect, connect_to, exchange, ours, passes, passes_many};
use crate::common::tcp_info::tcp_info;
use crate::common::tcpctl::tcpctl;

const MANY: usize = 1 << 20;

fn impair(daemon: &Daemon, direction: ImpairDirection, packets: Impaired, words: Option<&str>) {
    try_impair(daemon, direction, packets, words).expect("impaired");
}

fn try_impair(
    daemon: &Daemon,
    direction: ImpairDirection,
    packets: Impaired,
    words: Option<&str>,
) -> Result<(), SessionError> {
    daemon.control().impair(Impair {
        direction,
        packets,
        impairment: words.map(str::to_owned),
        seed: None,
    })
}

fn rows(daemon: &Daemon) -> Vec<ImpairmentRow> {
    let mut control = daemon.control();
    let rows = control.impairments();
    rows.map(|row| row.expect("a row")).collect()
}

/// Nothing holds it up; what holds a byte up once in a while is the machine.
fn is_quick(ours: &mut (impl Read + Write), theirs: &mut (impl Read + Write)) {
    wait_for("quick round trip", 20, || {
        (round_trip(ours, theirs) < Duration::from_millis(300)).then_some(())
    });
}

/// What the machine may add to a round trip that packets wait in: two wake-ups, and what is done at either end.
const MACHINES: Duration = Duration::from_millis(10);

/// The kernel measures a round trip of `wanted` and hardly more, by the handshake of a new connection; a machine that has other things to
/// do may need several.
fn takes_no_longer(session: &Session, wanted: Duration) {
    wait_for("round trip that takes no longer than it should", 20, || {
        let (_ours, theirs) = accept(session);
        let measured = Duration::from_micros(tcp_info(&theirs).tcpi_rtt.into());
        assert!(measured >= wanted, "{measured:?}");
        (measured < wanted + MACHINES).then_some(())
    });
}

/// How long a byte takes there and back.
fn round_trip(ours: &mut (impl Read + Write), theirs: &mut (impl Read + Write)) -> Duration {
    let begun = clock::now();
    passes(ours, theirs);
    passes(theirs, ours);
    clock::now().duration_since(begun)
}

#[test]
fn one_percent_of_loss_each_way_costs_no_byte_and_is_counted() {
    in_namespace(|| {
        let set = ["impair.in=loss=1%", "impair.out=loss=1%"];
        let daemon = Daemon::start_with("", &set);
        let session = daemon.session();
        for host in [HOST_V4, HOST_V6] {
            let (ours, theirs) = connect_to(&session, host);
            exchange(&ours, &theirs, MANY);
        }
        let rows = rows(&daemon);
        let ways: Vec<&str> = rows.iter().map(|row| row.direction.as_str()).collect();
        assert_eq!(ways, ["in", "out"]);
        for row in rows {
            assert!(row.configured);
            // Two times a mebibyte in packets of the link, not in super-segments.
            assert!(row.packets_in > 1_400, "{row:?}");
            assert!((4..60).contains(&row.lost), "{row:?}");
            assert_eq!(
                row.packets_in,
                row.lost + row.delivered + row.held,
                "{row:?}"
            );
        }
    });
}

#[test]
fn everything_at_once_costs_no_byte() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let words = "loss=0.5% burst=0.2%:40% delay=1ms jitter=1ms rate=200mbit reorder=1%:2ms duplicate=1% corrupt=1%";
        impair(
            &daemon,
            ImpairDirection::Both,
            Impaired::Everything,
            Some(words),
        );
        let session = daemon.session();
        let (ours, theirs) = connect(&session);
        exchange(&ours, &theirs, MANY);
        for row in rows(&daemon) {
            assert_eq!(row.impairment, words);
            assert!(
                row.lost > 0 && row.reordered > 0 && row.duplicated > 0,
                "{row:?}"
            );
            assert!(row.corrupted > 0, "{row:?}");
        }
        // What came damaged was seen by its checksum, or damaged a header that says so itself.
        assert!(daemon.counter("tcp-checksum") > 0);
    });
}

#[test]
fn a_rate_and_a_delay_are_kept_and_clear_ends_both() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut ours, mut theirs) = connect(&session);
        is_quick(&mut ours, &mut theirs);

        let both = ImpairDirection::Both;
        impair(&daemon, both, Impaired::Everything, Some("delay=200ms"));
        assert!(round_trip(&mut ours, &mut theirs) >= Duration::from_millis(400));
        takes_no_longer(&session, Duration::from_millis(400));
        impair(&daemon, both, Impaired::Everything, None);
        assert!(rows(&daemon).is_empty());
        is_quick(&mut ours, &mut theirs);

        // 8 Mbit/s are a million bytes a second, headers included.
        let out = ImpairDirection::Out;
        impair(
            &daemon,
            out,
            Impaired::Everything,
            Some("rate=8mbit queue=1MiB"),
        );
        let begun = clock::now();
        passes_many(&ours, &theirs, MANY);
        let took = clock::now().duration_since(begun);
        assert!(took >= Duration::from_millis(1_048), "{took:?}");
        impair(&daemon, out, Impaired::Everything, None);
    });
}

#[test]
fn only_the_connection_or_the_peer_that_was_named_suffers() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut slow, mut slow_end) = connect(&session);
        let (mut quick, mut quick_end) = connect(&session);
        let id = slow.status().expect("a status").row.id;
        let slowed = || Impaired::Connection(id.clone());
        let out = ImpairDirection::Out;
        impair(&daemon, out, slowed(), Some("delay=400ms"));
        assert!(round_trip(&mut slow, &mut slow_end) >= Duration::from_millis(400));
        is_quick(&mut quick, &mut quick_end);
        let named: Vec<String> = rows(&daemon).into_iter().map(|row| row.packets).collect();
        assert_eq!(named, [format!("connection {id}")]);

        // An exemption for the connection from what its peer suffers.
        impair(&daemon, out, slowed(), Some("loss=0%"));
        let peer = Impaired::Peer {
            address: HOST_V4.parse().expect("an address"),
            prefix: 24,
        };
        impair(&daemon, out, peer.clone(), Some("delay=400ms"));
        is_quick(&mut slow, &mut slow_end);
        assert!(round_trip(&mut quick, &mut quick_end) >= Duration::from_millis(400));
        impair(&daemon, out, peer, None);
        is_quick(&mut quick, &mut quick_end);
    });
}

#[test]
fn what_makes_no_sense_is_refused_with_what_is_allowed_and_changes_nothing() {
    in_namespace(|| {
        let daemon = Daemon::start_with("", &["impair.out=delay=1ms"]);
        let before = rows(&daemon);
        let everything = || Impaired::Everything;
        let unknown = || Impaired::Connection("1234.1".to_owned());
        let nobody = || Impaired::Peer {
            address: "192.0.2.1".parse().expect("an address"),
            prefix: 32,
        };
        let session = daemon.session();
        let builder = Builder::new().session(&session);
        let _listening = builder.listen(ours(5000)).expect("tcpd listens");
        let mut control = daemon.control();
        let row = control
            .listeners(&Filter::default())
            .next()
            .expect("a listener");
        let listener = || Impaired::Connection(row.as_ref().expect("a row").id.clone());
        let bad = ErrorCode::BadRequest;
        for (packets, words, code, says) in [
            (everything(), Some("loss=120%"), bad, "from 0% to 100%"),
            (everything(), Some("delay=-5ms"), bad, "from 0s to 60s"),
            (
                everything(),
                Some("rate=0mbit"),
                bad,
                "from 1kbit to 100gbit",
            ),
            (everything(), Some("luck=1%"), bad, "settings are loss=1%"),
            (nobody(), None, bad, "nothing is impaired for 192.0.2.1/32"),
            (unknown(), Some("loss=1%"), ErrorCode::NoSuchConnection, ""),
            (listener(), Some("loss=1%"), bad, "is a listener"),
        ] {
            let error = try_impair(&daemon, ImpairDirection::Both, packets, words);
            let Err(SessionError::Refused(failure)) = error else {
                panic!("{words:?}: {error:?}")
            };
            assert_eq!(failure.code, code, "{failure:?}");
            assert!(failure.detail.contains(says), "{failure:?}");
        }
        let after = rows(&daemon);
        assert_eq!(after.len(), 1);
        assert_eq!(after[0].impairment, before[0].impairment);
    });
}

#[test]
fn a_reload_changes_what_the_configuration_says_and_nothing_else() {
    in_namespace(|| {
        let daemon = Daemon::start("[impair]\nin = \"delay=1ms\"\nout = \"delay=2ms\"\n");
        let connection = Impaired::Peer {
            address: "192.0.2.0".parse().expect("an address"),
            prefix: 24,
        };
        impair(&daemon, ImpairDirection::In, connection, Some("loss=5%"));
        let file = daemon.directory().join("tcpd.toml");
        let write = |text: &str| std::fs::write(&file, text).expect("write the configuration");
        let told = || -> Vec<String> {
            let rows = rows(&daemon).into_iter();
            rows.map(|row| format!("{} {} {}", row.packets, row.direction, row.impairment))
                .collect()
        };

        write("[impair]\nin = \"loss=120%\"\n");
        let error = daemon.control().reload().expect_err("refused");
        assert!(error.to_string().contains("from 0% to 100%"), "{error}");
        let before = [
            "192.0.2.0/24 in loss=5%",
            "everything in delay=1ms",
            "everything out delay=2ms",
        ];
        assert_eq!(told(), before);

        write("[impair]\nin = \"delay=1ms\"\npeers = [\"198.18.0.0/24 out loss=2%\"]\n");
        let done = daemon.control().reload().expect("reloaded");
        assert_eq!(done.settings, ["impair.out", "impair.peers"]);
        let after = [
            "192.0.2.0/24 in loss=5%",
            "198.18.0.0/24 out loss=2%",
            "everything in delay=1ms",
        ];
        assert_eq!(told(), after);
    });
}

#[test]
fn tcpctl_sets_shows_and_clears() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let run = |words: &str| {
            let mut command = Command::new(tcpctl());
            command.arg("--socket").arg(daemon.socket());
            let output = command.args(words.split(' ')).output().expect("run tcpctl");
            let text = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8(text).expect("text"))
        };
        let nothing = (Some(0), "nothing is impaired\n".to_owned());
        assert_eq!(run("impair"), nothing);
        let set = "impair set --peer 198.18.0.0/24 --in --seed 7 loss=1% delay=20ms";
        assert_eq!(run(set), (Some(0), String::new()));
        let (code, text) = run("impair show");
        assert_eq!(code, Some(0));
        assert!(text.contains("198.18.0.0/24"), "{text}");
        assert!(text.contains("loss=1% delay=20ms"), "{text}");
        assert_eq!(rows(&daemon)[0].seed, 7);
        let (code, text) = run("impair set loss=120%");
        assert_eq!(code, Some(64), "{text}");
        assert!(text.contains("from 0% to 100%"), "{text}");
        assert_eq!(run("impair clear"), (Some(0), String::new()));
        assert_eq!(run("impair"), nothing);
    });
}
