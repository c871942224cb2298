//! `read`, `write`, `shutdown`, `close`: RECEIVE, SEND, CLOSE and ABORT (RFC 9293 §3.10.2–3.10.5).

use super::{Kind, Outcome, error, put, stream, told};
use crate::sim::script::flow::pattern;
use crate::sim::script::runner::{Check, Runner, Wrong};
use crate::sim::script::syntax::{Descriptor, How};
use crate::stack::{CloseError, ReceiveError, SendError};

pub(super) fn read(runner: &mut Runner<'_>, fd: Descriptor, size: u32) -> Check<Outcome> {
    let mut stream = match stream(runner, fd, "ENOTCONN") {
        Ok(stream) => stream,
        Err(outcome) => return Ok(outcome),
    };
    let mut buffer = vec![0; size as usize];
    let outcome = match runner
        .stack
        .receive_into(runner.now, stream.id, &mut buffer)
    {
        Ok(count) => {
            let wrong = (0u32..)
                .zip(&buffer[..count])
                .find(|(index, byte)| **byte != pattern(false, stream.read.wrapping_add(*index)));
            if let Some((index, _)) = wrong {
                return Err(Wrong::new(format!(
                    "byte {} of the stream is not what the far end sent there",
                    stream.read.wrapping_add(index)
                )));
            }
            stream.read = stream.read.wrapping_add(count as u32);
            Outcome::Value(count as i64)
        }
        Err(ReceiveError::Empty) => Outcome::Blocks,
        Err(ReceiveError::NoSuchConnection | ReceiveError::OutOfRange) => error("ENOTCONN"),
        Err(ReceiveError::Ended(reason)) => told(&mut stream, reason).unwrap_or(Outcome::Value(0)),
    };
    put(runner, fd, stream);
    Ok(outcome)
}

pub(super) fn write(
    runner: &mut Runner<'_>,
    fd: Descriptor,
    size: u32,
    urgent: bool,
    again: bool,
) -> Check<Outcome> {
    let mut stream = match stream(runner, fd, "EPIPE") {
        Ok(stream) => stream,
        Err(outcome) => return Ok(outcome),
    };
    let nonblocking = runner
        .sockets
        .open
        .get(&fd)
        .is_some_and(|socket| socket.nonblocking);
    let done = if again { stream.progress } else { 0 };
    let bytes: Vec<u8> = (done..size)
        .map(|index| pattern(true, stream.written.wrapping_add(index - done)))
        .collect();
    let connecting = runner
        .stack
        .view(stream.id)
        .is_some_and(|view| !view.connected && view.end.is_none());
    let outcome = if connecting {
        Outcome::Blocks
    } else {
        let sent = match urgent {
            true => runner.stack.send_urgent(runner.now, stream.id, &bytes),
            false => runner.stack.send(runner.now, stream.id, &bytes),
        };
        match sent {
            Ok(count) => {
                stream.written = stream.written.wrapping_add(count as u32);
                stream.progress = done + count as u32;
                match stream.progress == size || nonblocking {
                    true => Outcome::Value(stream.progress.into()),
                    false => Outcome::Blocks,
                }
            }
            Err(SendError::Full) => Outcome::Blocks,
            Err(SendError::Closing | SendError::NoSuchConnection | SendError::OutOfRange) => {
                error("EPIPE")
            }
            Err(SendError::Ended(reason)) => {
                told(&mut stream, reason).unwrap_or_else(|| error("EPIPE"))
            }
        }
    };
    if !again && outcome == Outcome::Blocks && stream.progress > size {
        stream.progress = 0;
    }
    put(runner, fd, stream);
    Ok(outcome)
}

pub(super) fn shutdown(runner: &mut Runner<'_>, fd: Descriptor, how: How) -> Check<Outcome> {
    let stream = match stream(runner, fd, "ENOTCONN") {
        Ok(stream) => stream,
        Err(outcome) => return Ok(outcome),
    };
    let mut ok = true;
    if matches!(how, How::Write | How::Both) {
        ok &= match runner.stack.shutdown_write(runner.now, stream.id) {
            Ok(()) | Err(CloseError::Closing) => true,
            Err(_) => false,
        };
    }
    if matches!(how, How::Read | How::Both) {
        ok &= runner.stack.shutdown_read(runner.now, stream.id).is_ok();
    }
    Ok(if ok {
        Outcome::Value(0)
    } else {
        error("ENOTCONN")
    })
}

pub(super) fn close(runner: &mut Runner<'_>, fd: Descriptor) -> Check<Outcome> {
    let Some(socket) = runner.sockets.open.remove(&fd) else {
        return Ok(error("EBADF"));
    };
    match socket.kind {
        Kind::Fresh => {}
        Kind::Listener(id) => {
            runner.stack.close_listener(runner.now, id);
        }
        Kind::Stream(stream) => {
            runner.sockets.closed.insert(fd, stream.peer);
            let done = match socket.linger {
                Some(0) => runner.stack.abort(runner.now, stream.id).is_ok(),
                Some(_) => return Err(Wrong::new("only a linger time of 0 is known here")),
                None => runner.stack.close(runner.now, stream.id).is_ok(),
            };
            if !done {
                return Err(Wrong::new("the connection disappeared under its user"));
            }
        }
    }
    Ok(Outcome::Value(0))
}
