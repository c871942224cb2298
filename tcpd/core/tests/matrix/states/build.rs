//! How each state is reached: real calls, and real segments of a peer.

use std::time::Duration;

use tcpd_core::wire::SequenceNumber;

use super::Impossible;
use crate::world::{RING, World};

const NOTHING_ARRIVED: Impossible = "no text can have arrived before ESTABLISHED";
const LET_GO: Impossible = "the user has let go: a CLOSE with unread text resets instead";
const NO_TIMESTAMPS: Impossible = "timestamps are agreed on SYNs only, and none has come";
const EMPTY_RING: Impossible = "the ring is full of unread text by definition: see the other cells";

fn nothing_known(world: &World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(NOTHING_ARRIVED);
    }
    if world.setup.timestamps {
        return Err(NO_TIMESTAMPS);
    }
    Ok(())
}

pub(super) fn closed(world: &mut World) -> Result<(), Impossible> {
    nothing_known(world)
}

pub(super) fn closed_held(world: &mut World) -> Result<(), Impossible> {
    if world.setup.timestamps {
        return Err("the connection is gone, and what was agreed with it");
    }
    open(world);
    world.close_listener();
    let (nxt, rcv) = world.next();
    world.tell("R", rcv, nxt, b"");
    world.quiet();
    Ok(())
}

pub(super) fn listen(world: &mut World) -> Result<(), Impossible> {
    nothing_known(world)?;
    world.listen(1);
    world.id = world.listener.endpoint();
    Ok(())
}

pub(super) fn listen_full(world: &mut World) -> Result<(), Impossible> {
    listen(world)?;
    world.fill_queue();
    Ok(())
}

pub(super) fn listen_cookie(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(NOTHING_ARRIVED);
    }
    world.listen(1);
    world.id = world.listener.endpoint();
    world.another_syn();
    world.tell("S", world.isn, SequenceNumber(0), b"");
    let answer = world.transmitted().pop().expect("SYN-ACK");
    world.cookie = Some(answer.seq);
    assert_eq!(world.find(), None, "nothing is kept");
    Ok(())
}

pub(super) fn syn_sent(world: &mut World) -> Result<(), Impossible> {
    nothing_known(world)?;
    world.connect();
    Ok(())
}

pub(super) fn syn_received(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(NOTHING_ARRIVED);
    }
    world.listen(1);
    world.tell("S", world.isn, SequenceNumber(0), b"");
    world.quiet();
    Ok(())
}

pub(super) fn syn_received_full(world: &mut World) -> Result<(), Impossible> {
    syn_received(world)?;
    world.fill_queue();
    Ok(())
}

pub(super) fn syn_received_reopened(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(NOTHING_ARRIVED);
    }
    time_wait_orphan(world)?;
    let (nxt, rcv) = world.next();
    world.tell("S", rcv + 1000, nxt, b"");
    world.isn = rcv + 1000;
    world.quiet();
    Ok(())
}

pub(super) fn syn_received_active(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(NOTHING_ARRIVED);
    }
    world.connect();
    world.quiet();
    world.tell("S", world.isn, SequenceNumber(0), b"");
    Ok(())
}

/// ESTABLISHED as most connections are: opened by the peer, accepted, used in both directions, and idle.
fn open(world: &mut World) {
    world.listen(1);
    world.tell("S", world.isn, SequenceNumber(0), b"");
    world.quiet();
    world.id = world.find().expect("a half-open entry");
    let (nxt, rcv) = world.next();
    world.tell(".", rcv, nxt, b"");
    world.id = world
        .stack
        .accept(world.now, world.listener)
        .expect("accepted");
    for _ in 0..2 {
        send(world, 1000);
        let (nxt, rcv) = world.next();
        world.tell(".", rcv, nxt, b"");
    }
    arrive(world, 200);
    let read = world
        .stack
        .receive_into(world.now, world.id, &mut [0; 1000]);
    assert_eq!(read, Ok(200));
    world.pass(Duration::from_secs(2));
    if world.setup.unread {
        arrive(world, 10);
        world.pass(Duration::from_secs(2));
    }
    if world.setup.peer_window_closed {
        world.window = 0;
        let (nxt, rcv) = world.next();
        world.tell(".", rcv, nxt, b"");
    }
    world.quiet();
}

/// The user writes.
pub(crate) fn send(world: &mut World, count: usize) {
    let sent = world.stack.send(world.now, world.id, &vec![b's'; count]);
    assert_eq!(sent, Ok(count));
    world.transmitted();
}

/// Text from the peer, in order.
pub(crate) fn arrive(world: &mut World, count: usize) {
    let (nxt, rcv) = world.next();
    world.tell("P.", rcv, nxt, &vec![b'r'; count]);
    world.transmitted();
}

pub(super) fn established(world: &mut World) -> Result<(), Impossible> {
    open(world);
    Ok(())
}

pub(super) fn established_unacked(world: &mut World) -> Result<(), Impossible> {
    open(world);
    send(world, 10);
    Ok(())
}

pub(super) fn established_window_0(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread || world.setup.acknowledgment_owed {
        return Err(EMPTY_RING);
    }
    open(world);
    for _ in 0..RING / 1024 {
        arrive(world, 1024);
    }
    world.pass(Duration::from_secs(2));
    assert_eq!(world.status().expect("a connection").rcv_wnd, 0);
    Ok(())
}

fn shut_down_writing(world: &mut World) {
    world
        .stack
        .shutdown_write(world.now, world.id)
        .expect("writing was open");
}

fn close(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(LET_GO);
    }
    world
        .stack
        .close(world.now, world.id)
        .expect("the user held it");
    Ok(())
}

pub(super) fn fin_wait_1(world: &mut World) -> Result<(), Impossible> {
    open(world);
    shut_down_writing(world);
    Ok(())
}

pub(super) fn fin_wait_1_unacked(world: &mut World) -> Result<(), Impossible> {
    open(world);
    send(world, 10);
    shut_down_writing(world);
    Ok(())
}

pub(super) fn fin_wait_1_orphan(world: &mut World) -> Result<(), Impossible> {
    open(world);
    close(world)
}

pub(super) fn fin_wait_1_unsent(world: &mut World) -> Result<(), Impossible> {
    world.setup.peer_window_closed = true;
    fin_wait_1(world)
}

pub(super) fn fin_wait_1_opening(world: &mut World) -> Result<(), Impossible> {
    syn_received_active(world)?;
    world.quiet();
    shut_down_writing(world);
    Ok(())
}

/// The peer acknowledges our FIN, which has left by then, though it be as a probe.
fn acknowledge_fin(world: &mut World) {
    world.quiet();
    if world.setup.peer_window_closed {
        world.pass(Duration::from_secs(2));
    }
    let (nxt, rcv) = world.next();
    world.tell(".", rcv, nxt, b"");
    world.quiet();
}

pub(super) fn fin_wait_2(world: &mut World) -> Result<(), Impossible> {
    fin_wait_1(world)?;
    acknowledge_fin(world);
    Ok(())
}

pub(super) fn fin_wait_2_orphan(world: &mut World) -> Result<(), Impossible> {
    fin_wait_1_orphan(world)?;
    acknowledge_fin(world);
    Ok(())
}

/// The peer's FIN, which acknowledges nothing new.
fn fin_arrives(world: &mut World) {
    world.quiet();
    let status = world.status().expect("a connection");
    world.tell("F.", status.rcv_nxt, status.snd_una, b"");
}

pub(super) fn close_wait(world: &mut World) -> Result<(), Impossible> {
    open(world);
    fin_arrives(world);
    if !world.setup.acknowledgment_owed {
        world.pass(Duration::from_secs(2));
    }
    Ok(())
}

pub(super) fn close_wait_unacked(world: &mut World) -> Result<(), Impossible> {
    if world.setup.acknowledgment_owed {
        return Err("what is unacknowledged of ours carried the ACK already");
    }
    close_wait(world)?;
    send(world, 10);
    Ok(())
}

pub(super) fn closing(world: &mut World) -> Result<(), Impossible> {
    fin_wait_1(world)?;
    fin_arrives(world);
    Ok(())
}

pub(super) fn closing_unacked(world: &mut World) -> Result<(), Impossible> {
    fin_wait_1_unacked(world)?;
    fin_arrives(world);
    Ok(())
}

pub(super) fn closing_orphan(world: &mut World) -> Result<(), Impossible> {
    fin_wait_1_orphan(world)?;
    fin_arrives(world);
    Ok(())
}

pub(super) fn last_ack(world: &mut World) -> Result<(), Impossible> {
    close_wait(world)?;
    shut_down_writing(world);
    Ok(())
}

pub(super) fn last_ack_unacked(world: &mut World) -> Result<(), Impossible> {
    close_wait(world)?;
    send(world, 10);
    shut_down_writing(world);
    Ok(())
}

pub(super) fn last_ack_orphan(world: &mut World) -> Result<(), Impossible> {
    close_wait(world)?;
    close(world)
}

/// Time passes, so that one sees when 2MSL start anew.
fn some_time_later(world: &mut World) {
    world.pass(Duration::from_secs(2));
}

pub(super) fn time_wait(world: &mut World) -> Result<(), Impossible> {
    fin_wait_2(world)?;
    fin_arrives(world);
    some_time_later(world);
    Ok(())
}

pub(super) fn time_wait_orphan(world: &mut World) -> Result<(), Impossible> {
    fin_wait_2_orphan(world)?;
    fin_arrives(world);
    some_time_later(world);
    Ok(())
}

pub(super) fn time_wait_no_listener(world: &mut World) -> Result<(), Impossible> {
    time_wait_orphan(world)?;
    world.close_listener();
    Ok(())
}

pub(super) fn time_wait_crossed(world: &mut World) -> Result<(), Impossible> {
    closing_orphan(world)?;
    acknowledge_fin(world);
    some_time_later(world);
    Ok(())
}
