//! What a command finds in its environment: a login's variables, what tcpserver and xinetd tell of a connection, and what the
//! service configures.

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;

use super::super::super::link::Ticket;
use super::super::super::work::Command;
use crate::system::accounts::Account;

/// Where programs are looked for, as systemd has it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `NAME=value` each. What is configured goes over a login's variables; the connection's variables go over all.
pub(super) fn of(
    command: &Command,
    account: Option<&Account>,
    ticket: &Ticket,
) -> io::Result<Vec<CString>> {
    let mut variables = Variables(vec![("PATH".into(), PATH.into())]);
    if let Some(account) = account {
        variables.set("HOME", &account.home);
        variables.set("USER", &account.name);
        variables.set("LOGNAME", &account.name);
        variables.set("SHELL", &account.shell);
    }
    for entry in &command.environment {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        variables.set(name, value);
    }
    let (peer, local) = (ticket.peer, ticket.local);
    // As tcpserver(1) has them.
    variables.set("PROTO", "TCP");
    variables.set("TCPREMOTEIP", peer.ip().to_string());
    variables.set("TCPREMOTEPORT", peer.port().to_string());
    variables.set("TCPLOCALIP", local.ip().to_string());
    variables.set("TCPLOCALPORT", local.port().to_string());
    // As xinetd(8) has it.
    variables.set("REMOTE_HOST", peer.ip().to_string());
    variables.into_strings()
}

struct Variables(Vec<(OsString, OsString)>);

impl Variables {
    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.into(), value.into()));
    }

    fn into_strings(self) -> io::Result<Vec<CString>> {
        let entries = self.0.into_iter().map(|(name, value)| {
            let mut entry = name;
            entry.push("=");
            entry.push(value);
            CString::new(entry.into_vec())
        });
        Ok(entries.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::link::Token;

    fn environment(configured: &[&str], account: Option<&Account>) -> Vec<String> {
        let command = Command {
            environment: configured.iter().map(|&entry| entry.to_owned()).collect(),
            ..Command::default()
        };
        let ticket = Ticket {
            token: Token([0; 16]),
            peer: "[fd00:7463:7064::1]:40112".parse().expect("an address"),
            local: "[fd00:7463:7064::2]:7".parse().expect("an address"),
        };
        let strings = of(&command, account, &ticket).expect("no NUL");
        let shown = strings.into_iter().map(|entry| entry.into_string());
        shown.collect::<Result<_, _>>().expect("text")
    }

    #[test]
    fn a_command_learns_who_is_there() {
        assert_eq!(
            environment(&[], None),
            [
                &format!("PATH={PATH}"),
                "PROTO=TCP",
                "TCPREMOTEIP=fd00:7463:7064::1",
                "TCPREMOTEPORT=40112",
                "TCPLOCALIP=fd00:7463:7064::2",
                "TCPLOCALPORT=7",
                "REMOTE_HOST=fd00:7463:7064::1",
            ]
        );
    }

    #[test]
    fn configuration_goes_over_the_login_and_the_connection_over_both() {
        let account = Account {
            name: "nobody".to_owned(),
            uid: 65534,
            gid: 65534,
            groups: Vec::new(),
            home: "/nonexistent".into(),
            shell: "/usr/sbin/nologin".into(),
        };
        let configured = ["HOME=/srv", "TCPREMOTEIP=192.0.2.1", "EMPTY=", "A=b=c"];
        let found = environment(&configured, Some(&account));
        for wanted in [
            "HOME=/srv",
            "USER=nobody",
            "LOGNAME=nobody",
            "EMPTY=",
            "A=b=c",
        ] {
            assert!(
                found.iter().any(|entry| entry == wanted),
                "{wanted}: {found:?}"
            );
        }
        let remote = found
            .iter()
            .filter(|entry| entry.starts_with("TCPREMOTEIP="));
        assert_eq!(
            remote.collect::<Vec<_>>(),
            ["TCPREMOTEIP=fd00:7463:7064::1"]
        );
    }
}
