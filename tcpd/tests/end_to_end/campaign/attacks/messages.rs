//! What is said on the session.

use std::os::fd::AsFd;

use libtcpclient::protocol::{
    Filter, FromDaemon, Hello, Listen, MAX_MESSAGE, Reply, Request, ShutdownHow, StreamOptions,
};
use libtcpclient::socket::{Received, Seqpacket};
use rustix::net::{RecvFlags, SendFlags};
use tcpd_core::random::Generator;

use super::super::attacker::Target;
use crate::hostile::liar::{Liar, connect_to, give, hello};

/// Numbers that daemons get wrong.
const NUMBERS: [u64; 10] = [
    0,
    1,
    2,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    1 << 56,
    u64::MAX >> 1,
    u64::MAX,
];

fn odd_number(random: &mut Generator) -> u64 {
    NUMBERS[random.below(NUMBERS.len() as u64) as usize]
}

/// Says it now or not at all; false when the session is over.
fn say(socket: &Seqpacket, bytes: &[u8]) -> bool {
    match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Ok(_) => true,
        Err(rustix::io::Errno::AGAIN) => {
            std::thread::yield_now();
            true
        }
        Err(_) => false,
    }
}

/// Reads what is there; remembers the connections and listeners that it speaks of.
fn listen_to(socket: &Seqpacket, known: &mut Vec<u64>) {
    let mut buffer = vec![0; MAX_MESSAGE];
    let hear =
        |buffer: &mut Vec<u8>| rustix::net::recv(socket, &mut buffer[..], RecvFlags::DONTWAIT);
    while let Ok((length @ 1.., _)) = hear(&mut buffer) {
        match FromDaemon::decode(&buffer[..length]).expect("sense from the daemon") {
            FromDaemon::Reply(_, Reply::Accepted(opened) | Reply::Connected(opened)) => {
                known.push(opened.connection);
            }
            FromDaemon::Reply(_, Reply::Listening { listener, .. }) => known.push(listener),
            _ => {}
        }
    }
}

fn number(random: &mut Generator, known: &[u64]) -> u64 {
    match random.below(4) {
        0 => odd_number(random),
        1 => random.below(1 << 12) | random.below(4) << 32,
        _ if known.is_empty() => random.next_u64(),
        _ => known[random.below(known.len() as u64) as usize],
    }
}

fn options(random: &mut Generator) -> StreamOptions {
    let mut any = || odd_number(random) as u32;
    StreamOptions {
        user_timeout_ms: any(),
        receive_maximum: any(),
        transmit_maximum: any(),
        idle_timeout_ms: any(),
        ..StreamOptions::default()
    }
}

/// A request of any kind that has an encoding.
fn request(random: &mut Generator, target: &Target, known: &[u64]) -> Request {
    let connection = number(random, known);
    let cursor = number(random, known);
    let filter = Filter {
        port: random.next_u64() as u16,
        ..Filter::default()
    };
    let id = format!("{}.{}", random.below(64), number(random, known));
    match random.below(26) {
        0 => Request::Listen(Listen {
            address: None,
            port: random.below(1 << 16) as u16,
            reuse: random.chance(0.5),
            backlog: number(random, known) as u32,
            options: options(random),
        }),
        1 => Request::CloseListener {
            listener: connection,
        },
        2 | 3 => Request::Accept {
            listener: connection,
            nonblocking: random.chance(0.5),
        },
        4 => Request::CancelAccept {
            request: random.below(200) as u32,
        },
        5..=7 => connect_to(target.peer),
        8 => Request::Adopt,
        9 => Request::Shutdown {
            connection,
            how: ShutdownHow::Both,
        },
        10 => Request::Close {
            connection,
            linger_ms: random.chance(0.5).then_some(number(random, known) as u32),
        },
        11 => Request::Abort { connection },
        12 => Request::SetOptions {
            connection,
            options: options(random),
        },
        13 => Request::GrowTransmit { connection },
        14 => Request::ConnectionStatus { connection },
        15 => Request::IntoSocket { connection },
        16 => Request::HandOff {
            connection,
            uid: random.chance(0.5).then_some(random.next_u64() as u32),
        },
        17 => Request::List { filter, cursor },
        18 => Request::Listeners { filter, cursor },
        19 => Request::Show { id },
        20 => Request::Sessions { cursor },
        21 => Request::Users { cursor },
        22 => Request::ControlReset { id },
        23 => Request::Reload,
        24 => Request::ControlSet {
            id,
            settings: "congestion=newreno".to_owned(),
        },
        _ => Request::Drain { grace_ms: Some(0) },
    }
}

/// Changes a message: a bit, a byte, its length, a field, its kind.
fn mutate(random: &mut Generator, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len() as u64) as usize;
    match random.below(6) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next_u64() as u8,
        2 => bytes.truncate(at.max(1)),
        3 => bytes.extend((0..=random.below(64)).map(|_| 0xff)),
        4 => {
            let value = odd_number(random).to_le_bytes();
            let length = value.len().min(bytes.len() - at);
            bytes[at..at + length].copy_from_slice(&value[..length]);
        }
        _ => bytes[0] = random.next_u64() as u8,
    }
}

/// Requests of every kind, many of them changed at random.
pub(super) fn mutated(target: &Target, random: &mut Generator) {
    let Some(liar) = target.open() else {
        return;
    };
    let mut known = Vec::new();
    let changed = if random.chance(0.5) { 0.05 } else { 0.0 };
    for _ in 0..400 {
        let mut bytes = request(random, target, &known).encode(1 + random.below(200) as u32);
        if random.chance(changed) {
            mutate(random, &mut bytes);
        }
        if !say(&liar.socket, &bytes) {
            return;
        }
        if random.chance(0.3) {
            listen_to(&liar.socket, &mut known);
        }
    }
}

/// First messages that are none, and sessions that say nothing.
pub(super) fn greetings(target: &Target, random: &mut Generator) {
    let mut silent = Vec::new();
    for _ in 0..100 {
        let Ok(socket) = Seqpacket::connect(&target.socket) else {
            return;
        };
        let mut bytes = match random.below(3) {
            0 => Request::Ping.encode(1),
            1 => Request::Hello(Hello {
                version: random.next_u64() as u16,
                ..hello()
            })
            .encode(1),
            _ => Request::Hello(hello()).encode(1),
        };
        if random.chance(0.5) {
            mutate(random, &mut bytes);
        }
        say(&socket, &bytes);
        if random.chance(0.1) {
            silent.push(socket);
        }
    }
}

/// Requests, as many as there is room for, and no answer read.
pub(super) fn flood(target: &Target, random: &mut Generator) {
    let Some(liar) = target.open() else {
        return;
    };
    let all = [
        Request::Ping,
        Request::CancelAccept { request: 7 },
        Request::Show { id: "1.1".into() },
        Request::Abort { connection: 1 },
    ];
    let which = &all[random.below(all.len() as u64) as usize];
    let mut numbers = (2..8000).cycle();
    while numbers
        .next()
        .is_some_and(|number| say(&liar.socket, &which.encode(number)))
    {}
}

/// Tables, one after the other, and every answer read.
pub(super) fn tables(target: &Target, random: &mut Generator) {
    let Some(mut liar) = target.open() else {
        return;
    };
    for _ in 0..100 {
        let filter = Filter::default();
        let request = match random.below(5) {
            0 => Request::List { filter, cursor: 0 },
            1 => Request::Listeners { filter, cursor: 0 },
            2 => Request::Stats {
                cursor: random.below(100),
            },
            3 => Request::Sessions { cursor: 0 },
            _ => Request::DaemonStatus,
        };
        if liar.try_ask(&request).is_none() {
            return;
        }
    }
}

/// Tokens that nobody has given out.
pub(super) fn tokens(target: &Target, random: &mut Generator) {
    let mut token = [0; 16];
    for _ in 0..50 {
        random.fill(&mut token);
        let Ok(socket) = Seqpacket::connect(&target.socket) else {
            return;
        };
        let forged = Hello {
            token: Some(token),
            ..hello()
        };
        say(&socket, &Request::Hello(forged).encode(1));
        socket.recv(&mut [0; 1024]).ok();
    }
    let Some(mut liar) = target.open() else {
        return;
    };
    for _ in 0..50 {
        random.fill(&mut token);
        if liar.try_ask(&Request::AdoptHandoff { token }).is_none() {
            return;
        }
    }
}

/// As many descriptors as a message can carry, on the session and on the bell; then the bell is thrown away.
pub(super) fn descriptors(target: &Target, random: &mut Generator) {
    let Some(liar) = target.open() else {
        return;
    };
    let gifts = vec![liar.bell.as_fd(); 253];
    for _ in 0..200 {
        let count = 1 + random.below(253) as usize;
        // Refused here, or there by the end of the session.
        give(&liar.bell, &[1], &gifts[..count]).ok();
        give(&liar.socket, &Request::Ping.encode(5), &gifts[..count]).ok();
    }
    let Liar { socket, bell, .. } = liar;
    drop(bell);
    while matches!(socket.recv(&mut [0; 1024]), Ok(Received::Message(_))) {}
}
