//! A fragment: kept until its datagram is whole, which then arrives like any other packet.

use std::net::IpAddr;
use std::ops::ControlFlow;

use crate::stack::fragments::FragmentRefusal;
use crate::stack::{ReceiveMeta, Stack};
use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::time::Instant;
use crate::wire::{Fragment, IpHeader, ParameterProblem, ipv6};

impl<R: Ring> Stack<R> {
    pub(super) fn fragment_arrives(
        &mut self,
        now: Instant,
        header: &IpHeader,
        fragment: &Fragment,
        packet: &[u8],
    ) -> Step {
        let outcome = self.fragments.receive(now, header, fragment, packet);
        self.count_fragments();
        match outcome {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(whole)) => self.reassembled(now, &whole),
            Err(refusal) => {
                if refusal == FragmentRefusal::Incomplete {
                    self.report_incomplete(now, header, packet);
                }
                ControlFlow::Break(reason_of(refusal))
            }
        }
    }

    /// The last fragment counts as what becomes of the whole. Whatever the device said of a fragment's checksum, it did not see the whole.
    fn reassembled(&mut self, now: Instant, whole: &[u8]) -> Step {
        match IpHeader::parse(whole) {
            Ok(header) if header.fragment.is_none() => {
                self.datagram_arrives(now, &header, whole, ReceiveMeta::default())
            }
            Ok(_) => ControlFlow::Break(DropReason::FragmentMalformed),
            Err(refusal) => self.refuse_ip(now, whole, &refusal),
        }
    }

    /// RFC 8200 §4.5: a first fragment without all headers is reported as parameter problem 3.
    fn report_incomplete(&mut self, now: Instant, header: &IpHeader, packet: &[u8]) {
        let IpAddr::V6(own) = header.addresses.destination else {
            return;
        };
        let problem = ParameterProblem {
            code: ipv6::INCOMPLETE_CHAIN,
            pointer: 0,
            even_to_multicast: false,
        };
        let icmp = &mut self.icmp;
        self.output
            .packet(|out| icmp.parameter_problem(now, own, packet, &problem, out));
    }

    /// Datagrams whose time is over: who sent the first fragment is told (RFC 1122 §3.3.2, RFC 8200 §4.5).
    pub(in crate::stack) fn expire_fragments(&mut self, now: Instant) {
        let (icmp, output) = (&mut self.icmp, &mut self.output);
        self.fragments.expire(now, |first| {
            if let Ok(header) = IpHeader::parse(first) {
                output.packet(|out| icmp.reassembly_timeout(now, &header, first, out));
            }
        });
        self.count_fragments();
    }

    fn count_fragments(&mut self) {
        let tally = self.fragments.tally();
        self.counters.datagrams_reassembled = tally.reassembled;
        self.counters.reassembly_timeouts = tally.timed_out;
        self.counters.reassembly_evicted = tally.evicted;
    }
}

fn reason_of(refusal: FragmentRefusal) -> DropReason {
    match refusal {
        FragmentRefusal::Malformed | FragmentRefusal::Incomplete => DropReason::FragmentMalformed,
        FragmentRefusal::Overlap => DropReason::FragmentOverlap,
        FragmentRefusal::Duplicate => DropReason::FragmentDuplicate,
        FragmentRefusal::Limit => DropReason::FragmentLimit,
        FragmentRefusal::Marks => DropReason::FragmentMarks,
    }
}
