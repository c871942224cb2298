//! Other hosts of a test: network namespaces beside the test's own, joined by cables.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// A network namespace; it goes with this value and everything that lives in it.
pub(crate) struct Host(OwnedFd);

impl Host {
    /// The namespace that the test is in.
    pub(crate) fn here() -> Host {
        Host(namespace_of_this_thread())
    }

    /// A new one, in which only `lo` exists.
    pub(crate) fn new() -> Host {
        let enter = || {
            // SAFETY: only this thread changes its namespace, and it ends at once.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.expect("a namespace");
            namespace_of_this_thread()
        };
        let host = Host(thread::spawn(enter).join().expect("a namespace"));
        host.ip("link set lo up");
        host
    }

    /// Runs `body` in it: sockets made there belong there wherever they go.
    pub(crate) fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let body = || {
                move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("enter the namespace");
                body()
            };
            match scope.spawn(body).join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// `ip` with these words, in it.
    pub(crate) fn ip(&self, words: &str) {
        let output = self
            .inside(|| Command::new("ip").args(words.split_whitespace()).output())
            .expect("run ip");
        assert!(output.status.success(), "ip {words}: {output:?}");
    }

    /// Loads these rules of nftables, in it.
    pub(crate) fn nft(&self, rules: &str) {
        let mut command = Command::new("nft");
        command.args(["-f", "-"]).stdin(Stdio::piped());
        let mut nft = self
            .inside(|| command.spawn())
            .expect("nft is needed for this test (Debian: apt-get install nftables)");
        let mut input = nft.stdin.take().expect("piped");
        input
            .write_all(rules.as_bytes())
            .expect("give it the rules");
        drop(input);
        let status = nft.wait().expect("it ends");
        assert!(status.success(), "nft refuses\n{rules}");
    }

    /// Sets one key of /proc/sys/net.
    pub(crate) fn set(&self, key: &str, value: &str) {
        let path = format!("/proc/sys/net/{key}");
        self.inside(|| std::fs::write(&path, value))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Packets that this interface has dropped because nobody took them in time.
    pub(crate) fn dropped(&self, interface: &str) -> u64 {
        let table = self
            .inside(|| std::fs::read_to_string("/proc/thread-self/net/dev"))
            .expect("/proc/net/dev");
        let line = table
            .lines()
            .find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'));
        let line = line.unwrap_or_else(|| panic!("no interface {interface}"));
        // The drops on transmission are the twelfth number.
        let numbers = line.split_whitespace().nth(11);
        numbers
            .and_then(|number| number.parse().ok())
            .expect("a number")
    }

    /// Lays a cable to `other`: an interface of this name here, one of that name there, both up, with these addresses.
    pub(crate) fn cable(&self, end: (&str, &[&str]), other: &Host, far_end: (&str, &[&str])) {
        let there = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        let (near, far) = (end.0, far_end.0);
        self.ip(&format!(
            "link add {near} type veth peer name {far} netns {there}"
        ));
        for (host, (name, addresses)) in [(self, end), (other, far_end)] {
            for address in addresses {
                // A test does not wait for duplicate address detection.
                let nodad = if address.contains(':') { "nodad" } else { "" };
                host.ip(&format!("addr add {address} dev {name} {nodad}"));
            }
            host.ip(&format!("link set {name} up"));
        }
    }
}

fn namespace_of_this_thread() -> OwnedFd {
    std::fs::File::open("/proc/thread-self/ns/net")
        .expect("the namespace of this thread")
        .into()
}
