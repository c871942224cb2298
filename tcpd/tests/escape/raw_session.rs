//! A worker that speaks the protocol by itself: on the one session it has, it asks for everything there is.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use fuzzing::first_word;
use libtcpclient::protocol::{
    Connect, Filter, FromDaemon, Hello, Listen, MAX_MESSAGE, Reply, Request, ShutdownHow,
    StreamOptions, VERSION,
};
use libtcpclient::socket::{MAX_FDS, Received, Seqpacket};
use tcpd::services::builtin::Connection;
use tcpd::services::link::{Assignment, Ticket};
use tcpd::services::worker::WorkerConnection;
use tcpd_core::stack::EndpointId;

/// The service whose workers are of this kind.
pub(crate) const SERVICE: &str = "raw";
/// How the line begins in which such a worker reports: JSON follows.
pub(crate) const REPORT: &str = "raw session: ";
/// Connections are named by index and generation; so many of each are tried.
pub(crate) const NAMES: (u32, u32) = (24, 6);

/// How often a request was answered so: `ControlReset: NotPermitted`.
pub(crate) type Report = BTreeMap<String, u32>;

/// A session without the library.
pub(crate) struct RawSession {
    socket: Seqpacket,
    number: u32,
    /// Arena and bell: who closes its bell ends its session.
    kept: Vec<OwnedFd>,
}

impl RawSession {
    /// Says Hello; with a token as a worker, otherwise as a client with an arena.
    pub(crate) fn open(path: &std::path::Path, token: Option<[u8; 16]>) -> io::Result<RawSession> {
        let mut session = RawSession {
            socket: Seqpacket::connect(path)?,
            number: 0,
            kept: Vec::new(),
        };
        match session.ask(&hello(token))? {
            Reply::Welcome(_) => Ok(session),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }

    /// Asks and waits for the answer.
    pub(crate) fn ask(&mut self, request: &Request) -> io::Result<Reply> {
        self.number += 1;
        self.socket.send(&request.encode(self.number))?;
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            let (received, descriptors) = self.socket.recv_with_fds(&mut buffer, MAX_FDS)?;
            self.kept.extend(descriptors);
            let Received::Message(length) = received else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            match FromDaemon::decode(&buffer[..length]) {
                Ok(FromDaemon::Reply(number, reply)) if number == self.number => return Ok(reply),
                Ok(_) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

fn hello(token: Option<[u8; 16]>) -> Request {
    Request::Hello(Hello {
        version: VERSION,
        arena: true,
        token,
        program: "escape".to_owned(),
    })
}

/// Adopts the connection as every worker does.
pub(crate) fn adopt(
    assignment: &Assignment,
    ticket: &Ticket,
) -> io::Result<Box<dyn WorkerConnection>> {
    let mut session = RawSession::open(&assignment.socket, Some(ticket.token.0))?;
    match session.ask(&Request::Adopt)? {
        Reply::Adopted(opened) => Ok(Box::new(Raw {
            session,
            own: EndpointId::from_bits(opened.connection),
            token: ticket.token.0,
        })),
        other => Err(io::Error::other(format!("{other:?}"))),
    }
}

/// A connection that nobody reads: the handler's first read is when all is asked.
struct Raw {
    session: RawSession,
    own: EndpointId,
    token: [u8; 16],
}

impl Raw {
    fn ask_everything(&mut self) -> io::Result<Report> {
        let mut report = Report::new();
        for request in once(self.token) {
            self.note(&mut report, &request)?;
        }
        let (indices, generations) = NAMES;
        for index in 0..indices {
            for generation in 0..generations {
                let other = EndpointId::from_bits(u64::from(generation) << 32 | u64::from(index));
                if other == self.own {
                    continue;
                }
                for request in about(other) {
                    self.note(&mut report, &request)?;
                }
            }
        }
        Ok(report)
    }

    fn note(&mut self, report: &mut Report, request: &Request) -> io::Result<()> {
        let answer = match self.session.ask(request)? {
            Reply::Error(failure) => format!("{:?}", failure.code),
            other => first_word(&other),
        };
        let key = format!("{}: {answer}", first_word(request));
        *report.entry(key).or_insert(0) += 1;
        Ok(())
    }
}

/// Everything that is about somebody else's connection.
pub(crate) fn about(other: EndpointId) -> Vec<Request> {
    let (connection, id) = (other.to_bits(), other.to_string());
    let options = StreamOptions::default();
    vec![
        Request::Shutdown {
            connection,
            how: ShutdownHow::Both,
        },
        Request::Close {
            connection,
            linger_ms: Some(0),
        },
        Request::Abort { connection },
        Request::SetOptions {
            connection,
            options,
        },
        Request::GrowTransmit { connection },
        Request::ConnectionStatus { connection },
        Request::IntoSocket { connection },
        Request::HandOff {
            connection,
            uid: None,
        },
        Request::CloseListener {
            listener: connection,
        },
        Request::Accept {
            listener: connection,
            nonblocking: true,
        },
        Request::Show { id: id.clone() },
        Request::ControlClose { id: id.clone() },
        Request::ControlSet {
            id: id.clone(),
            settings: "congestion=newreno".to_owned(),
        },
        Request::ControlReset { id },
    ]
}

/// Everything else, but Ping, which is allowed, and ErrorStream, which is a command's.
fn once(token: [u8; 16]) -> Vec<Request> {
    let options = StreamOptions::default();
    let all = Filter::default;
    vec![
        hello(None),
        hello(Some(token)),
        Request::Adopt,
        Request::AdoptHandoff { token },
        Request::Listen(Listen {
            address: None,
            port: 0,
            reuse: true,
            backlog: 1,
            options,
        }),
        Request::Connect(Connect {
            local: None,
            local_port: 0,
            reuse: false,
            remote: "198.18.0.2:7".parse().expect("an address"),
            timeout_ms: 1000,
            options,
        }),
        Request::List {
            filter: all(),
            cursor: 0,
        },
        Request::Listeners {
            filter: all(),
            cursor: 0,
        },
        Request::Stats { cursor: 0 },
        Request::Services { cursor: 0 },
        Request::Sessions { cursor: 0 },
        Request::Users { cursor: 0 },
        Request::DaemonStatus,
        Request::Reload,
        Request::Drain { grace_ms: Some(0) },
    ]
}

impl Read for Raw {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let report = self.ask_everything()?;
        let line = format!("{REPORT}{}\n", serde_json::to_string(&report)?);
        io::stderr().write_all(line.as_bytes())?;
        Ok(0)
    }
}

impl Write for Raw {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Connection for Raw {
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_read_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn read_arrived(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl WorkerConnection for Raw {
    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}
