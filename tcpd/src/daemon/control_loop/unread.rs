//! Answers that users have not read: each session has a limit of its own, and all those of a user have one together.
//!
//! When they exceed it, the session that has left most ends; those that read what they are told have nothing to fear.

use std::collections::HashMap;

use super::super::orders::SessionId;
use super::clients::End;
use super::{ControlLoop, Spawner};
use crate::ipc::session::{EndedBy, Unread};

/// Forgotten users are looked for when so many are known.
const MANY: usize = 64;

/// By uid, of those that have a session.
#[derive(Debug, Default)]
pub(super) struct UnreadOfUsers {
    users: HashMap<u32, Unread>,
    /// When so many are known, those without a session are forgotten.
    tidy_at: usize,
}

impl UnreadOfUsers {
    /// What all sessions of a user share.
    pub(super) fn of(&mut self, uid: u32) -> Unread {
        if self.users.len() >= self.tidy_at.max(MANY) {
            self.users.retain(|_, unread| unread.is_shared());
            self.tidy_at = 2 * self.users.len();
        }
        self.users.entry(uid).or_default().clone()
    }
}

impl<W: Spawner> ControlLoop<W> {
    /// A session was answered and has not read it: are all of its user's too much together, the worst ends. An error: that is this one.
    pub(super) fn limit_unread(&mut self, id: SessionId) -> Result<(), End> {
        let Some(client) = self.clients.get(id) else {
            return Ok(());
        };
        let most = self.config.limits.unread_bytes_per_uid;
        let (uid, all) = (client.session.identity.uid, client.session.unread_of_user());
        if client.session.unread() == 0 || all <= most || !client.limited {
            return Ok(());
        }
        let of_user = self.clients.iter().map(|client| &client.session);
        let of_user = of_user.filter(|session| session.identity.uid == uid);
        let worst = of_user.max_by_key(|session| session.unread());
        let worst = worst.map_or(id, |session| session.id);
        let rule = format!(
            "rule limits.unread_bytes_per_uid: the sessions of this user have left {all} bytes of answers unread, they may {most}"
        );
        let end = End::because(EndedBy::UnreadReplies, &rule);
        if worst == id {
            return Err(end);
        }
        self.end_session(worst, end);
        Ok(())
    }
}
