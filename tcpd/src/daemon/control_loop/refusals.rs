//! What was refused, by rule and by user.
//!
//! Whoever refuses names its rule at the start of the detail, `rule NAME: figures`; here is where every such answer passes.

use std::collections::{BTreeMap, HashMap};

use libtcpclient::protocol::Reply;
use libtcpclient::protocol::status::CounterRow;

/// Users whose refusals are told apart; those of the others are in the sums.
const USERS: usize = 4096;
/// Rules told apart: more than there are.
const RULES: usize = 64;

/// How often each rule was named.
type ByRule = BTreeMap<String, u64>;

#[derive(Debug, Default)]
pub(super) struct Refusals {
    all: ByRule,
    users: HashMap<u32, ByRule>,
}

impl Refusals {
    /// Counts an answer to `uid` if it is a refusal that names a rule. Whether it was.
    pub(super) fn note(&mut self, uid: u32, reply: &Reply) -> bool {
        match reply {
            Reply::Error(failure) => self.note_detail(uid, &failure.detail),
            _ => false,
        }
    }

    /// The same for the word with which a session is turned away.
    pub(super) fn note_detail(&mut self, uid: u32, detail: &str) -> bool {
        let Some(rule) = rule_of(detail) else {
            return false;
        };
        add(&mut self.all, rule, 1);
        if self.users.len() < USERS || self.users.contains_key(&uid) {
            add(self.users.entry(uid).or_default(), rule, 1);
        }
        true
    }

    /// By rule, of one user.
    pub(super) fn of_user(&self, uid: u32) -> ByRule {
        self.users.get(&uid).cloned().unwrap_or_default()
    }

    /// By rule, of everybody.
    pub(super) fn of_all(&self) -> ByRule {
        self.all.clone()
    }

    /// Users that were refused something.
    pub(super) fn users(&self) -> impl Iterator<Item = u32> + '_ {
        self.users.keys().copied()
    }

    /// A counter for each rule.
    pub(super) fn rows(&self) -> impl Iterator<Item = CounterRow> + '_ {
        self.all.iter().map(|(rule, count)| CounterRow {
            name: format!("refused-by-{rule}"),
            value: *count,
            help: format!("Requests and sessions refused by the rule {rule}."),
        })
    }
}

/// Adds to the count of a rule.
pub(super) fn add(rules: &mut ByRule, rule: &str, count: u64) {
    if count > 0 && (rules.len() < RULES || rules.contains_key(rule)) {
        *rules.entry(rule.to_owned()).or_insert(0) += count;
    }
}

fn rule_of(detail: &str) -> Option<&str> {
    let (rule, _) = detail.strip_prefix("rule ")?.split_once(':')?;
    (!rule.is_empty() && rule.len() <= 64).then_some(rule)
}

#[cfg(test)]
mod tests {
    use libtcpclient::protocol::ErrorCode;

    use super::*;

    #[test]
    fn refusals_are_counted_by_the_rule_they_name() {
        let mut refusals = Refusals::default();
        let refused = Reply::error(ErrorCode::QuotaExceeded, "rule limits.x: 2 of 2");
        assert!(refusals.note(1000, &refused));
        assert!(refusals.note(1000, &refused));
        assert!(refusals.note_detail(1001, "rule owner: it belongs to another user"));
        assert!(!refusals.note(1000, &Reply::error(ErrorCode::TimedOut, "rule of thumb")));
        assert!(!refusals.note(1000, &Reply::Done));
        assert_eq!(refusals.of_user(1000), [("limits.x".to_owned(), 2)].into());
        let counted: Vec<(String, u64)> =
            refusals.rows().map(|row| (row.name, row.value)).collect();
        let wanted = [("refused-by-limits.x", 2), ("refused-by-owner", 1)];
        assert_eq!(
            counted,
            wanted.map(|(name, value)| (name.to_owned(), value))
        );
    }

    #[test]
    fn however_many_users_are_refused_the_table_stays_small() {
        let mut refusals = Refusals::default();
        for uid in 0..10_000 {
            refusals.note_detail(uid, "rule limits.sessions_per_uid: 1 of 1");
        }
        assert_eq!(refusals.users().count(), USERS);
        assert_eq!(refusals.of_all().values().sum::<u64>(), 10_000);
    }
}
