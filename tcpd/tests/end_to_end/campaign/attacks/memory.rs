//! What is written into shared memory, and what is done to it.

use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::Release;
use std::thread;

use libtcpclient::protocol::{Opened, Reply, Request};
use rustix::fs::{FallocateFlags, fallocate};
use tcpd_core::random::Generator;

use super::super::attacker::Target;
use crate::hostile::liar::{BLOCK, HEADER, Liar, connect_to};

fn connected(liar: &mut Liar, target: &Target, most: usize) -> Vec<Opened> {
    let mut all = Vec::new();
    for _ in 0..most {
        if let Some(Reply::Connected(opened)) = liar.try_ask(&connect_to(target.peer)) {
            all.push(opened);
        }
    }
    all
}

fn value(random: &mut Generator) -> u64 {
    match random.below(6) {
        0 => random.next_u64(),
        1 => random.below(1 << 17),
        2 => u64::MAX,
        3 => 0,
        4 => 1 << random.below(64),
        _ => random.next_u64() & random.next_u64() & random.next_u64(),
    }
}

/// Indexes, geometries, notices, states, events: any value in any word of some slots, while bytes are written.
pub(super) fn words(target: &Target, random: &mut Generator) {
    let Some(mut liar) = target.open() else {
        return;
    };
    let opened = connected(&mut liar, target, 4);
    let file = liar.file();
    for _ in 0..2000 {
        for opened in &opened {
            let header = liar.arena.header(opened.slot);
            // What an honest client does now and then, so that there is something to break.
            let written = random.below(3) / 2 * random.below(3000);
            header.transmit_client.write.fetch_add(written, Release);
            let word = match random.chance(0.001) {
                true => 8 * random.below(HEADER / 8),
                // The daemon's own words, which it must not read back.
                false => 128 + 8 * random.below((HEADER - 128) / 8),
            };
            let place = liar.header_offset_of(opened.slot) + word;
            file.write_all_at(&value(random).to_le_bytes(), place).ok();
            let _ = liar.arena.doorbells(0).to_daemon.mark(opened.slot);
        }
        if liar.bell.ring().is_err() {
            return;
        }
    }
}

/// Every bit of every bitmap and sleep flag, all the time, and the bell rung for nothing.
pub(super) fn bells(target: &Target, random: &mut Generator) {
    let Some(mut liar) = target.open() else {
        return;
    };
    let _opened = connected(&mut liar, target, 8);
    let file = liar.file();
    let noise = [0xff; BLOCK as usize];
    for round in 0..1_000 {
        if random.chance(0.9) {
            file.write_all_at(&noise, 0).ok();
        } else {
            let place = 8 * random.below(BLOCK / 8);
            file.write_all_at(&value(random).to_le_bytes(), place).ok();
        }
        if round % 16 == 0 && liar.bell.ring().is_err() {
            return;
        }
    }
}

/// Keeps the arena's file busy, so that whoever wants to give back memory of it waits, while connections come and go.
pub(super) fn holder(target: &Target, random: &mut Generator) {
    let Some(mut liar) = target.open() else {
        return;
    };
    let file = liar.file();
    let length = liar.arena.layout().len() as u64;
    let much = 64 << 20;
    let at = random.below((length - much) >> 20) << 20;
    thread::scope(|scope| {
        let busy = scope.spawn(move || {
            let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            for _ in 0..8 {
                fallocate(file.as_fd(), FallocateFlags::empty(), at, much).ok();
                fallocate(file.as_fd(), punch, 0, length).ok();
            }
        });
        while !busy.is_finished() {
            for opened in connected(&mut liar, target, 8) {
                let connection = opened.connection;
                liar.try_ask(&Request::Abort { connection });
            }
        }
    });
}
