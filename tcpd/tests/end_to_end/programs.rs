//! Programs on libtcpclient against the kernel's own TCP, over a real TUN in a private namespace.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use crate::common::daemon::{Daemon, HOST_V4, HOST_V6, STACK_V4, STACK_V6};
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::connect_to;
use crate::common::pattern::{Pattern, expect_pattern, write_pattern};
use libtcpclient::{Builder, TcpStream};

const MIB: usize = 1 << 20;

/// Bytes each way in the bulk transfers: 100 MiB, or what `cargo xtask soak` says.
fn bulk() -> usize {
    let mebibytes = std::env::var("TCPD_BULK_MEBIBYTES").ok();
    mebibytes.map_or(100, |mebibytes| mebibytes.parse().expect("a number of MiB")) * MIB
}

fn address(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), port)
}

/// `bytes` of pattern each way at once, then both ends closed in order.
fn both_ways<A, B>(a: A, b: B, bytes: usize)
where
    A: Duplex,
    B: Duplex,
{
    thread::scope(|scope| {
        scope.spawn(|| send_all(&a, 1, bytes));
        scope.spawn(|| send_all(&b, 2, bytes));
        scope.spawn(|| receive_all(&b, 1, bytes));
        receive_all(&a, 2, bytes);
    });
}

/// A stream of either side, usable from two threads.
trait Duplex: Sync {
    fn write(&self, bytes: &[u8]) -> std::io::Result<usize>;
    fn read(&self, bytes: &mut [u8]) -> std::io::Result<usize>;
    fn finish(&self);
}

impl Duplex for TcpStream {
    fn write(&self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }
    fn read(&self, bytes: &mut [u8]) -> std::io::Result<usize> {
        Read::read(&mut &*self, bytes)
    }
    fn finish(&self) {
        self.shutdown(Shutdown::Write).expect("shut the write half");
    }
}

impl Duplex for std::net::TcpStream {
    fn write(&self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }
    fn read(&self, bytes: &mut [u8]) -> std::io::Result<usize> {
        Read::read(&mut &*self, bytes)
    }
    fn finish(&self) {
        self.shutdown(Shutdown::Write).expect("shut the write half");
    }
}

struct Half<'a, T: ?Sized>(&'a T);

impl<T: Duplex + ?Sized> Write for Half<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<T: Duplex + ?Sized> Read for Half<'_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(bytes)
    }
}

fn send_all(stream: &impl Duplex, seed: u64, bytes: usize) {
    write_pattern(&mut Half(stream), &mut Pattern::new(seed), bytes, 64 << 10);
    stream.finish();
}

fn receive_all(stream: &impl Duplex, seed: u64, bytes: usize) {
    expect_pattern(&mut Half(stream), &mut Pattern::new(seed), bytes, 64 << 10);
    let mut more = [0; 1];
    assert_eq!(
        stream.read(&mut more).expect("end of file"),
        0,
        "more than was sent"
    );
}

#[test]
fn bulk_each_way_between_a_program_and_the_kernel() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (ours, theirs) = connect_to(&session, HOST_V4);
        both_ways(ours, theirs, bulk());
    });
}

#[test]
fn bulk_each_way_over_ipv6() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (ours, theirs) = connect_to(&session, HOST_V6);
        both_ways(ours, theirs, bulk());
    });
}

#[test]
fn bulk_each_way_without_offload() {
    in_namespace(|| {
        let daemon = Daemon::start_with("", &["device.offload=false"]);
        let session = daemon.session();
        let (ours, theirs) = connect_to(&session, HOST_V4);
        both_ways(ours, theirs, bulk());
    });
}

#[test]
fn bulk_each_way_between_two_programs_of_one_daemon() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        for ip in [STACK_V4, STACK_V6] {
            let (one, two) = (daemon.session(), daemon.session());
            let listener = Builder::new()
                .session(&one)
                .listen(address(ip, 0))
                .expect("listen");
            let at = listener.local_addr().expect("its address");
            let ours = Builder::new().session(&two).connect(at).expect("connect");
            let (theirs, _) = listener.accept().expect("accept");
            both_ways(ours, theirs, bulk());
        }
    });
}

#[test]
fn every_mix_of_write_and_read_sizes_arrives_byte_by_byte() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        for (write, read) in [
            (1, 1),
            (1, 4 * MIB),
            (7, 1000),
            (1448, 1449),
            (4096, 3),
            (65_537, 511),
            (4 * MIB, 1 << 16),
            (4 * MIB, 1),
        ] {
            // So many bytes that the smaller size makes at most about 200,000 calls.
            let bytes = (200_000 * write.min(read)).min(8 * MIB);
            let (ours, theirs) = connect_to(&session, HOST_V4);
            thread::scope(|scope| {
                scope.spawn(|| write_pattern(&mut Half(&ours), &mut Pattern::new(3), bytes, write));
                expect_pattern(&mut Half(&theirs), &mut Pattern::new(3), bytes, read);
            });
            thread::scope(|scope| {
                scope.spawn(|| {
                    write_pattern(&mut Half(&theirs), &mut Pattern::new(4), bytes, write)
                });
                expect_pattern(&mut Half(&ours), &mut Pattern::new(4), bytes, read);
            });
        }
    });
}

#[test]
fn vectored_writes_and_reads_keep_their_order() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut ours, mut theirs) = connect_to(&session, HOST_V4);
        let parts: [&[u8]; 5] = [b"a", b"", b"bc", b"defg", b"h"];
        let written = ours
            .write_vectored(&parts.map(IoSlice::new))
            .expect("write vectored");
        assert_eq!(written, 8);
        let mut got = [0; 8];
        theirs.read_exact(&mut got).expect("read");
        assert_eq!(&got, b"abcdefgh");
        theirs.write_all(&got).expect("write");
        let (mut one, mut two) = ([0; 3], [0; 5]);
        wait_for("all eight bytes", 5, || {
            (ours.peek(&mut [0; 16]).expect("peek") == 8).then_some(())
        });
        let read = ours
            .read_vectored(&mut [
                std::io::IoSliceMut::new(&mut one),
                std::io::IoSliceMut::new(&mut two),
            ])
            .expect("read vectored");
        assert_eq!((read, &one, &two), (8, b"abc", b"defgh"));
    });
}

#[test]
fn a_reader_that_stops_for_ten_seconds_closes_the_window_and_goes_on() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (ours, theirs) = connect_to(&session, HOST_V4);
        let bytes = 64 * MIB;
        thread::scope(|scope| {
            scope.spawn(|| send_all(&theirs, 5, bytes));
            wait_for("full receive ring", 10, || {
                // Less than a segment: the kernel sends no more but probes.
                let status = ours.status().expect("status");
                let mss = u64::from(status.options.mss_receive_bytes);
                (status.rcv.expect("receive space").wnd_bytes < mss).then_some(())
            });
            // The time is the test: the kernel must probe the closed window meanwhile.
            thread::sleep(Duration::from_secs(10));
            receive_all(&ours, 5, bytes);
        });
        // And the other way: the kernel's reader stops, tcpd probes.
        let (ours, theirs) = connect_to(&session, HOST_V4);
        thread::scope(|scope| {
            scope.spawn(|| send_all(&ours, 6, bytes));
            wait_for("probes of a closed window", 20, || {
                let counters = ours.status().expect("status").counters;
                (counters.expect("counters").zero_window_probes >= 3).then_some(())
            });
            receive_all(&theirs, 6, bytes);
        });
    });
}

#[test]
fn each_half_closes_alone_and_the_other_goes_on() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        // The program closes its half; the kernel still sends.
        let (ours, theirs) = connect_to(&session, HOST_V4);
        ours.finish();
        assert_eq!(Duplex::read(&theirs, &mut [0; 1]).expect("end of file"), 0);
        assert_eq!(
            Duplex::write(&ours, b"x").expect_err("closed").kind(),
            ErrorKind::BrokenPipe
        );
        thread::scope(|scope| {
            scope.spawn(|| send_all(&theirs, 7, 10 * MIB));
            receive_all(&ours, 7, 10 * MIB);
        });
        // The kernel closes its half; the program still sends.
        let (ours, theirs) = connect_to(&session, HOST_V4);
        theirs.finish();
        assert_eq!(Duplex::read(&ours, &mut [0; 1]).expect("end of file"), 0);
        thread::scope(|scope| {
            scope.spawn(|| send_all(&ours, 8, 10 * MIB));
            receive_all(&theirs, 8, 10 * MIB);
        });
    });
}

#[test]
fn the_kernel_connects_to_a_program_that_listens() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        for ip in [STACK_V4, STACK_V6] {
            let listener = Builder::new()
                .session(&session)
                .listen(address(ip, 4000))
                .expect("listen");
            let theirs =
                std::net::TcpStream::connect(address(ip, 4000)).expect("the kernel connects");
            let (ours, peer) = listener.accept().expect("accept");
            assert_eq!(peer, theirs.local_addr().expect("its address"));
            assert_eq!(ours.peer_addr().expect("peer"), peer);
            assert_eq!(ours.local_addr().expect("local"), address(ip, 4000));
            both_ways(ours, theirs, MIB);
        }
    });
}

#[test]
fn a_closed_port_refuses_on_either_side() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        for (host, stack) in [(HOST_V4, STACK_V4), (HOST_V6, STACK_V6)] {
            let ours = Builder::new()
                .session(&session)
                .connect(address(host, 9999))
                .expect_err("nobody listens");
            assert_eq!(ours.kind(), ErrorKind::ConnectionRefused);
            let theirs =
                std::net::TcpStream::connect(address(stack, 9999)).expect_err("nobody listens");
            assert_eq!(theirs.kind(), ErrorKind::ConnectionRefused);
        }
    });
}

#[test]
fn an_abort_is_a_reset_for_the_other_side() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (ours, theirs) = connect_to(&session, HOST_V4);
        ours.abort().expect("abort");
        assert_eq!(
            Duplex::read(&theirs, &mut [0; 1])
                .expect_err("reset")
                .kind(),
            ErrorKind::ConnectionReset
        );
        let (ours, theirs) = connect_to(&session, HOST_V4);
        rustix::net::sockopt::set_socket_linger(&theirs, Some(Duration::ZERO)).expect("linger 0");
        drop(theirs);
        assert_eq!(
            Duplex::read(&ours, &mut [0; 1]).expect_err("reset").kind(),
            ErrorKind::ConnectionReset
        );
    });
}

#[test]
fn a_connect_to_nowhere_ends_at_its_own_timeout() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        // In the link's network, but nobody's: the kernel drops what it does not forward.
        let connect = Builder::new()
            .session(&session)
            .timeout(Duration::from_millis(1500))
            .connect(address("198.18.0.77", 80));
        assert_eq!(
            connect.expect_err("nobody is there").kind(),
            ErrorKind::TimedOut
        );
    });
}

#[test]
fn blocked_programs_learn_at_once_that_the_daemon_was_killed() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (reading, _theirs) = connect_to(&session, HOST_V4);
        let listener = Builder::new()
            .session(&session)
            .listen(address(STACK_V4, 0))
            .expect("listen");
        thread::scope(|scope| {
            let reader = scope.spawn(|| Duplex::read(&reading, &mut [0; 1]));
            let acceptor = scope.spawn(|| listener.accept().map(drop));
            daemon.signal(rustix::process::Signal::KILL);
            let kind = reader
                .join()
                .expect("no panic")
                .expect_err("the daemon is gone")
                .kind();
            assert!(
                matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe),
                "{kind:?}"
            );
            acceptor
                .join()
                .expect("no panic")
                .expect_err("the daemon is gone");
        });
    });
}
