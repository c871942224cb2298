//! What commands say on standard error: a pipe each, logged line by line with service and process.
//!
//! A stream lasts until its writers have closed it or its worker has ended, whichever is first: what a command leaves
//! running has no log. One that says much is read slowly ([`Lines`]); then the command waits, and nothing is lost.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use libtcpclient::protocol::{ErrorCode, Reply};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use tcpd_core::time::Instant;

use self::lines::Lines;
use super::super::orders::SessionId;
use super::clients::{Client, End};
use super::{ControlLoop, Spawner};
use crate::services::link::JobId;

mod lines;

/// The tokens from here on are jobs' streams.
pub(super) const FIRST: usize = 1 << (usize::BITS - 2);

/// Bytes read at once.
const CHUNK: usize = 4096;
/// Most that is read of a stream whose worker has ended: what a pipe holds.
const LAST_CHUNKS: usize = 16;

/// The streams open.
#[derive(Debug, Default)]
pub(super) struct ErrorStreams {
    streams: HashMap<JobId, ErrorStream>,
    /// May have something to read.
    ready: VecDeque<JobId>,
    /// Have said enough for now, until then.
    resting: BTreeSet<(Instant, JobId)>,
}

#[derive(Debug)]
struct ErrorStream {
    pipe: OwnedFd,
    service: String,
    pid: u32,
    lines: Lines,
    /// It stands in one of the lists of [`ErrorStreams`].
    listed: bool,
}

/// What a look at a stream came to.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// There may be more.
    Something,
    /// Nothing more for now.
    Nothing,
    /// It is over.
    End,
}

impl ErrorStream {
    /// Reads once and logs what is whole.
    fn hear(&mut self, now: Instant) -> Heard {
        let mut buffer = [0; CHUNK];
        match rustix::io::read(&self.pipe, &mut buffer) {
            Ok(0) => Heard::End,
            Ok(length) => {
                let (service, pid) = (&self.service, self.pid);
                self.lines.take(now, &buffer[..length], |line| {
                    tracing::info!(service, pid, "{line}");
                });
                Heard::Something
            }
            Err(Errno::INTR) => Heard::Something,
            Err(Errno::AGAIN) => Heard::Nothing,
            Err(error) => {
                tracing::warn!(%error, service = self.service, "an error stream cannot be read");
                Heard::End
            }
        }
    }

    /// Logs what is left, ended or not.
    fn finish(&mut self, now: Instant) {
        for _ in 0..LAST_CHUNKS {
            if self.hear(now) != Heard::Something {
                break;
            }
        }
        let (service, pid) = (&self.service, self.pid);
        self.lines
            .end(|line| tracing::info!(service, pid, "{line}"));
    }
}

impl ErrorStreams {
    /// Whether there is none.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Whether some of them can be read now.
    pub(super) fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When one that rests is heard again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.resting.first().map(|(at, _)| *at)
    }

    /// Reads of every stream that has something, a bounded piece; those that are over.
    fn hear(&mut self, now: Instant) -> Vec<JobId> {
        while let Some(&(at, job)) = self.resting.first()
            && at <= now
        {
            self.resting.pop_first();
            self.ready.push_back(job);
        }
        let mut over = Vec::new();
        for job in std::mem::take(&mut self.ready) {
            let Some(stream) = self.streams.get_mut(&job) else {
                continue;
            };
            if let Some(until) = stream.lines.rests(now) {
                self.resting.insert((until, job));
                continue;
            }
            match stream.hear(now) {
                Heard::Something => self.ready.push_back(job),
                Heard::Nothing => stream.listed = false,
                Heard::End => over.push(job),
            }
        }
        over
    }

    /// Something was written, or it was closed.
    pub(super) fn on_event(&mut self, token: usize) {
        let job = JobId((token - FIRST) as u64);
        if let Some(stream) = self.streams.get_mut(&job)
            && !std::mem::replace(&mut stream.listed, true)
        {
            self.ready.push_back(job);
        }
    }
}

impl<W: Spawner> ControlLoop<W> {
    /// The session of a command's worker wants a standard error.
    pub(super) fn give_error_stream(&mut self, id: SessionId, number: u32) -> Result<(), End> {
        let grant = self
            .clients
            .get_mut(id)
            .and_then(|Client { grant, session, .. }| {
                let grant = grant.as_mut().filter(|grant| grant.may_have_errors)?;
                grant.may_have_errors = false;
                Some((grant.job, grant.service_name.clone(), session.identity.pid))
            });
        let Some((job, service, pid)) = grant else {
            let rule = "rule worker: an error stream is for a command's worker, once";
            return self.reply(id, number, Reply::error(ErrorCode::NotPermitted, rule));
        };
        match self.open_error_stream(job, service, pid) {
            Ok(theirs) => {
                let Some(client) = self.clients.get_mut(id) else {
                    return Ok(());
                };
                let reply = Reply::Stream.encode(number);
                client
                    .session
                    .send_with(reply, vec![theirs])
                    .map_err(End::of)
            }
            Err(error) => {
                let failure = Reply::error(ErrorCode::InsufficientResources, error.to_string());
                self.reply(id, number, failure)
            }
        }
    }

    fn open_error_stream(&mut self, job: JobId, service: String, pid: u32) -> io::Result<OwnedFd> {
        let (pipe, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let token = usize::try_from(job.0).map_err(io::Error::other)?;
        self.poll.registry().register(
            &mut SourceFd(&pipe.as_raw_fd()),
            Token(FIRST + token),
            Interest::READABLE,
        )?;
        let stream = ErrorStream {
            pipe,
            service,
            pid,
            lines: Lines::default(),
            listed: false,
        };
        self.error_streams.streams.insert(job, stream);
        Ok(theirs)
    }

    /// Reads of every stream that has something, a bounded piece.
    pub(super) fn hear_errors(&mut self, now: Instant) {
        for job in self.error_streams.hear(now) {
            self.close_error_stream(now, job);
        }
    }

    /// Closes the streams of workers that have ended.
    pub(super) fn close_error_streams(&mut self, now: Instant) {
        let jobs = self.error_streams.streams.keys();
        let over = jobs.filter(|job| !self.services.has_job(**job));
        for job in over.copied().collect::<Vec<_>>() {
            self.close_error_stream(now, job);
        }
    }

    fn close_error_stream(&mut self, now: Instant, job: JobId) {
        let Some(mut stream) = self.error_streams.streams.remove(&job) else {
            return;
        };
        stream.finish(now);
        let descriptor = stream.pipe.as_raw_fd();
        if let Err(error) = self.poll.registry().deregister(&mut SourceFd(&descriptor)) {
            tracing::debug!(%error, "an error stream was not watched");
        }
    }
}
