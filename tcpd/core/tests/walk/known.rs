//! Sequences that once went wrong, as the walk printed them.

use tcpd_core::sim::pair::End::{Left, Right};

use crate::machine::Setup;
use crate::machine::Step::{self, *};
use crate::world::World;

/// What shrinking arrives at, where nothing of it matters.
fn plain() -> Setup {
    Setup {
        ipv6: false,
        timestamps: false,
        window_scale: false,
        ring_bits: 9,
        small_mtu: false,
        msl: 1_000,
        ignores_reset: true,
        wraps: None,
        connected: true,
        seed: 0,
    }
}

/// Takes these steps and heals; panics when the model says no.
fn walk(setup: &Setup, steps: &[Step]) {
    let mut world = World::new(setup);
    for &step in steps {
        world.step(step);
    }
    world.heal();
}

/// RFC 9293 §3.8.6: text sent again stood at an old number, its window was passed over, and SND.UNA took the right edge along.
#[test]
fn the_right_edge_stays_when_text_sent_again_acknowledges_more() {
    let setup = Setup {
        timestamps: true,
        ring_bits: 12,
        small_mtu: true,
        ..plain()
    };
    walk(
        &setup,
        &[
            Send(Right, 1229),
            Wait(2396),
            Deliver(0),
            Hold(Left),
            Send(Left, 3000),
            Timer,
            Hold(Left),
            DeliverOldest(5),
            Timer,
            Deliver(0),
            Deliver(187),
            Send(Left, 4793),
        ],
    );
}
