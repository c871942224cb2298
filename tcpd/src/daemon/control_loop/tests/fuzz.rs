//! Fuzz target: what clients say, write and do to a control loop, a stack thread's loop and a stack, all turned by hand. An input is a
//! script of [`World::step`]s; at its end everybody else must be served, and all that ended must have been counted.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use fuzzing::{Target, first_word, messages};
use libtcpclient::protocol::ErrorCode;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::*;
use crate::daemon::stack_loop::StackLoop;
use crate::daemon::stack_loop::tests::small_loop;
use crate::device::channel::Channel;

/// Clients that the script plays.
const PLAYERS: usize = 3;
/// The one who may do anything.
const OPERATOR: usize = 2;
/// Bytes of shared memory in which words stand: the doorbells and the slots' headers.
const WORDS: u64 = 4096 + 4 * 256;
/// Connections that a client may open to this port go to one who listens there.
const PORT: u16 = 7000;

struct Player {
    client: Client,
    arena: Option<File>,
    bell: Option<OwnedFd>,
}

struct World {
    t: Fixture,
    stack: StackLoop,
    events: Events,
    players: Vec<Player>,
    /// Somebody else.
    bystander: Client,
    /// What was answered, in words.
    heard: BTreeSet<String>,
    _outside: Channel,
}

/// The script, from its beginning on; zeros behind its end.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn number(&mut self, bytes: u32) -> u64 {
        (0..bytes).fold(0, |number, place| {
            number | u64::from(self.byte()) << (8 * place)
        })
    }
}

fn hello_of_a_client() -> Request {
    hello(true, None)
}

impl World {
    fn new() -> World {
        let mut t = Fixture::with(|config| {
            config.limits.unread_bytes_per_session = 64 << 10;
            config.limits.requests_per_session = 64;
        });
        let (_, unused) = std::sync::mpsc::channel();
        let orders = std::mem::replace(&mut t.orders, unused);
        let waiting = spare().expect("an eventfd");
        let (stack, outside) = small_loop(orders, waiting, t.reports.clone());
        let bystander = t.connect_as(2000, None);
        bystander.say(1, &hello(false, None));
        let mut world = World {
            t,
            stack,
            events: Events::with_capacity(64),
            players: Vec::new(),
            bystander,
            heard: BTreeSet::new(),
            _outside: outside,
        };
        for player in 0..PLAYERS {
            let player = world.enter(player);
            world.players.push(player);
        }
        world.meet();
        world
    }

    /// A client comes in order: of user 1000, of user 1001, or who may do anything.
    fn enter(&mut self, number: usize) -> Player {
        let user = [1000, 1001, 0][number % PLAYERS];
        let client = self.t.connect_as(user, None);
        client.say(1, &hello_of_a_client());
        let mut buffer = vec![0; MAX_MESSAGE];
        for _ in 0..100 {
            self.turn();
            if let Ok((Received::Message(_), mut descriptors)) =
                client.socket.recv_with_fds(&mut buffer, 2)
            {
                let bell = descriptors.pop();
                let arena = descriptors.pop().map(File::from);
                return Player {
                    client,
                    arena,
                    bell,
                };
            }
        }
        // Not welcome, as too many have been: a player without anything.
        Player {
            client,
            arena: None,
            bell: None,
        }
    }

    /// The first player listens, the second connects to it: connections and slots that a script can name.
    fn meet(&mut self) {
        let Request::Connect(mut to) = connect() else {
            return;
        };
        to.remote = ([198, 18, 0, 2], PORT).into();
        self.players[0].client.say(2, &listen(PORT));
        self.turns(4);
        self.players[1].client.say(2, &Request::Connect(to));
        self.turns(4);
    }

    fn turn(&mut self) {
        self.turn_within(Duration::ZERO);
    }

    /// A turn that waits so long for something to do.
    fn turn_within(&mut self, limit: Duration) {
        let turned = self.t.control.turn(&mut self.t.events, Some(limit));
        assert!(turned.expect("the control loop goes on").is_none());
        self.stack.turn().expect("the stack's loop goes on");
        self.stack
            .poll(&mut self.events, Some(Duration::ZERO))
            .expect("poll");
    }

    fn turns(&mut self, count: u32) {
        (0..count).for_each(|_| self.turn());
    }

    /// One step: a message, a word in shared memory, a bell, a silence, an end.
    fn step(&mut self, script: &mut Script<'_>) {
        let action = script.byte();
        let number = usize::from(script.byte()) % PLAYERS;
        let player = &mut self.players[number];
        match action % 8 {
            0..=2 => {
                let length = (script.number(2) as usize % 512).min(script.0.len());
                let (message, rest) = script.0.split_at(length);
                script.0 = rest;
                // The loops have to go on; who may not end them is told so.
                let drains = number == OPERATOR
                    && matches!(Request::decode(message), Ok((_, Request::Drain { .. })));
                if !drains {
                    // Full, or over by now.
                    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                    send(&player.client.socket, message, flags).ok();
                }
            }
            3 | 4 => {
                let (place, value) = (8 * script.number(2) % WORDS, script.number(8));
                if let Some(arena) = &player.arena {
                    arena
                        .write_all_at(&value.to_le_bytes(), place)
                        .expect("a writable arena");
                }
            }
            5 => {
                if let Some(bell) = &player.bell {
                    // The bit of every slot, so that what was written is looked at.
                    let arena = player.arena.as_ref().expect("they come together");
                    for (place, value) in [(64_u64, 1_u64), (128, u64::MAX)] {
                        arena
                            .write_all_at(&value.to_le_bytes(), place)
                            .expect("a writable arena");
                    }
                    send(bell, &[1], SendFlags::DONTWAIT | SendFlags::NOSIGNAL).ok();
                }
                self.turns(2);
            }
            6 => match script.byte() % 4 {
                0 => player.bell = None,
                1 => self.players[number] = self.enter(number),
                _ => self.listen_to(number),
            },
            _ => self.turns(u32::from(script.byte() % 8)),
        }
    }

    fn listen_to(&mut self, player: usize) {
        let mut buffer = vec![0; MAX_MESSAGE];
        let socket = &self.players[player].client.socket;
        while let Ok((length @ 1.., _)) = recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            let message = FromDaemon::decode(&buffer[..length]).expect("sense from the daemon");
            self.heard.insert(match message {
                FromDaemon::Reply(_, Reply::Error(failure)) => failure.code.name().to_owned(),
                FromDaemon::Reply(_, reply) => first_word(&reply),
                FromDaemon::Event(event) => first_word(&event),
            });
        }
    }

    /// Turns until `done` says so; false when it never does. Most of it comes at once. But a descriptor that was closed here is open for
    /// as long as another test's child, just forked, has not executed its program.
    fn comes_to(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        for turn in 0..1000 + PATIENCE {
            if done(self) {
                return true;
            }
            self.turn_within(if turn < 1000 { Duration::ZERO } else { TICK });
        }
        false
    }

    /// Everybody else is served, and what ended was counted.
    fn ends_well(mut self) -> String {
        self.turns(4);
        for player in 0..PLAYERS {
            self.listen_to(player);
        }
        self.bystander.say(77, &Request::Ping);
        let mut buffer = vec![0; MAX_MESSAGE];
        let answered = self.comes_to(|world| {
            let socket = &world.bystander.socket;
            let Ok((length @ 1.., _)) = recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) else {
                return false;
            };
            let message = FromDaemon::decode(&buffer[..length]).expect("sense");
            matches!(message, FromDaemon::Reply(77, Reply::Pong { .. }))
        });
        assert!(answered, "somebody else is not served");
        self.players.clear();
        let gone = self.comes_to(|world| world.t.control.clients.count() == 1);
        assert!(gone, "sessions are left over");
        let counts = &self.t.control.counts;
        assert_eq!(counts.sessions, 1 + counts.ended.values().sum::<u64>());
        let ends = counts.ended.keys().map(|end| end.name());
        let violations = counts.violations.keys().copied();
        let words: Vec<&str> = ends
            .chain(violations)
            .chain(self.heard.iter().map(String::as_str))
            .collect();
        words.join(" ")
    }
}

fn play(bytes: &[u8]) -> String {
    let mut world = World::new();
    let mut script = Script(bytes);
    while !script.0.is_empty() {
        world.step(&mut script);
    }
    world.ends_well()
}

#[test]
fn whatever_clients_do_the_loops_go_on_and_others_are_served() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/handler");
    assert!(corpus.is_dir(), "no {}", corpus.display());
    // One who may not do everything says it, and then one who may.
    let requests = messages::requests().into_iter();
    let seeds = requests.map(|request| said(&[(1, request.clone()), (2, request)]));
    let target = Target {
        name: "handler",
        seeds: seeds.collect(),
        corpus,
        cases: 300,
        longest: 4096,
    };
    target.run(play);
}

/// A script that says these things, for the corpus: each by this player, and a few turns after it.
fn said(messages: &[(u8, Request)]) -> Vec<u8> {
    let mut script = Vec::new();
    for (number, (player, request)) in messages.iter().enumerate() {
        let message = request.encode(10 + number as u32);
        script.extend([0, *player]);
        script.extend((message.len() as u16).to_le_bytes());
        script.extend(message);
        script.extend([7, 0, 4]);
    }
    script
}

/// The corpus reaches what it is meant to reach: connections that are open, and answers of every kind.
#[test]
fn a_script_reaches_an_open_connection() {
    let mut world = World::new();
    world.turns(4);
    world.listen_to(0);
    world.listen_to(1);
    assert!(world.heard.contains("Listening"), "{:?}", world.heard);
    assert!(world.heard.contains("Connected"), "{:?}", world.heard);
    let listener = Request::Accept {
        listener: 1 << 32,
        nonblocking: true,
    };
    let words = play(&said(&[
        (0, listener),
        (1, Request::Abort { connection: 5 }),
    ]));
    assert!(
        words.contains(ErrorCode::NoSuchConnection.name()),
        "{words}"
    );
}

/// What only some may ask is reached too, and done by the stack thread; nobody else gets there.
#[test]
fn a_script_reaches_what_operators_change() {
    let mut tried = 0;
    for request in messages::requests() {
        if !matches!(request, Request::Impair(_) | Request::ControlSet { .. }) {
            continue;
        }
        tried += 1;
        let words = play(&said(&[(2, request.clone())]));
        assert!(words.contains("Done"), "{request:?}: {words}");
        let words = play(&said(&[(0, request.clone())]));
        let refused = words.contains(ErrorCode::NotPermitted.name());
        assert!(refused, "{request:?}: {words}");
    }
    assert_eq!(tried, 5);
    let words = play(&said(&[(2, Request::Impairments { cursor: 0 })]));
    assert!(words.contains("Rows"), "{words}");
    let words = play(&said(&[(1, Request::Drain { grace_ms: None })]));
    assert!(words.contains(ErrorCode::NotPermitted.name()), "{words}");
}
