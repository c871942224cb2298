//! The names of users, from /etc/passwd. What is not there stays a number.

use std::collections::HashMap;
use std::fs;

/// User numbers and their names.
#[derive(Debug, Default)]
pub struct Users(HashMap<u32, String>);

impl Users {
    /// Those of this machine.
    pub fn of_this_machine() -> Users {
        fs::read_to_string("/etc/passwd")
            .map(|text| Users::parse(&text))
            .unwrap_or_default()
    }

    /// Those in a text like /etc/passwd.
    pub fn parse(passwd: &str) -> Users {
        let users = passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _password, uid) = (fields.next()?, fields.next()?, fields.next()?);
            Some((uid.parse().ok()?, name.to_owned()))
        });
        Users(users.collect())
    }

    /// The name, else the number.
    pub fn name(&self, uid: u32) -> String {
        self.0.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }
}
