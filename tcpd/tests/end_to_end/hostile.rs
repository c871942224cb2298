//! A client that lies: its own session ends with a counted reason, and the transfer beside it goes on byte by byte.

pub(crate) mod liar;
pub(crate) mod neighbour;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use libtcpclient::protocol::{ErrorCode, Event, FromDaemon, Hello, MAX_MESSAGE, Reply, Request};
use libtcpclient::shm::doorbell::WAITING_READY;
use libtcpclient::socket::Seqpacket;
use rustix::io::Errno;
use rustix::net::SendFlags;
use tcpd_core::random::Generator;

use self::liar::{
    BLOCK, Connection, HEADER, Liar, give, hear, hello, last_word, throw, unannounced,
};
use self::neighbour::Neighbour;
use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;

/// Tells lies to a daemon while a neighbour's transfer runs, which must end exact; the daemon has then no session left.
fn beside_a_neighbour(set: &[&str], lies: impl FnOnce(&Daemon, &Neighbour)) {
    let daemon = Daemon::start_with("", set);
    let neighbour = Neighbour::start(&daemon);
    lies(&daemon, &neighbour);
    neighbour.moves_on();
    neighbour.finish();
    wait_for_sessions(&daemon, 0);
}

/// Waits until so many sessions are left, not counting the one that asks.
fn wait_for_sessions(daemon: &Daemon, sessions: u32) {
    wait_for("end of the sessions", 20, || {
        let status = daemon.control().daemon_status().expect("the daemon lives");
        (status.sessions == sessions + 1).then_some(())
    });
}

/// `lie` makes the daemon count `counter` once more.
fn is_counted<T>(daemon: &Daemon, counter: &str, lie: impl FnOnce() -> T) -> T {
    let before = daemon.counter(counter);
    let told = lie();
    wait_for(counter, 20, || {
        (daemon.counter(counter) == before + 1).then_some(())
    });
    told
}

/// Writes `bytes` zero bytes as an honest client does, and has the kernel read them.
fn write_honestly(liar: &Liar, connection: &mut Connection, bytes: usize) {
    let write = &liar.words(connection).transmit_client.write;
    write.fetch_add(bytes as u64, Relaxed);
    liar.tell(connection);
    let mut got = vec![1; bytes];
    connection.peer.read_exact(&mut got).expect("the bytes");
    assert_eq!(got, vec![0; bytes]);
}

/// Has the kernel send `bytes`, and waits until they stand in the ring.
fn be_sent(liar: &Liar, connection: &mut Connection, bytes: usize) {
    connection.peer.write_all(&vec![7; bytes]).expect("send");
    let received = &liar.words(connection).receive_daemon.write;
    wait_for("received bytes", 20, || {
        (received.load(Relaxed) == bytes as u64).then_some(())
    });
}

#[test]
fn an_index_that_cannot_be_ends_its_session_and_no_other() {
    type Lie = fn(&Liar, &mut Connection);
    let lies: [(&str, Lie); 4] = [
        ("transmit-write-back", |liar, connection| {
            write_honestly(liar, connection, 100);
            let write = &liar.words(connection).transmit_client.write;
            write.store(50, Relaxed);
        }),
        ("transmit-write-beyond", |liar, connection| {
            let words = liar.words(connection);
            let capacity = 1 << (words.transmit_daemon.geometry.load(Relaxed) & 0xff);
            words.transmit_client.write.store(capacity + 1, Relaxed);
        }),
        ("receive-read-back", |liar, connection| {
            be_sent(liar, connection, 40_000);
            let words = liar.words(connection);
            words.receive_client.read.store(40_000, Relaxed);
            liar.tell(connection);
            // The daemon has taken it when it asks for the next notice beyond.
            wait_for("notice", 20, || {
                (words.receive_daemon.notify.load(Relaxed) > 40_000).then_some(())
            });
            words.receive_client.read.store(39_999, Relaxed);
        }),
        ("receive-read-beyond", |liar, connection| {
            be_sent(liar, connection, 100);
            let read = &liar.words(connection).receive_client.read;
            read.store(101, Relaxed);
        }),
    ];
    in_namespace(|| {
        beside_a_neighbour(&[], |daemon, neighbour| {
            for (name, lie) in lies {
                let mut liar = Liar::open(daemon);
                let mut connection = liar.connect();
                is_counted(daemon, "sessions-ended-violation", || {
                    lie(&liar, &mut connection);
                    liar.tell(&connection);
                    assert_eq!(liar.farewell(), name);
                });
                assert_eq!(daemon.counter(&format!("violations-{name}")), 1);
                let end = connection.peer.read(&mut [0]).expect_err("a reset");
                assert_eq!(end.kind(), ErrorKind::ConnectionReset, "{name}");
                neighbour.moves_on();
            }
        });
    });
}

#[test]
fn random_words_in_all_shared_memory_end_the_session_at_worst() {
    in_namespace(|| {
        beside_a_neighbour(&[], |daemon, neighbour| {
            let mut random = Generator::from_seed(2);
            for _ in 0..20 {
                let mut liar = Liar::open(daemon);
                let mut connection = liar.connect();
                be_sent(&liar, &mut connection, 10_000);
                is_counted(daemon, "sessions-ended-violation", || {
                    for _ in 0..500 {
                        let header = liar.header_offset(&connection);
                        let offset = match random.chance(0.5) {
                            true => header + 8 * random.below(HEADER / 8),
                            false => 8 * random.below(BLOCK / 8),
                        };
                        let value = match random.below(4) {
                            0 => random.next_u64(),
                            1 => random.below(1 << 17),
                            2 => u64::MAX,
                            _ => 0,
                        };
                        liar.scribble(offset, &value.to_le_bytes());
                        liar.bell.ring().ok();
                    }
                    // By now it is over, or this is what ends it.
                    liar.scribble(liar.header_offset(&connection), &[0xff; 8]);
                    liar.scribble(128, &[0xff; 512]);
                    liar.scribble(64, &[0xff; 8]);
                    liar.bell.ring().ok();
                    liar.farewell();
                });
                neighbour.moves_on();
            }
        });
    });
}

#[test]
fn random_bitmaps_and_sleep_flags_are_only_spurious_wake_ups() {
    in_namespace(|| {
        beside_a_neighbour(&[], |daemon, neighbour| {
            let mut random = Generator::from_seed(3);
            let mut liar = Liar::open(daemon);
            let mut connection = liar.connect();
            for round in 0..20_000 {
                let value = random.next_u64() | (u64::from(round % 3 == 0) * u64::MAX);
                liar.scribble(8 * random.below(BLOCK / 8), &value.to_le_bytes());
                if round % 16 == 0 {
                    liar.bell.ring().expect("the daemon holds its end");
                }
            }
            neighbour.moves_on();
            assert!(liar.is_served());
            liar.scribble(0, &[0; BLOCK as usize]);
            write_honestly(&liar, &mut connection, 1000);
        });
    });
}

/// Throws bytes on a session that is in order, which must end for this reason.
fn message_ends_session(daemon: &Daemon, counter: &str, bytes: &[u8]) {
    let liar = Liar::open(daemon);
    is_counted(daemon, counter, || {
        throw(&liar.socket, bytes, &[]);
        assert!(!liar.farewell().is_empty(), "{counter}");
    });
}

/// Throws bytes as the first message, and expects this refusal and the end.
fn greeting_is_refused(daemon: &Daemon, counter: &str, bytes: &[u8], code: ErrorCode) {
    let socket = unannounced(daemon);
    is_counted(daemon, counter, || {
        throw(&socket, bytes, &[]);
        let refusal = match last_word(&socket) {
            Some(FromDaemon::Reply(_, Reply::Error(failure))) => failure,
            Some(FromDaemon::Event(Event::SessionEnding(failure))) => failure,
            other => panic!("{counter}: {other:?}"),
        };
        assert_eq!(refusal.code, code, "{counter}");
    });
}

#[test]
fn messages_that_are_none_end_their_session() {
    in_namespace(|| {
        beside_a_neighbour(&["control.hello_timeout=2s"], |daemon, neighbour| {
            let ping = Request::Ping.encode(9);
            let abort = Request::Abort { connection: 1 }.encode(9);
            let mut unknown = ping.clone();
            unknown[..2].copy_from_slice(&0x7777_u16.to_le_bytes());
            let longer = [&ping[..], &[0]].concat();
            for (reason, bytes) in [
                ("empty-message", &[][..]),
                ("truncated-message", &ping[..5]),
                ("truncated-message", &abort[..abort.len() - 1]),
                ("unknown-message", &unknown),
                ("malformed-message", &longer),
                ("oversized-message", &vec![0x40; MAX_MESSAGE + 1]),
            ] {
                message_ends_session(daemon, &format!("sessions-ended-{reason}"), bytes);
                neighbour.moves_on();
            }

            let hello_of = |change: fn(&mut Hello)| {
                let mut hello = hello();
                change(&mut hello);
                Request::Hello(hello).encode(1)
            };
            let version = hello_of(|hello| hello.version = 9);
            let token = hello_of(|hello| hello.token = Some([0x5a; 16]));
            for (reason, bytes, code) in [
                ("no-hello", &ping, ErrorCode::HelloExpected),
                ("version", &version, ErrorCode::VersionMismatch),
                ("token", &token, ErrorCode::BadToken),
            ] {
                greeting_is_refused(daemon, &format!("sessions-ended-{reason}"), bytes, code);
            }
            let silent = unannounced(daemon);
            is_counted(daemon, "sessions-ended-hello-timeout", || {
                last_word(&silent)
            });

            // A second Hello is refused and harms nobody.
            let mut twice = Liar::open(daemon);
            let Reply::Error(refusal) = twice.ask(&Request::Hello(hello())) else {
                panic!("a second Hello is no request");
            };
            assert_eq!(refusal.code, ErrorCode::HelloExpected);
            assert!(twice.is_served());
        });
    });
}

/// A descriptor whose last close takes `seconds`: a TCP socket that lingers, with bytes that nobody reads.
fn lingering(seconds: u64) -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the kernel listens");
    let at = listener.local_addr().expect("its address");
    let socket = TcpStream::connect(at).expect("connect");
    let (deaf, _) = listener.accept().expect("the kernel accepts");
    socket.set_nonblocking(true).expect("a socket");
    while (&socket).write(&[0; 65536]).is_ok() {}
    socket.set_nonblocking(false).expect("a socket");
    let linger = Some(Duration::from_secs(seconds));
    rustix::net::sockopt::set_socket_linger(&socket, linger).expect("linger");
    (socket.into(), deaf)
}

/// Where the kernel knows how to refuse them, the sender is told and nothing else happens; an older one throws them away inside the
/// daemon's receive, and the session ends.
#[test]
fn descriptors_get_nowhere_and_what_takes_long_to_close_holds_up_nobody() {
    in_namespace(|| {
        beside_a_neighbour(&[], |daemon, neighbour| {
            let mut liar = Liar::open(daemon);
            let early = unannounced(daemon);
            let file = std::fs::File::open("/dev/null").expect("/dev/null");
            for count in [1, 253] {
                let gifts = vec![file.as_fd(); count];
                for (socket, bytes) in [
                    (&liar.socket, Request::Ping.encode(9)),
                    (&early, Request::Hello(hello()).encode(1)),
                ] {
                    let error = give(socket, &bytes, &gifts).expect_err("descriptors are refused");
                    assert_eq!(error, Errno::PERM);
                }
                let error = give(&liar.bell, &[1], &gifts).expect_err("by the bell too");
                assert_eq!(error, Errno::PERM);
            }
            assert!(liar.is_served());
            throw(&early, &Request::Hello(hello()).encode(1), &[]);
            assert!(matches!(
                hear(&early),
                Some(FromDaemon::Reply(1, Reply::Welcome(_)))
            ));

            let (slow, _deaf) = lingering(20);
            for socket in [liar.socket.as_fd(), liar.bell.as_fd(), early.as_fd()] {
                give(&socket, &Request::Ping.encode(9), &[slow.as_fd()]).expect_err("refused");
            }
            drop((slow, liar));
            neighbour.moves_on();
        });
    });
}

#[test]
fn random_messages_disturb_nobody() {
    in_namespace(|| {
        beside_a_neighbour(&[], |daemon, neighbour| {
            let mut random = Generator::from_seed(4);
            for round in 0..200 {
                let liar = (round % 2 == 0).then(|| Liar::open(daemon));
                let socket = match &liar {
                    Some(liar) => &liar.socket,
                    None => &unannounced(daemon),
                };
                for _ in 0..8 {
                    let length = 1 + random.below(100) as usize;
                    let mut bytes: Vec<u8> = (0..length).map(|_| random.next_u64() as u8).collect();
                    if length >= 8 && random.chance(0.7) {
                        // A good header: what follows is wrong.
                        bytes[1..4].fill(0);
                        bytes[0] &= 0x4f;
                    }
                    // It may be over by now.
                    socket.try_send(&bytes).ok();
                }
            }
            neighbour.moves_on();
        });
    });
}

#[test]
fn a_flood_of_requests_whose_answers_nobody_reads_ends_its_session() {
    in_namespace(|| {
        beside_a_neighbour(&[], |daemon, neighbour| {
            for request in [Request::Ping, Request::Stats { cursor: 0 }] {
                let liar = Liar::open(daemon);
                is_counted(daemon, "sessions-ended-unread-replies", || {
                    flood(&liar.socket, &request);
                    last_word(&liar.socket)
                });
                neighbour.moves_on();
            }
        });
    });
}

/// Sends until nobody listens any more.
fn flood(socket: &Seqpacket, request: &Request) {
    let messages: Vec<Vec<u8>> = (2..1000).map(|number| request.encode(number)).collect();
    for message in messages.iter().cycle() {
        match socket.try_send(message) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => {
                let kind = error.kind();
                let over = matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
                return assert!(over, "{error}");
            }
        }
    }
}

#[test]
fn a_closed_bell_ends_its_session() {
    in_namespace(|| {
        beside_a_neighbour(&[], |daemon, neighbour| {
            let mut liar = Liar::open(daemon);
            let _connection = liar.connect();
            is_counted(daemon, "sessions-ended-bell-closed", || {
                let Liar { socket, bell, .. } = liar;
                drop(bell);
                last_word(&socket)
            });
            neighbour.moves_on();
        });
    });
}

#[test]
fn a_bell_made_blocking_and_filled_both_ways_holds_up_nobody() {
    in_namespace(|| {
        beside_a_neighbour(&[], |daemon, neighbour| {
            let mut liar = Liar::open(daemon);
            rustix::io::ioctl_fionbio(&liar.bell, false).expect("make it block");
            // Towards the daemon: as much as fits, again and again.
            let much = vec![1; 64 << 10];
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            for _ in 0..2_000 {
                rustix::net::send(&liar.bell, &much, flags).ok();
            }
            neighbour.moves_on();
            assert!(liar.is_served());
            drop(liar);
            // Towards the client, who asks to be rung for each byte and never listens.
            let mut liar = Liar::open(daemon);
            rustix::io::ioctl_fionbio(&liar.bell, false).expect("make it block");
            let mut connection = liar.connect();
            connection.peer.set_nodelay(true).expect("no waiting");
            let rung = daemon.counter("bridge-bells-rung");
            let words = liar.arena.header(connection.opened.slot);
            for count in 1..=800 {
                words.receive_client.read.store(count - 1, Relaxed);
                liar.scribble(640, &1_u32.to_le_bytes());
                liar.scribble(640 + 64, &[0; 576]);
                words.receive_client.waiting.store(WAITING_READY, Relaxed);
                connection.peer.write_all(&[1]).expect("send");
                wait_for("the byte", 20, || {
                    (words.receive_daemon.write.load(Relaxed) == count).then_some(())
                });
            }
            assert!(
                daemon.counter("bridge-bells-rung") >= rung + 400,
                "it was not rung"
            );
            neighbour.moves_on();
            write_honestly(&liar, &mut connection, 1000);
            assert!(liar.is_served());
        });
    });
}

#[test]
fn many_sessions_that_open_and_die_leave_nothing() {
    in_namespace(|| {
        beside_a_neighbour(&[], |daemon, neighbour| {
            for _ in 0..3 {
                let mut all: Vec<(Liar, Connection)> = (0..50)
                    .map(|_| {
                        let mut liar = Liar::open(daemon);
                        let connection = liar.connect();
                        (liar, connection)
                    })
                    .collect();
                for (liar, connection) in &all {
                    liar.words(connection)
                        .transmit_client
                        .write
                        .store(10, Relaxed);
                }
                while let Some((liar, mut connection)) = all.pop() {
                    drop(liar);
                    let mut last = Vec::new();
                    connection.peer.read_to_end(&mut last).expect("the rest");
                    assert_eq!(last, [0; 10]);
                }
                wait_for_sessions(daemon, 1);
                neighbour.moves_on();
            }
        });
    });
}
