//! The files for Wireshark, read back: by a reader of pcapng, packet by packet with another parser's checksums, and by tshark.

use std::path::PathBuf;
use std::process::Command;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::pcapng::{Block, EnhancedPacketBlock};
use pcap_parser::{Linktype, OptionCode, parse_pcapng};

use super::{names, played, said, scenario};

fn written(arguments: &[&str]) -> Vec<u8> {
    let output = scenario(&[arguments, &["--pcap", "-"]].concat());
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}: {}",
        said(&output.stderr)
    );
    output.stdout
}

/// The packets of a file, after its head was looked at.
fn packets(bytes: &[u8]) -> Vec<EnhancedPacketBlock<'_>> {
    let (rest, file) = parse_pcapng(bytes).expect("pcapng");
    assert!(rest.is_empty(), "{} bytes are left", rest.len());
    assert_eq!(file.sections.len(), 1);
    let mut blocks = file.sections.into_iter().flat_map(|section| section.blocks);
    assert!(matches!(blocks.next(), Some(Block::SectionHeader(_))));
    let Some(Block::InterfaceDescription(interface)) = blocks.next() else {
        panic!("no interface")
    };
    assert_eq!(interface.linktype, Linktype::RAW);
    assert_eq!(interface.if_tsresol, 9);
    blocks
        .map(|block| match block {
            Block::EnhancedPacket(packet) => packet,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn comment(packet: &EnhancedPacketBlock<'_>) -> String {
    let comment = packet
        .options
        .iter()
        .find(|option| option.code == OptionCode::Comment);
    said(comment.expect("a comment").as_bytes().expect("its length"))
}

#[test]
fn every_packet_of_every_play_has_right_checksums_its_time_and_its_explanation() {
    for name in names().iter().filter(|name| *name != "fsm") {
        for family in [&[][..], &["--ipv6"]] {
            let arguments = [&[name.as_str()], family].concat();
            let (text, bytes) = (played(&arguments), written(&arguments));
            let packets = packets(&bytes);
            let shown = text.lines().filter(|line| line.contains("──")).count();
            assert!(packets.len() >= shown, "{name}");
            let mut before = 0;
            for packet in &packets {
                assert_right_checksums(name, &packet.data[..packet.caplen as usize]);
                let at = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                assert!(at >= before, "{name}: time goes on");
                before = at;
                assert!(
                    comment(packet).starts_with("left "),
                    "{name}: {}",
                    comment(packet)
                );
            }
        }
    }
}

fn assert_right_checksums(name: &str, packet: &[u8]) {
    let sliced = SlicedPacket::from_ip(packet).expect(name);
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
        panic!("{name}: no TCP")
    };
    let header = tcp.to_header();
    let right = match sliced.net {
        Some(NetSlice::Ipv4(ip)) => {
            let ip = ip.header().to_header();
            assert_eq!(ip.header_checksum, ip.calc_header_checksum(), "{name}");
            header.calc_checksum_ipv4(&ip, tcp.payload())
        }
        Some(NetSlice::Ipv6(ip)) => {
            header.calc_checksum_ipv6(&ip.header().to_header(), tcp.payload())
        }
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(tcp.checksum(), right.expect("a checksum"), "{name}");
}

#[test]
fn explanations_losses_and_forgeries_stand_in_the_comments() {
    let of = |name: &str| {
        let bytes = written(&[name]);
        packets(&bytes).iter().map(comment).collect::<Vec<_>>()
    };
    let handshake = of("three-way-handshake");
    assert_eq!(handshake.len(), 3);
    assert!(handshake[0].starts_with("left SYN-SENT, right SYN-RECEIVED. SYN: \"my numbers"));
    assert!(handshake[2].ends_with("[RFC 9293 §3.10.7.4]"));
    let lost = of("time-wait-duplicate-fin");
    assert_eq!(
        lost.iter()
            .filter(|comment| comment.contains("; lost on the way"))
            .count(),
        1
    );
    let attack = of("rst-attack");
    assert_eq!(
        attack
            .iter()
            .filter(|comment| comment.contains("; forged"))
            .count(),
        5
    );
}

/// A file of a test's own, removed with it.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn wireshark_reads_the_file_and_finds_nothing_wrong() {
    let name = format!("tcpd-scenario-{}.pcapng", std::process::id());
    let file = File(std::env::temp_dir().join(name));
    let path = file.0.to_str().expect("a path in UTF-8");
    played(&["four-way-close", "--pcap", path]);
    let output = Command::new("tshark")
        .args(["-r", path, "-o", "tcp.check_checksum:TRUE", "-T", "fields"])
        .args([
            "-e",
            "frame.time_relative",
            "-e",
            "tcp.flags.str",
            "-e",
            "tcp.checksum.status",
        ])
        .output()
        .expect("tshark is needed for this test (Debian: apt-get install tshark)");
    assert!(output.status.success(), "{}", said(&output.stderr));
    let out = said(&output.stdout);
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    let flags: Vec<String> = rows
        .iter()
        .map(|row| row[1].chars().filter(char::is_ascii_alphabetic).collect())
        .collect();
    assert_eq!(flags, ["S", "AS", "A", "AF", "A", "AF", "A"]);
    assert!(rows.iter().all(|row| row[2] == "1"), "{out}");
    assert!(rows[6][0].starts_with("1.340"), "{out}");
}
