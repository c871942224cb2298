//! The kernel's programs at tcpd's services: each connection is served exactly to its end, unless its worker was killed.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tcpd_core::random::Generator;

use crate::common::pair::{PATIENCE, ours, patient};
use crate::common::pattern::Pattern;

/// Of the services.
pub(super) const PORTS: [u16; 4] = [7, 8, 9, 10];
/// So many at a time: as many orders as tcpd gives its spawner at once, and some.
const PEERS: u64 = 40;
/// The most that is on its way in a conversation.
const MOST: u64 = 30_000;

/// All of them.
pub(super) struct Peers {
    common: Arc<Common>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Common {
    over: AtomicBool,
    served: AtomicU64,
    /// Ports of those whose worker is killed.
    doomed: Mutex<HashSet<u16>>,
    /// Workers killed before they said whose they are.
    nameless: AtomicU64,
    /// Ports of those that were not served to the end, and why.
    broken: Mutex<Vec<(u16, String)>>,
}

impl Peers {
    pub(super) fn start(seed: u64) -> Peers {
        let common = Arc::<Common>::default();
        let threads = (0..PEERS).map(|number| {
            let common = Arc::clone(&common);
            thread::spawn(move || common.be_served(seed + number))
        });
        Peers {
            threads: threads.collect(),
            common,
        }
    }

    /// The worker of the peer with this port is about to be killed.
    pub(super) fn doom(&self, port: u16) {
        self.common.doomed.lock().expect("no panic").insert(port);
    }

    /// A worker is about to be killed that has not said whose it is.
    pub(super) fn doom_somebody(&self) {
        self.common.nameless.fetch_add(1, Relaxed);
    }

    /// Ends them: who was not doomed was served. How many were.
    pub(super) fn finish(self) -> u64 {
        self.common.over.store(true, Relaxed);
        for thread in self.threads {
            thread.join().expect("no panic");
        }
        let doomed = self.common.doomed.lock().expect("no panic");
        let broken = self.common.broken.lock().expect("no panic");
        let nameless = self.common.nameless.load(Relaxed);
        let unexplained: Vec<_> = broken
            .iter()
            .filter(|(port, _)| !doomed.contains(port))
            .collect();
        println!(
            "{} connections were broken; {} workers were killed by name, {nameless} before they had one",
            broken.len(),
            doomed.len()
        );
        assert!(
            unexplained.len() as u64 <= nameless,
            "broken, and not by their own worker's death: {unexplained:?}"
        );
        self.common.served.load(Relaxed)
    }
}

impl Common {
    fn be_served(&self, seed: u64) {
        let mut random = Generator::from_seed(seed);
        while !self.over.load(Relaxed) {
            let service = ours(PORTS[random.below(PORTS.len() as u64) as usize]);
            let stream = TcpStream::connect_timeout(&service, PATIENCE).expect("tcpd listens");
            let port = stream.local_addr().expect("its address").port();
            patient(&stream);
            match converse(stream, &mut random) {
                Ok(()) => _ = self.served.fetch_add(1, Relaxed),
                Err(error) => {
                    let mut broken = self.broken.lock().expect("no panic");
                    broken.push((port, error.to_string()));
                }
            }
        }
    }
}

/// Sends words of any length and gets them back, then the end both ways.
fn converse(mut stream: TcpStream, random: &mut Generator) -> io::Result<()> {
    let mut pattern = Pattern::new(random.next_u64());
    let (mut word, mut back) = (Vec::new(), Vec::new());
    for _ in 0..random.below(8) {
        let length = 1 + random.below(MOST) as usize;
        word.resize(length, 0);
        back.resize(length, 0);
        pattern.fill(&mut word);
        stream.write_all(&word)?;
        stream.read_exact(&mut back)?;
        assert!(word == back, "other bytes came back");
        thread::sleep(Duration::from_millis(random.below(40)));
    }
    stream.shutdown(Shutdown::Write)?;
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => panic!("more came back than was sent"),
    }
}
