//! Both networks of the bench: the kernel that is measured, the relay, and the peers behind it.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};

use libtcpclient::client::builder::Builder;
use libtcpclient::client::control::Control;
use libtcpclient::client::session::Session;
use libtcpclient::protocol::Filter;
use libtcpclient::protocol::status::ConnectionStatus;

use super::flow::{Received, serve};
use crate::common::daemon::{Daemon, STACK_V4};
use crate::common::host::Host;
use crate::common::relay::{FAR, FAR_INTERFACE, NEAR_INTERFACE, Relay};
use crate::use_cubic;

/// Where both peers listen.
pub(super) const PORT: u16 = 5001;

/// In both namespaces, so that both sides have the same chance and no connection learns from an earlier one.
const SETTINGS: &[(&str, &str)] = &[
    // What Linux has by default on a machine with enough memory: 6 MiB to receive, 4 MiB to send.
    ("ipv4/tcp_rmem", "4096 131072 6291456"),
    ("ipv4/tcp_wmem", "4096 16384 4194304"),
    // Neither ssthresh nor RTT of an earlier connection.
    ("ipv4/tcp_no_metrics_save", "1"),
    ("ipv4/ip_forward", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
];

/// What is there as long as the bench runs.
pub(super) struct Lab {
    pub(super) relay: Relay,
    pub(super) results: Results,
    pub(super) daemon: Daemon,
    here: Host,
    far: Host,
}

/// Where the far end leaves what it received, for the near end of the same connection, by the near end's port.
pub(super) type Results = Arc<Mutex<HashMap<u16, mpsc::Sender<Received>>>>;

impl Lab {
    /// `set` are `key=value` for the daemon.
    pub(super) fn new(set: &[&str]) -> Lab {
        let here = Host::here();
        let far = Host::new();
        for (key, value) in SETTINGS {
            here.set(key, value);
            far.set(key, value);
        }
        let relay = Relay::start(&far);
        let daemon = far.inside(|| Daemon::start_with("", set));
        here.ip(&format!(
            "route add {STACK_V4}/32 via {FAR} dev {NEAR_INTERFACE}"
        ));
        let lab = Lab {
            relay,
            results: Results::default(),
            daemon,
            here,
            far,
        };
        lab.listen_on_the_kernel();
        lab.listen_on_tcpd();
        lab
    }

    /// Packets that an interface dropped because nobody took them in time: none, or the relay was not the only one that lost some.
    pub(super) fn dropped_elsewhere(&self) -> Vec<(&'static str, u64)> {
        let interfaces = [
            (&self.here, NEAR_INTERFACE),
            (&self.far, FAR_INTERFACE),
            (&self.far, "tcpd0"),
        ];
        let dropped = |(host, name): (&Host, &'static str)| (name, host.dropped(name));
        interfaces.map(dropped).to_vec()
    }

    /// The daemon's view of the connection whose far port is `port`.
    pub(super) fn look(&self, port: u16) -> Option<ConnectionStatus> {
        let mut control = Control::connect_to(&self.daemon.socket()).ok()?;
        let id = control.list(&Filter::default()).find_map(|row| {
            let row = row.ok()?;
            (row.peer.port() == port).then_some(row.id)
        })?;
        control.show(&id).ok()
    }

    fn listen_on_the_kernel(&self) {
        let listener = self.far.inside(|| TcpListener::bind((FAR, PORT)));
        let listener = listener.expect("the kernel listens");
        use_cubic(&listener);
        let results = Arc::clone(&self.results);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("accept");
                let results = Arc::clone(&results);
                std::thread::spawn(move || serve(stream, &results));
            }
        });
    }

    fn listen_on_tcpd(&self) {
        let session = Session::open_at(&self.daemon.socket()).expect("a session with tcpd");
        let listener = Builder::new()
            .session(&session)
            .listen((STACK_V4, PORT))
            .expect("tcpd listens");
        let results = Arc::clone(&self.results);
        std::thread::spawn(move || {
            // It ends with the daemon.
            while let Ok((stream, _)) = listener.accept() {
                let results = Arc::clone(&results);
                std::thread::spawn(move || serve(stream, &results));
            }
        });
    }
}
