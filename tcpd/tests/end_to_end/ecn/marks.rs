//! What marks of congestion lead to: their sender slows down, once a round trip, and sends nothing again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tcpd::system::clock;
use tcpd_core::time::Instant;
use tcpd_core::wire::{Ecn, Flags};

use super::kernels_ecn;
use crate::common::daemon::{Daemon, HOST_V4, HOST_V6, PATIENT, STACK_V4, STACK_V6};
use crate::common::far::{FAR_V4, FAR_V6, Far, Treatment};
use crate::common::host::Host;
use crate::common::namespace::in_namespace;
use crate::common::packet::{Seen, set_ecn};
use crate::common::pair::{accept_at, connect_to, exchange, passes_many};
use crate::common::tcp_info::tcp_info;

/// Half a round trip.
const DELAY: Duration = Duration::from_millis(5);
/// What each sender sends.
const BYTES: usize = 1 << 20;
/// Of so many packets with text of one sender the last ones meet a router that is congested.
const PERIOD: usize = 80;
const MARKED: usize = 8;
/// A window that has grown through all of [`BYTES`] is ten times as large.
const SLOW: u64 = 48;

/// `--set` flags: tcpd asks for ECN, and sends nothing again because the other end had no processor for a while.
fn patient_tcpd() -> Vec<&'static str> {
    [&["tcp.ecn=on"], &PATIENT[..]].concat()
}

/// Nor does the kernel.
fn patient_kernel() {
    Host::here().set("ipv4/tcp_early_retrans", "0");
    Host::here().set("ipv4/tcp_rto_min_us", "10000000");
}

/// A packet at the router.
#[derive(Clone, Copy)]
struct Passed {
    at: Instant,
    seen: Seen,
    marked: bool,
}

/// What the router has seen.
#[derive(Clone, Default)]
struct Log {
    passed: Vec<Passed>,
    /// Packets with text, by sender and receiver.
    texts: BTreeMap<(SocketAddr, SocketAddr), usize>,
}

/// The router marks what may be marked (RFC 3168 §5) of what comes in its bad times.
fn congested(log: &Arc<Mutex<Log>>) -> Treatment {
    let log = Arc::clone(log);
    Box::new(move |_, packet| {
        let Some(seen) = Seen::of(packet) else {
            return true;
        };
        let mut log = log.lock().expect("no panic");
        let texts = log.texts.entry((seen.from, seen.to)).or_default();
        *texts += usize::from(seen.text > 0);
        let congested = seen.text > 0 && *texts % PERIOD >= PERIOD - MARKED;
        let marked = congested && seen.ecn != Ecn::NotEct;
        if marked {
            set_ecn(packet, Ecn::Ce);
        }
        let at = clock::now();
        log.passed.push(Passed { at, seen, marked });
        true
    })
}

/// What one sender's packets have met: marks, and the times when it said that it has slowed down (CWR).
struct Met {
    marks: u64,
    slowed: Vec<Instant>,
}

impl Log {
    /// Reads what passed between these two, and finds each packet as RFC 3168 has it.
    fn judge(&self, sender: SocketAddr, receiver: SocketAddr) -> Met {
        let between = |from, to| {
            let of = move |passed: &&Passed| (passed.seen.from, passed.seen.to) == (from, to);
            self.passed.iter().filter(of).copied().collect::<Vec<_>>()
        };
        let (sent, answers) = (between(sender, receiver), between(receiver, sender));
        let texts: Vec<Passed> = sent.into_iter().filter(is_text_or_else_unmarked).collect();
        for (one, next) in texts.iter().zip(&texts[1..]) {
            // The wire loses and overtakes nothing: what goes out again would go out behind what is later.
            assert_eq!(
                next.seen.seq,
                one.seen.end(),
                "{sender} sends something again"
            );
        }
        assert!(texts.iter().all(|text| text.seen.ecn == Ecn::Ect0));
        for answer in answers.iter().filter(is_no_syn) {
            // §6.1.3: a mark is echoed by every acknowledgment from the one that covers it on, until CWR has come behind it.
            let covered = |text: &&Passed| text.seen.end().before_or_equal(answer.seen.ack);
            let mut newest = texts.iter().filter(covered).filter_map(|text| {
                let answered = text.seen.flags.contains(Flags::CWR);
                (text.marked || answered).then_some(text.marked)
            });
            assert_eq!(
                answer.seen.flags.contains(Flags::ECE),
                newest.next_back().unwrap_or(false),
                "{receiver} acknowledges {:?}",
                answer.seen
            );
        }
        let slowed = texts
            .iter()
            .filter(|text| text.seen.flags.contains(Flags::CWR));
        Met {
            marks: texts.iter().filter(|text| text.marked).count() as u64,
            slowed: slowed.map(|text| text.at).collect(),
        }
    }
}

/// As [`Log::judge`], while the router goes on.
fn judged(log: &Mutex<Log>, sender: SocketAddr, receiver: SocketAddr) -> Met {
    let log = log.lock().expect("no panic").clone();
    log.judge(sender, receiver)
}

/// What is no text must not be marked as capable (§6.1.1, §6.1.4), nor tell of a smaller window.
fn is_text_or_else_unmarked(passed: &Passed) -> bool {
    let seen = passed.seen;
    let text = seen.text > 0;
    let cwr = seen.flags.contains(Flags::CWR) && !seen.flags.contains(Flags::SYN);
    assert!(text || (seen.ecn == Ecn::NotEct && !cwr), "{seen:?}");
    text
}

fn is_no_syn(passed: &&Passed) -> bool {
    !passed.seen.flags.contains(Flags::SYN)
}

impl Met {
    /// Time and again, and never twice in a round trip. (Two times of congestion may fall into one.)
    fn check(&self, case: &str) {
        let times = (BYTES / 1460 / PERIOD) as u64;
        let slowed = self.slowed.len() as u64;
        assert!(2 * slowed >= times, "{case}: {slowed} times in {times}");
        assert!(2 * slowed <= self.marks, "{case}: {slowed} times");
        for pair in self.slowed.windows(2) {
            let between = pair[1].duration_since(pair[0]);
            assert!(between >= 2 * DELAY, "{case}: again after {between:?}");
        }
    }
}

/// RFC 3168 §6.1.2: as after a loss, but nothing was lost.
#[test]
fn marks_slow_a_sender_down_once_a_round_trip_and_nothing_is_sent_again() {
    in_namespace(|| {
        kernels_ecn(1);
        patient_kernel();
        let log = Arc::default();
        let wire = Far::start_over(&patient_tcpd(), DELAY, congested(&log));
        let session = wire.daemon.session();
        thread::scope(|scope| {
            for (stack, host) in [(STACK_V4, FAR_V4), (STACK_V6, FAR_V6)] {
                let (session, log) = (&session, &log);
                scope.spawn(move || tcpd_slows_down(connect_to(session, host), log));
                scope.spawn(move || the_kernel_slows_down(accept_at(session, stack, host), log));
            }
        });
    });
}

type Ends = (libtcpclient::TcpStream, std::net::TcpStream);

fn tcpd_slows_down((ours, theirs): Ends, log: &Mutex<Log>) {
    passes_many(&ours, &theirs, BYTES);
    let status = ours.status().expect("it is open");
    let ours = ours.local_addr().expect("an address");
    let theirs = theirs.local_addr().expect("an address");
    let met = judged(log, ours, theirs);
    met.check("tcpd");
    // The last time may have been told by nothing, for there was no more text.
    let told = met.slowed.len() as u64;
    let ecn = &status.ecn;
    assert!((told..=told + 1).contains(&ecn.reductions), "{ecn:?}");
    assert!(ecn.ece_in >= ecn.reductions, "{ecn:?}");
    let counters = status.counters.expect("they are counted");
    assert_eq!(counters.retransmitted_segments, 0, "{counters:?}");
    assert_eq!((counters.lost_segments, counters.timeouts), (0, 0));
    let segments = status.congestion.cwnd_bytes / u64::from(status.options.mss_send_bytes);
    assert!(segments < SLOW, "{:?}", status.congestion);
}

fn the_kernel_slows_down((ours, theirs): Ends, log: &Mutex<Log>) {
    passes_many(&theirs, &ours, BYTES);
    let information = tcp_info(&theirs);
    let status = ours.status().expect("it is open");
    let ours = ours.local_addr().expect("an address");
    let theirs = theirs.local_addr().expect("an address");
    let met = judged(log, theirs, ours);
    met.check("the kernel");
    assert_eq!(status.ecn.ce_in, met.marks, "each mark was seen");
    assert_eq!(information.tcpi_total_retrans, 0);
    assert!(u64::from(information.tcpi_snd_cwnd) < SLOW);
}

/// Marks on super-segments of up to 64 KiB: nothing of them is lost, and CWR comes and goes in them.
#[test]
fn marks_on_super_segments_slow_both_ends_down_too() {
    const MANY: usize = 16 << 20;
    in_namespace(|| {
        kernels_ecn(1);
        patient_kernel();
        let daemon = Daemon::start_with("", &patient_tcpd());
        let session = daemon.session();
        // Between the kernel's TCP and the device nothing is cut.
        let marks = |chain: &str, on: &str| {
            let rule = "ecn != not-ect numgen inc mod 50 0";
            let hook = format!("type filter hook {chain} priority 0; {on} tcpd0");
            format!(
                "chain {chain}4 {{ {hook} ip {rule} ip ecn set ce; }}
                 chain {chain}6 {{ {hook} ip6 {rule} ip6 ecn set ce; }}\n"
            )
        };
        let (to, from) = (marks("output", "oifname"), marks("input", "iifname"));
        Host::here().nft(&format!("table inet router {{ {to} {from} }}"));
        for (stack, host) in [(STACK_V4, HOST_V4), (STACK_V6, HOST_V6)] {
            for (ours, theirs) in [connect_to(&session, host), accept_at(&session, stack, host)] {
                exchange(&ours, &theirs, MANY);
                let status = ours.status().expect("it is open");
                let ecn = &status.ecn;
                assert!(ecn.ce_in > 0 && ecn.reductions > 0, "{ecn:?}");
                assert!(ecn.ece_in >= ecn.reductions, "{ecn:?}");
                let counters = status.counters.expect("they are counted");
                assert_eq!(counters.retransmitted_segments, 0, "{counters:?}");
                assert_eq!(tcp_info(&theirs).tcpi_total_retrans, 0, "{host}");
            }
        }
        let average = daemon.counter("bytes-in") / daemon.counter("segments-in");
        assert!(
            average > 1500,
            "{average} bytes a packet: nothing was offloaded"
        );
    });
}
