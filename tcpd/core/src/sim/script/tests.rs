//! The language: what is read, and what is refused with which words.

use std::time::Duration;

use super::Script;
use super::compare::compare;
use super::flow::{Flow, pattern};
use super::frame::{self, Seen, Segment};
use super::syntax::{Action, Body, Call, Options, Stamp, TcpOption, Wanted, When};
use crate::wire::{Flags, IpAddresses, protocol};

fn parse(text: &str) -> Script {
    Script::parse("test", text).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(text: &str) -> String {
    match Script::parse("test", text) {
        Ok(_) => panic!("was read: {text}"),
        Err(error) => error.to_string(),
    }
}

fn tcp(script: &Script, event: usize) -> &super::syntax::TcpPacket {
    match &script.events[event].action {
        Action::Inject(packet) | Action::Expect { packet, .. } => match &packet.body {
            Body::Tcp(tcp) => tcp,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_time_is_read() {
    let script = parse(
        "0.100 state() = CLOSED\n+.1 state() = CLOSED\n+0.1~+0.2 > . 1:1(0) ack 1\n1~2.5 > . 1:1(0) ack 1\n* > . 1:1(0) ack 1",
    );
    let ms = Duration::from_millis;
    let times: Vec<When> = script.events.iter().map(|event| event.when).collect();
    assert_eq!(
        times,
        [
            When::At(ms(100)),
            When::After(ms(100)),
            When::AfterBetween(ms(100), ms(200)),
            When::Between(ms(1000), ms(2500)),
            When::Any,
        ]
    );
}

#[test]
fn flags_numbers_window_and_options_of_a_packet_are_read() {
    let script = parse(
        "0 < SEW 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>\n\
         +0 > PU. 1:1001(1000) ack 4294967295 win 0 urg 5 <nop,nop,TS val any ecr 100>\n\
         +0 > R 1:1(0) <...>\n+0 < . 1:1(0) ack 1 <sack 1:2 3:4,raw \"fd04 ffff\",eol>\n+0 < - 7:7(0)",
    );
    let syn = tcp(&script, 0);
    assert_eq!(syn.flags, Flags::SYN | Flags::ECE | Flags::CWR);
    assert_eq!(syn.window, Some(65535));
    assert_eq!(
        syn.options,
        Options::These(vec![
            TcpOption::Mss(1460),
            TcpOption::SackPermitted,
            TcpOption::Timestamps {
                value: Stamp::Number(100),
                echo: Stamp::Number(0)
            },
            TcpOption::Nop,
            TcpOption::WindowScale(7),
        ])
    );
    let data = tcp(&script, 1);
    assert_eq!(
        (data.seq, data.length, data.ack, data.urgent),
        (1, 1000, Some(u32::MAX), Some(5))
    );
    assert_eq!(tcp(&script, 2).options, Options::Any);
    assert_eq!(
        tcp(&script, 3).options,
        Options::These(vec![
            TcpOption::Sack(vec![(1, 2), (3, 4)]),
            TcpOption::Raw(vec![0xfd, 4, 0xff, 0xff]),
            TcpOption::End
        ])
    );
    assert_eq!(tcp(&script, 4).flags, Flags::NONE);
}

#[test]
fn calls_results_and_errors_are_read() {
    let script = parse(
        "0.1...0.2 connect(3, ..., ...) = -1 ECONNREFUSED (Connection refused)\n\
         +0 read(4, ..., 1000) = 500\n+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n\
         +0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0\n+0 state(4) = FIN-WAIT-2",
    );
    let calls: Vec<_> = script
        .events
        .iter()
        .map(|event| match &event.action {
            Action::Call(call) => call,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(calls[0].call, Call::Connect { fd: 3, peer: 1 });
    assert_eq!(calls[0].returns_at, Some(Duration::from_millis(200)));
    assert_eq!(calls[0].errno.map(|errno| errno.number), Some(111));
    assert_eq!(calls[1].wanted, Wanted::Integer(500));
    assert_eq!(
        calls[2].call,
        Call::SetFlags {
            fd: 4,
            nonblocking: true
        }
    );
    assert_eq!(calls[4].wanted, Wanted::State("FIN-WAIT-2".into()));
}

#[test]
fn the_first_line_is_the_title_and_settings_come_before_events() {
    let script = parse(
        "// RFC 9293 §3.4: a rule\n--set msl=60s rfc1337=true\n--mtu=1500 // note\n0 state() = CLOSED",
    );
    assert_eq!(script.title, "RFC 9293 §3.4: a rule");
    let settings: Vec<_> = script
        .settings
        .iter()
        .map(|setting| (setting.key.as_str(), setting.value.as_str()))
        .collect();
    assert_eq!(
        settings,
        [("msl", "60s"), ("rfc1337", "true"), ("mtu", "1500")]
    );
}

#[test]
fn errors_name_line_column_and_what_was_expected() {
    for (text, message) in [
        ("", "1:1: expected an event"),
        ("0 < S 0:0(0) win 70000", "1:18: expected a window"),
        ("0 < S 0:5(0)", "1:7: expected 0 + 0 = 0, found the end 5"),
        ("0 < S. 0:0(0)", "1:14: expected `ack N`"),
        ("0 < S 0:0(0) ack 1", "1:18: expected `.` among the flags"),
        ("0 < X 0:0(0)", "1:5: expected flags"),
        ("\n0 frob(3) = 0", "2:3: expected socket, bind"),
        (
            "0 read(3, 1) = 0",
            "1:3: read: expected 3 arguments, found 2",
        ),
        ("0 close(3) = -1 EFROB", "1:17: expected a known errno"),
        ("0 close(3) = -1", "1:16: expected an errno after -1"),
        ("0 < S 0:0(0) <...>", "1:15: expected options"),
        (
            "0 > . 1:1(0) ack 1 + 0",
            "1:20: expected the end of the line",
        ),
        (
            "+.2~+.1 > . 1:1(0) ack 1",
            "1:6: expected a range that ends",
        ),
        ("0...1 < . 1:1(0) ack 1", "1:1: expected a call after"),
        ("0 %{ frob }%", "1:3: expected `assert name == value`"),
        (
            "0 < icmp unreachable nowhere [1:1(0)]",
            "1:22: expected one of net, host",
        ),
        ("/* no end", "1:1: the comment is not closed"),
        (
            "0 < S 0:0(0) <mss 1460",
            "1:23: expected `>` after the options, found the end",
        ),
        (
            "--set msl\n0 close(3) = 0",
            "1:1: expected `--set key=value`",
        ),
        ("0 < S 99999999999:1(0)", "1:7: expected a sequence number"),
        ("0 @ 1", "1:3: expected a word, a number or a sign"),
    ] {
        let found = refused(text);
        assert!(
            found.starts_with(message),
            "{text}\n  wanted: {message}\n  found:  {found}"
        );
    }
}

#[test]
fn icmp_names_stand_for_the_numbers_of_the_ip_version() {
    for (text, kind, code, rest) in [
        ("0 < icmp unreachable port [1:1(0)]", 3, 3, 0),
        ("0 < icmp unreachable port_unreachable [1:1(0)]", 3, 3, 0),
        (
            "0 < icmp unreachable frag_needed mtu 1400 [1:1(0)]",
            3,
            4,
            1400,
        ),
        (
            "--ip_version=ipv6\n0 < icmp unreachable port [1:1(0)]",
            1,
            4,
            0,
        ),
        (
            "--ip_version=ipv6\n0 < icmp packet_too_big mtu 1280 [1:1(0)]",
            2,
            0,
            1280,
        ),
        ("0 < icmp echo_request id 1 seq 2 (56)", 8, 0, 0x1_0002),
        ("0 < icmp 3 code 13 [1:1(0)]", 3, 13, 0),
    ] {
        let script = parse(text);
        let Action::Inject(packet) = &script.events[0].action else {
            panic!("{text}");
        };
        let Body::Icmp(icmp) = &packet.body else {
            panic!("{text}");
        };
        assert_eq!(
            (icmp.kind, icmp.code, icmp.rest),
            (kind, code, rest),
            "{text}"
        );
    }
}

/// A segment of the stack's with ten bytes at 1, as the wire has it, and after `bend`.
fn differences(bend: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<&'static str>, String> {
    let addresses = IpAddresses {
        source: [198, 18, 0, 2].into(),
        destination: [198, 18, 0, 1].into(),
    };
    let segment = Segment {
        source_port: 8080,
        destination_port: 40_001,
        seq: 1,
        ack: 1,
        flags: Flags::PSH | Flags::ACK,
        window: 100,
        payload: (0..10).map(|position| pattern(true, position)).collect(),
        ..Segment::default()
    };
    let mut bytes = frame::ip(&addresses, protocol::TCP, 0, &segment.emit(&addresses));
    bend(&mut bytes);
    let seen = Seen::read(&bytes)?;
    let script = parse("0 > P. 1:11(10) ack 1 win 100");
    let Action::Expect { packet, .. } = &script.events[0].action else {
        panic!("no expected packet");
    };
    let mut flow = Flow::new(1, 8080, 0);
    let table = compare(&packet.attributes, &packet.body, &seen, &mut flow, 1);
    Ok(table.differences())
}

#[test]
fn a_packet_as_expected_does_not_differ() {
    assert_eq!(differences(|_| {}), Ok(vec![]));
}

#[test]
fn a_byte_that_was_not_written_at_its_place_is_found() {
    let swapped = differences(|bytes| {
        // Two words of the payload change places: the checksum stays right.
        bytes.swap(40, 44);
        bytes.swap(41, 45);
    });
    assert_eq!(swapped, Ok(vec!["payload"]));
}

#[test]
fn malformed_packets_of_the_stack_are_found_by_every_check() {
    type Bend = fn(&mut Vec<u8>);
    let cases: [(&str, Bend); 6] = [
        ("TCP checksum", |bytes| bytes[49] ^= 1),
        ("header checksum", |bytes| bytes[8] ^= 1),
        ("total length", |bytes| bytes.push(0)),
        ("without DF", |bytes| {
            bytes[6] = 0;
            bytes[10..12].fill(0);
            let sum = crate::wire::checksum::of(&bytes[..20]);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }),
        ("has options", |bytes| bytes[0] = 0x46),
        ("no IP packet", |bytes| bytes.truncate(10)),
    ];
    for (why, bend) in cases {
        let error = differences(bend).expect_err(why);
        assert!(error.contains(why), "{why}: {error}");
    }
}
