//! A daemon of a few lines: it listens where a test wants it, and answers what the test tells it to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use libtcpclient::protocol::{MAX_MESSAGE, Reply, Request, VERSION, Welcome};
use libtcpclient::socket::{Received, Seqpacket, SeqpacketListener};

/// What the fake daemon does about a request.
pub(crate) enum Answer {
    /// Answers it.
    Reply(Reply),
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Sends these messages, one after the other.
    Messages(Vec<Vec<u8>>),
    /// Closes the connection, as a daemon that is killed.
    Die,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        Answer::Reply(reply)
    }
}

type Script = dyn FnMut(u32, &Request) -> Answer + Send;

/// Lives until it is dropped.
pub(crate) struct FakeDaemon {
    directory: Directory,
    requests: Arc<Mutex<Vec<Request>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeDaemon {
    /// Greets everybody, and answers everything after that by `script`.
    pub(crate) fn new(mut script: impl FnMut(&Request) -> Answer + Send + 'static) -> FakeDaemon {
        FakeDaemon::rude(move |_, request| match request {
            Request::Hello(_) => Answer::Reply(welcome()),
            request => script(request),
        })
    }

    /// Answers everything by `script`, also the greeting.
    pub(crate) fn rude(script: impl FnMut(u32, &Request) -> Answer + Send + 'static) -> FakeDaemon {
        let directory = Directory::new();
        let listener =
            SeqpacketListener::bind(&directory.socket()).expect("listen on the test's socket");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let (seen, stop) = (Arc::clone(&requests), Arc::clone(&stopping));
        let mut script: Box<Script> = Box::new(script);
        let thread = std::thread::spawn(move || {
            while let Ok(client) = listener.accept() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                serve(&client, &mut *script, &seen);
            }
        });
        FakeDaemon {
            directory,
            requests,
            stopping,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.socket()
    }

    /// What it was asked so far, without the greetings.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let requests = self.requests.lock().expect("the requests").clone();
        requests
            .into_iter()
            .filter(|request| !matches!(request, Request::Hello(_)))
            .collect()
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // The thread waits for a client: this is the last one, also where a test closed the socket to everybody.
        let _ = fs::set_permissions(self.socket(), fs::Permissions::from_mode(0o600));
        let _ = Seqpacket::connect(&self.socket());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(client: &Seqpacket, script: &mut Script, seen: &Mutex<Vec<Request>>) {
    let mut buffer = vec![0; MAX_MESSAGE];
    while let Ok(Received::Message(len)) = client.recv(&mut buffer) {
        let (number, request) =
            Request::decode(&buffer[..len]).expect("tcpctl speaks the protocol");
        let messages = match script(number, &request) {
            Answer::Reply(reply) => vec![reply.encode(number)],
            Answer::Bytes(bytes) => vec![bytes],
            Answer::Messages(messages) => messages,
            Answer::Die => return,
        };
        seen.lock().expect("the requests").push(request);
        for message in messages {
            if client.send(&message).is_err() {
                return;
            }
        }
    }
}

/// The greeting of a daemon that has no arena to give.
pub(crate) fn welcome() -> Reply {
    Reply::Welcome(Welcome {
        version: VERSION,
        stack_threads: 0,
        slots: 0,
        ring_maximum: 0,
        session: 1,
        daemon_version: "0.1.0-fake".to_owned(),
    })
}

/// A directory of the test's own, removed at the end. Its path is short, as a socket's must be.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "tcpctl-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("make the test's directory");
        Directory(path)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("tcpd.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
