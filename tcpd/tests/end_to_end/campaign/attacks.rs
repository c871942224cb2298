//! The attacks. Each is one round of one; it is called again and again, with a generator that goes on.

mod memory;
mod messages;
mod processes;

use tcpd_core::random::Generator;

use super::attacker::Target;

/// One way to do harm.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) act: fn(&Target, &mut Generator),
}

/// As many sessions at once as its seed says, and then silence.
pub(super) const CROWD: Attack = Attack {
    name: "crowd",
    act: processes::crowd,
};

/// Busy with nothing.
pub(super) const NOTHING: Attack = Attack {
    name: "nothing",
    act: |_, random| _ = std::hint::black_box(random.next_u64()),
};

/// Each of them.
pub(super) const ALL: [Attack; 12] = [
    Attack {
        name: "messages",
        act: messages::mutated,
    },
    Attack {
        name: "greetings",
        act: messages::greetings,
    },
    Attack {
        name: "flood",
        act: messages::flood,
    },
    Attack {
        name: "tables",
        act: messages::tables,
    },
    Attack {
        name: "tokens",
        act: messages::tokens,
    },
    Attack {
        name: "descriptors",
        act: messages::descriptors,
    },
    Attack {
        name: "words",
        act: memory::words,
    },
    Attack {
        name: "bells",
        act: memory::bells,
    },
    Attack {
        name: "holder",
        act: memory::holder,
    },
    Attack {
        name: "sessions",
        act: processes::sessions,
    },
    Attack {
        name: "leak",
        act: processes::leak,
    },
    Attack {
        name: "heir",
        act: processes::heir,
    },
];
