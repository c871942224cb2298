use std::net::{IpAddr, SocketAddr};

use crate::random::Secret;
use crate::stack::{ConnectOptions, EndpointId, IpCidr, ListenOptions, Stack, StackConfig};
use crate::tcp::buffer::HeapRing;
use crate::time::Instant;

const NOW: Instant = Instant::from_secs(10);

/// A listener and an active open.
fn stack() -> Stack<HeapRing> {
    let own: IpAddr = [198, 18, 0, 1].into();
    let config = StackConfig {
        addresses: vec![IpCidr::new(own, 24)],
        ..StackConfig::default()
    };
    let mut stack = Stack::new(config, Secret::new([7; 16]), 1, NOW);
    let listen = ListenOptions {
        port: 80,
        ..ListenOptions::default()
    };
    stack.listen(NOW, listen).expect("a free port");
    let remote = SocketAddr::new([198, 18, 0, 2].into(), 7);
    stack
        .connect(NOW, ConnectOptions::to(remote))
        .expect("a free port");
    stack.assert_invariants();
    stack
}

/// What `assert_invariants` says about a stack in which `spoil` has gone wrong.
fn complaint(spoil: impl FnOnce(&mut Stack<HeapRing>)) -> String {
    let mut stack = stack();
    spoil(&mut stack);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        stack.assert_invariants();
    }))
    .expect_err("nothing was noticed");
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or_default()
}

#[test]
fn a_table_that_forgot_an_endpoint_is_noticed() {
    let text = complaint(|stack| {
        let (key, slot) = stack
            .endpoints
            .iter()
            .find(|(_, slot)| slot.pair(&stack.addresses).is_some())
            .expect("one");
        let pair = slot.pair(&stack.addresses).expect("a pair");
        stack.flows.remove(key.into(), &pair);
    });
    assert!(text.contains("would go somewhere else"), "{text}");
}

#[test]
fn a_wheel_that_forgot_an_endpoint_is_noticed() {
    let text = complaint(|stack| {
        let (key, _) = stack
            .endpoints
            .iter()
            .find(|(_, slot)| slot.pair(&stack.addresses).is_some())
            .expect("one");
        stack
            .deadlines
            .cancel(crate::stack::EndpointId::from(key).index());
    });
    assert!(text.contains("the wheel forgot"), "{text}");
}

#[test]
fn gauges_ports_and_queues_that_do_not_add_up_are_noticed() {
    let text = complaint(|stack| stack.connections += 1);
    assert!(text.contains("connections"), "{text}");
    let text = complaint(|stack| stack.orphans.push(EndpointId::from_bits(1), |_| true));
    assert!(text.contains("orphans"), "{text}");
    let text = complaint(|stack| stack.bound = super::super::BoundPorts::default());
    assert!(text.contains("ports taken"), "{text}");
    let text = complaint(|stack| stack.sendable.clear());
    assert!(text.contains("transmit queue"), "{text}");
    let text = complaint(|stack| stack.counters.segments_in += 1);
    assert!(text.contains("packets in"), "{text}");
}
