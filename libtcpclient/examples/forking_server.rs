//! The classic concurrent server: a process for each connection, here one that sends everything back.
//! `cargo run -p libtcpclient --example forking_server -- 198.18.0.2:7777`
//!
//! 1. The parent accepts, and executes itself once more: `forking_server --serve NAME`.
//! 2. The child connects to the ipc-channel of that name and gives the parent a sender.
//! 3. Only then the parent hands the connection off, so that the token's time begins when somebody is there for it, and sends
//!    the `Handoff`.
//! 4. The child adopts the connection, on a session of its own, and serves it. Whatever becomes of the child costs this one
//!    connection.

use std::io;
use std::process::{Child, Command};
use std::thread;

use ipc_channel::ipc::{self, IpcOneShotServer, IpcSender};
use libtcpclient::{Handoff, TcpListener, TcpStream};

/// What the child gives its parent.
type ToChild = IpcSender<Handoff>;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("--serve"), Some(name)) => serve(name),
        (address, _) => listen(address.unwrap_or("198.18.0.2:7777")),
    }
}

fn listen(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    eprintln!("listening at {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept()?;
        match start_child() {
            Ok((server, child, name)) => {
                thread::spawn(move || {
                    if let Err(error) = give(stream, server) {
                        eprintln!("{peer}: {error}");
                    }
                });
                thread::spawn(move || wait(child, name));
            }
            // The connection closes; the next one may have more luck.
            Err(error) => eprintln!("{peer}: no process for it: {error}"),
        }
    }
}

fn start_child() -> io::Result<(IpcOneShotServer<ToChild>, Child, String)> {
    let (server, name) = IpcOneShotServer::new()?;
    let child = Command::new(std::env::current_exe()?)
        .args(["--serve", &name])
        .spawn()?;
    Ok((server, child, name))
}

/// Waits for the child, and sends it the connection.
fn give(stream: TcpStream, server: IpcOneShotServer<ToChild>) -> io::Result<()> {
    let (_, child) = server.accept().map_err(io::Error::other)?;
    let handoff = stream.into_handoff()?;
    child.send(handoff).map_err(io::Error::other)
}

/// Waits for the end of the child. One that ended before it said a word leaves [`give`] waiting for ever; a word that says
/// nothing ends that.
fn wait(mut child: Child, name: String) {
    match child.wait() {
        Ok(status) if status.success() => {}
        Ok(status) => eprintln!("process {}: {status}", child.id()),
        Err(error) => eprintln!("process {}: {error}", child.id()),
    }
    // Nobody listens there any more when all went well.
    drop(IpcSender::<ToChild>::connect(name));
}

/// The child's whole life.
fn serve(name: String) -> io::Result<()> {
    let (to_us, from_parent) = ipc::channel()?;
    let parent = IpcSender::<ToChild>::connect(name)?;
    parent.send(to_us).map_err(io::Error::other)?;
    let handoff = from_parent.recv().map_err(io::Error::other)?;
    let stream = TcpStream::adopt(handoff)?;
    io::copy(&mut &stream, &mut &stream)?;
    Ok(())
}
