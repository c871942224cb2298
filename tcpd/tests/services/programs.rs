//! Programs that people have: curl, nc, Python's socket module, ps.

use std::io::{Read, Write};
use std::process::{Command, Output};

use super::common::daemon::{Daemon, STACK_V4, STACK_V6};
use super::common::namespace::in_namespace;
use super::{connect, processes, service, worker_of};

/// Runs a program to its end; one that is missing fails the test by its name.
fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{program} does not run: {error}"))
}

#[test]
fn curl_gets_a_file_whole_in_part_and_not_again() {
    in_namespace(|| {
        let site = std::env::temp_dir().join(format!("tcpd-test-site-{}", std::process::id()));
        std::fs::create_dir_all(&site).expect("directory");
        let content: Vec<u8> = (0..5_000_000u32).map(|n| (n ^ n >> 9) as u8).collect();
        std::fs::write(site.join("data.bin"), &content).expect("file");
        std::fs::write(site.join("index.html"), "<h1>tcpd</h1>").expect("file");
        let _daemon = Daemon::start(&service(
            "http",
            80,
            &format!("directory = {:?}", site.display().to_string()),
        ));
        let curl = |more: &[&str]| {
            let output = run(
                "curl",
                &[
                    &[
                        "--silent",
                        "--show-error",
                        "--fail",
                        "--max-time",
                        "20",
                        "--globoff",
                    ],
                    more,
                ]
                .concat(),
            );
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            output.stdout
        };
        let data = format!("http://{STACK_V4}/data.bin");
        assert_eq!(curl(&[&format!("http://[{STACK_V6}]/")]), b"<h1>tcpd</h1>");
        assert!(curl(&[&data]) == content);
        assert!(curl(&["--range", "1000000-1999999", &data]) == content[1_000_000..2_000_000]);
        let code = [
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code} %{num_connects} ",
        ];
        let old = site.join("data.bin").display().to_string();
        assert_eq!(
            curl(&[&code[..], &["--time-cond", &old, &data]].concat()),
            b"304 1 "
        );
        // Two transfers on one connection.
        let twice = curl(&[&code[..], &["--output", "/dev/null", &data, &data]].concat());
        assert_eq!(twice, b"200 1 200 0 ");
        std::fs::remove_dir_all(&site).expect("the directory goes");
    });
}

#[test]
fn nc_and_python_talk_to_echo() {
    in_namespace(|| {
        let _daemon = Daemon::start(&service("echo", 7, ""));
        let script = format!("printf 'hello\\n' | nc -N -w 10 {STACK_V4} 7");
        assert_eq!(run("sh", &["-c", &script]).stdout, b"hello\n");
        let script = format!(
            "import socket
s = socket.create_connection(('{STACK_V4}', 7), timeout=20)
sent = bytes(range(256)) * 400
s.sendall(sent)
s.shutdown(socket.SHUT_WR)
back = b''
while part := s.recv(65536):
    back += part
assert back == sent, len(back)
print('ok')"
        );
        let output = run("python3", &["-c", &script]);
        assert_eq!(
            output.stdout,
            b"ok\n",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
}

#[test]
fn ps_shows_what_each_process_is_for() {
    in_namespace(|| {
        let _daemon = Daemon::start(&service("echo", 7, ""));
        let mut stream = connect(7);
        stream.write_all(b"x").expect("send");
        stream.read_exact(&mut [0]).expect("receive");
        let worker = worker_of("echo", &stream);
        let shown = run("ps", &["-o", "args=", "-p", &worker.to_string()]).stdout;
        let title = format!("tcpd: worker echo {}", stream.local_addr().expect("bound"));
        assert_eq!(String::from_utf8_lossy(&shown).trim_end(), title);
        assert_eq!(processes("tcpd: spawner").len(), 1);
    });
}
