//! The table of RFC 5927 with RFC 9293 §3.9.2.2 and RFC 5461: every ICMP error, for IPv4 and IPv6, in SYN-SENT, SYN-RECEIVED and
//! ESTABLISHED; genuine, about a number that is not outstanding, and about another pair.

use std::net::IpAddr;

use tcpd_core::stack::icmp::IcmpCause;
use tcpd_core::stack::{
    ConnectOptions, EndReason, EndpointId, ListenOptions, ReceiveMeta, StackConfig, State, Status,
};
use tcpd_core::time::Instant;
use tcpd_core::wire::{
    Flags, IpAddresses, IpFields, IpHeader, SequenceNumber, TcpOptions, TcpSegment, checksum,
    protocol,
};

use crate::common::packets::{packet, segment_packet};
use crate::wire::{TestStack, config, stack};

/// What an error does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    /// Remembered, told if the connection fails.
    Soft(IcmpCause),
    /// The same in synchronised states; while opening it ends the OPEN.
    Hard(EndReason, IcmpCause),
    /// The path's MTU.
    TooBig(u16),
    Nothing,
}

use Effect::{Hard, Nothing, Soft, TooBig};

/// Type, code, the word after the checksum, effect.
type Row = (u8, u8, u32, Effect);

const fn hard(cause: IcmpCause) -> Effect {
    Hard(EndReason::Unreachable(cause), cause)
}

const V4: &[Row] = &[
    (3, 0, 0, Soft(IcmpCause::Network)),
    (3, 1, 0, Soft(IcmpCause::Host)),
    (3, 2, 0, Hard(EndReason::Refused, IcmpCause::Protocol)),
    (3, 3, 0, Hard(EndReason::Refused, IcmpCause::Port)),
    (3, 5, 0, Soft(IcmpCause::Host)),
    (3, 6, 0, Soft(IcmpCause::Network)),
    (3, 7, 0, Soft(IcmpCause::Host)),
    (3, 8, 0, Soft(IcmpCause::Host)),
    (3, 9, 0, hard(IcmpCause::Prohibited)),
    (3, 10, 0, hard(IcmpCause::Prohibited)),
    (3, 11, 0, Soft(IcmpCause::Network)),
    (3, 12, 0, Soft(IcmpCause::Host)),
    (3, 13, 0, hard(IcmpCause::Prohibited)),
    (3, 14, 0, Soft(IcmpCause::Host)),
    (3, 15, 0, Soft(IcmpCause::Host)),
    (11, 0, 0, Soft(IcmpCause::TimeExceeded)),
    (11, 1, 0, Soft(IcmpCause::TimeExceeded)),
    (12, 0, 0, Soft(IcmpCause::ParameterProblem)),
    (12, 1, 0, Soft(IcmpCause::ParameterProblem)),
    // Source quench (RFC 6633) and redirects (RFC 1122 §3.2.2.2).
    (4, 0, 0, Nothing),
    (5, 0, 0, Nothing),
    (5, 1, 0, Nothing),
    // RFC 1191: below 68 nothing; 0 is an old router's, and means the next lower plateau; below the floor of 552 the floor; never up.
    (3, 4, 0, TooBig(1492)),
    (3, 4, 1, Nothing),
    (3, 4, 67, Nothing),
    (3, 4, 68, TooBig(552)),
    (3, 4, 300, TooBig(552)),
    (3, 4, 551, TooBig(552)),
    (3, 4, 552, TooBig(552)),
    (3, 4, 553, TooBig(553)),
    (3, 4, 1499, TooBig(1499)),
    (3, 4, 1500, Nothing),
    (3, 4, 9000, Nothing),
    (3, 4, 65_535, Nothing),
];

const V6: &[Row] = &[
    (1, 0, 0, Soft(IcmpCause::Network)),
    (1, 1, 0, hard(IcmpCause::Prohibited)),
    (1, 2, 0, Soft(IcmpCause::Host)),
    (1, 3, 0, Soft(IcmpCause::Host)),
    (1, 4, 0, Hard(EndReason::Refused, IcmpCause::Port)),
    (1, 5, 0, hard(IcmpCause::Prohibited)),
    (1, 6, 0, hard(IcmpCause::Prohibited)),
    (3, 0, 0, Soft(IcmpCause::TimeExceeded)),
    (3, 1, 0, Soft(IcmpCause::TimeExceeded)),
    (4, 0, 0, Soft(IcmpCause::ParameterProblem)),
    (4, 1, 0, Soft(IcmpCause::ParameterProblem)),
    (4, 2, 0, Soft(IcmpCause::ParameterProblem)),
    (137, 0, 0, Nothing),
    // RFC 8201 §4: below 1280 nothing.
    (2, 0, 0, Nothing),
    (2, 0, 68, Nothing),
    (2, 0, 1279, Nothing),
    (2, 0, 1280, TooBig(1280)),
    (2, 0, 1499, TooBig(1499)),
    (2, 0, 1500, Nothing),
    (2, 0, u32::MAX, Nothing),
];

/// Whose segment the error quotes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Quote {
    /// One that is outstanding.
    Genuine,
    /// SND.NXT and beyond, or below SND.UNA.
    Number(i32),
    /// Another port, of ours or of the peer.
    OtherPair(bool),
}

/// One connection of a stack whose peer is played by the test.
struct Bench {
    now: Instant,
    stack: TestStack,
    addresses: IpAddresses,
    id: EndpointId,
}

const PEER: u16 = 5000;

impl Bench {
    fn new(ipv6: bool, state: State) -> Bench {
        let now = Instant::from_secs(5000);
        let (peer, own): (IpAddr, IpAddr) = match ipv6 {
            false => ([198, 18, 0, 1].into(), [198, 18, 0, 2].into()),
            true => (
                "fd00:7463:7064::1".parse().expect("address"),
                "fd00:7463:7064::2".parse().expect("address"),
            ),
        };
        let mut config: StackConfig = config(own);
        config.tcp.timestamps = false;
        config.gso_max = 0;
        let mut bench = Bench {
            now,
            stack: stack(config, 3, now),
            addresses: IpAddresses {
                source: own,
                destination: peer,
            },
            id: EndpointId::from_bits(0),
        };
        bench.open(state);
        bench
    }

    fn open(&mut self, state: State) {
        if state == State::SynSent {
            let options = ConnectOptions {
                local_port: 80,
                ..ConnectOptions::to((self.addresses.destination, PEER).into())
            };
            self.id = self.stack.connect(self.now, options).expect("connect");
            self.segments();
            return;
        }
        let options = ListenOptions {
            port: 80,
            ..ListenOptions::default()
        };
        let listener = self.stack.listen(self.now, options).expect("listen");
        self.says(Flags::SYN, 100, 0);
        let iss = self.segments().pop().expect("a SYN-ACK");
        if state == State::SynReceived {
            let half = self.stack.endpoints().find(|one| one.remote.port() == PEER);
            self.id = half.expect("a half-open entry").id;
            return;
        }
        self.says(Flags::ACK, 101, iss.0.wrapping_add(1));
        self.id = self.stack.accept(self.now, listener).expect("accepted");
        // As large as the interface lets them be: a message about a size that was not exceeded is ignored (RFC 5927 §7.2).
        let text = vec![1; if self.addresses.is_ipv6() { 2880 } else { 2920 }];
        self.stack.send(self.now, self.id, &text).expect("send");
        assert_eq!(self.segments().len(), 2);
    }

    fn says(&mut self, flags: Flags, seq: u32, ack: u32) {
        let options = TcpOptions {
            mss: (flags == Flags::SYN).then_some(1460),
            ..TcpOptions::default()
        };
        let segment = TcpSegment {
            source_port: PEER,
            destination_port: 80,
            seq: SequenceNumber(seq),
            ack: SequenceNumber(ack),
            flags,
            window: 60_000,
            options,
            ..TcpSegment::default()
        };
        let addresses = self.addresses.reversed();
        let packet = segment_packet(addresses, &segment);
        self.stack
            .receive(self.now, &packet, ReceiveMeta::default());
    }

    fn put(&mut self, addresses: IpAddresses, number: u8, body: &[u8]) {
        let packet = packet(addresses, number, body);
        self.stack
            .receive(self.now, &packet, ReceiveMeta::default());
    }

    /// The numbers of what the stack sends now.
    fn segments(&mut self) -> Vec<SequenceNumber> {
        let mut numbers = Vec::new();
        while let Some(transmit) = self.stack.poll_transmit(self.now) {
            transmit.write_packets(|packet| {
                let header = IpHeader::parse(packet).expect("an IP packet");
                assert_eq!(header.protocol, protocol::TCP, "an error about an error");
                let segment = TcpSegment::parse(&packet[header.payload]).expect("a segment");
                numbers.push(segment.seq);
            });
        }
        numbers
    }

    fn status(&self) -> Option<Status> {
        self.stack.status(self.id)
    }

    fn error(&mut self, row: Row, quote: Quote) {
        let (kind, code, word, _) = row;
        let status = self.status().expect("status");
        let oldest = match status.state {
            State::SynSent | State::SynReceived => status.iss,
            _ => status.snd_una,
        };
        let (number, ports) = match quote {
            Quote::Genuine => (oldest, (80, PEER)),
            Quote::Number(off) if off < 0 => (oldest - off.unsigned_abs(), (80, PEER)),
            Quote::Number(off) => (status.snd_nxt + off.unsigned_abs(), (80, PEER)),
            Quote::OtherPair(ours) => (oldest, if ours { (81, PEER) } else { (80, PEER + 1) }),
        };
        let quoted = TcpSegment {
            source_port: ports.0,
            destination_port: ports.1,
            seq: number,
            flags: Flags::ACK,
            ..TcpSegment::default()
        };
        let mut text = Vec::new();
        quoted.emit(&self.addresses, &mut text);
        let mut quote = Vec::new();
        IpFields::new(self.addresses, protocol::TCP).emit(1480, &mut quote);
        quote.extend_from_slice(&text[..8]);
        let mut body = vec![kind, code, 0, 0];
        let word = match (kind, self.addresses.is_ipv6()) {
            // The pointer of a parameter problem stands in the first byte.
            (12, false) => 0x1400_0000,
            _ => word,
        };
        body.extend(word.to_be_bytes());
        body.extend(quote);
        let from = self.addresses.reversed();
        let number = if from.is_ipv6() {
            let mut sum = checksum::pseudo_header(&from, protocol::ICMPV6, body.len() as u32);
            sum.add(&body);
            let sum = sum.finish();
            body[2..4].copy_from_slice(&sum.to_be_bytes());
            protocol::ICMPV6
        } else {
            let sum = checksum::of(&body);
            body[2..4].copy_from_slice(&sum.to_be_bytes());
            protocol::ICMPV4
        };
        self.put(from, number, &body);
    }
}

/// State, end, soft error and MSS: all that an error can change.
fn standing(status: &Status) -> (State, Option<EndReason>, Option<EndReason>, u32) {
    (status.state, status.end, status.soft_error, status.mss_send)
}

fn check(ipv6: bool, row: Row, state: State) {
    let mut bench = Bench::new(ipv6, state);
    let before = bench.status().expect("status");
    let mut expected = standing(&before);
    match (row.3, state) {
        // A half-open entry remembers nothing.
        (_, State::SynReceived) | (Nothing, _) => {}
        (Soft(cause), _) => expected.2 = Some(EndReason::Unreachable(cause)),
        (Hard(end, _), State::SynSent) => {
            expected.0 = State::Closed;
            expected.1 = Some(end);
        }
        (Hard(_, cause), _) => expected.2 = Some(EndReason::Unreachable(cause)),
        // A SYN is small: it is not sent again. What was learnt counts for the text.
        (TooBig(_), State::SynSent) => {}
        (TooBig(mtu), _) => expected.3 = u32::from(mtu) - if ipv6 { 60 } else { 40 },
    }
    bench.error(row, Quote::Genuine);
    let case = format!("{row:?} ipv6 {ipv6} {state}");
    let after = bench
        .status()
        .expect("no ICMP error removes it under its user");
    assert_eq!(standing(&after), expected, "{case}");
    let sent = bench.segments();
    let resends = matches!(row.3, TooBig(_)) && state == State::Established;
    assert_eq!(!sent.is_empty(), resends, "{case}: {sent:?}");
    if resends {
        assert_eq!(sent[0], after.snd_una, "{case}: from SND.UNA");
        assert_eq!(after.cwnd, before.cwnd, "{case}: no sign of congestion");
    }
}

fn check_forged(ipv6: bool, row: Row, state: State, quote: Quote) {
    let mut bench = Bench::new(ipv6, state);
    let before = standing(&bench.status().expect("status"));
    bench.error(row, quote);
    let after = standing(&bench.status().expect("status"));
    assert_eq!(after, before, "{row:?} ipv6 {ipv6} {state} {quote:?}");
    assert_eq!(bench.segments(), [], "{row:?} {state} {quote:?}");
}

const STATES: [State; 3] = [State::SynSent, State::SynReceived, State::Established];

// RFC 5927 §5, §7; RFC 9293 §3.9.2.2 MUST-54, MUST-55, MUST-56, SHLD-25, SHLD-26; RFC 5461 §4; RFC 1191 §3; RFC 8201 §4.
#[test]
fn every_icmp_error_does_what_its_row_says() {
    for (ipv6, rows) in [(false, V4), (true, V6)] {
        for &row in rows {
            for state in STATES {
                check(ipv6, row, state);
            }
        }
    }
}

// RFC 5927 §4.1: SND.UNA =< SEG.SEQ < SND.NXT, or it is not about anything of ours.
#[test]
fn no_icmp_error_about_what_is_not_outstanding_does_anything() {
    let quotes = [
        Quote::Number(0),
        Quote::Number(1),
        Quote::Number(-1),
        Quote::Number(0x4000_0000),
        Quote::Number(-0x4000_0000),
        Quote::OtherPair(true),
        Quote::OtherPair(false),
    ];
    for (ipv6, rows) in [(false, V4), (true, V6)] {
        for &row in rows {
            for state in STATES {
                for quote in quotes {
                    check_forged(ipv6, row, state, quote);
                }
            }
        }
    }
}
