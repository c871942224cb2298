use super::*;
use crate::wire::{Ecn, IpAddresses, IpHeader};
use std::collections::HashSet;

fn flow(source: &str, destination: &str, source_port: u16) -> FlowTuple {
    let addresses = IpAddresses {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    };
    FlowTuple {
        addresses,
        source_port,
        destination_port: 80,
    }
}

#[test]
fn flow_labels_differ_by_connection_and_fit_into_twenty_bits() {
    let secret = Secret::new([1; 16]);
    let labels: HashSet<_> = (0..1000)
        .map(|port| flow_label(&secret, &flow("fd00::2", "fd00::1", port)))
        .collect();
    assert!(labels.len() > 990 && labels.iter().all(|label| (1..1 << 20).contains(label)));
    assert_eq!(flow_label(&secret, &flow("10.0.0.2", "10.0.0.1", 1)), 0);
}

#[test]
fn identifications_of_fragments_do_not_count_up_and_depend_on_the_secret() {
    let addresses = flow("10.0.0.2", "10.0.0.1", 1).addresses;
    let sequence = |key: u8| {
        let mut ids = FragmentIds::new(&Secret::new([key; 16]));
        (0..100).map(|_| ids.next(&addresses)).collect::<Vec<_>>()
    };
    let (one, other) = (sequence(1), sequence(2));
    assert!(one.iter().zip(&other).all(|(one, other)| one != other));
    let steps: HashSet<u32> = one.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    assert!(steps.len() > 95, "{steps:?}");
}

#[test]
fn both_families_give_a_header_that_is_never_fragmented() {
    for (flow, header_len) in [
        (flow("10.0.0.2", "10.0.0.1", 1), 20),
        (flow("fd00::2", "fd00::1", 1), 40),
    ] {
        let fields = tcp_fields(&flow, 5, 2);
        let mut packet = Vec::new();
        fields.emit(3, &mut packet);
        packet.extend_from_slice(b"abc");
        let header = IpHeader::parse(&packet).unwrap();
        assert_eq!(
            (header.addresses, header.protocol, header.hop_limit),
            (flow.addresses, 6, 64)
        );
        assert_eq!(
            (header.header_len(), fields.header_len(), header.ecn()),
            (header_len, header_len, Ecn::Ect0)
        );
        assert!(header.dont_fragment && header.fragment.is_none());
    }
}
