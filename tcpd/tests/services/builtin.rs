//! Each handler from the kernel's side.

use std::io::{Read, Write};
use std::net::Shutdown;

use super::common::daemon::{Daemon, STACK_V4, STACK_V6};
use super::common::namespace::in_namespace;
use super::common::pattern::{Pattern, expect_pattern, write_pattern};
use super::{connect_to, service, wait_for_row};

#[test]
fn every_small_service_answers_over_both_families() {
    in_namespace(|| {
        let config = [
            service("echo", 7, ""),
            service("discard", 9, ""),
            service("daytime", 13, ""),
            service("chargen", 19, ""),
            service("time", 37, ""),
        ];
        let daemon = Daemon::start(&config.concat());
        for address in [STACK_V4, STACK_V6] {
            let mut echo = connect_to(address, 7);
            echo.write_all(b"hello").expect("send");
            echo.shutdown(Shutdown::Write).expect("half-close");
            let mut back = String::new();
            echo.read_to_string(&mut back).expect("receive");
            assert_eq!(back, "hello");

            let mut discard = connect_to(address, 9);
            discard.write_all(&[7; 300_000]).expect("send");
            discard.shutdown(Shutdown::Write).expect("half-close");
            assert_eq!(discard.read(&mut [0]).expect("the end"), 0);

            let mut line = String::new();
            connect_to(address, 13)
                .read_to_string(&mut line)
                .expect("receive");
            assert!(line.ends_with("-UTC\r\n"), "{line:?}");

            let mut number = Vec::new();
            connect_to(address, 37)
                .read_to_end(&mut number)
                .expect("receive");
            assert_eq!(number.len(), 4);

            let mut chargen = connect_to(address, 19);
            let mut lines = vec![0; 74 * 95 * 3];
            chargen.read_exact(&mut lines).expect("receive");
            assert!(lines.starts_with(b" !\"#$%&'()*+,-./0123456789"));
            assert_eq!(&lines[..74 * 95], &lines[74 * 95..2 * 74 * 95]);
        }
        for name in ["echo", "discard", "daytime", "chargen", "time"] {
            let done = wait_for_row(&daemon, name, "the ends", |row| row.workers == 0);
            assert_eq!(
                done.exits.by_status.into_iter().collect::<Vec<_>>(),
                [(0, 2)],
                "{name}"
            );
        }
    });
}

#[test]
fn a_half_closed_stream_still_flows_back() {
    in_namespace(|| {
        let _daemon = Daemon::start(&service("echo", 7, ""));
        const BYTES: usize = 8 << 20;
        let mut stream = connect_to(STACK_V4, 7);
        let mut writer = stream.try_clone().expect("clone");
        let sender = std::thread::spawn(move || {
            write_pattern(&mut writer, &mut Pattern::new(1), BYTES, 64 << 10);
            writer.shutdown(Shutdown::Write).expect("half-close");
        });
        expect_pattern(&mut stream, &mut Pattern::new(1), BYTES, 64 << 10);
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
        sender.join().expect("sender");
    });
}
