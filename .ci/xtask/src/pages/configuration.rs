//! tcpd.toml(5), made of etc/tcpd.toml: what the file says of a key, the page says.
//!
//! The file is read line by line. Comments before the first table are the description; a comment says something of the keys
//! that follow it up to the next comment; what stands commented out at the end, the services, is shown as it is.

use clap_mangen::roff::{Roff, bold, roman};

use super::MANUAL;

/// Where the part about services begins.
const SERVICES: &str = "# A service: ";

/// The page.
pub(super) fn page(file: &str) -> String {
    let mut page = Roff::new();
    let version = format!("tcpd {}", env!("CARGO_PKG_VERSION"));
    page.control("TH", ["tcpd.toml", "5", " ", &version[..], MANUAL]);
    page.control("SH", ["NAME"]);
    page.text([roman("tcpd.toml - configuration of tcpd")]);
    page.control("SH", ["DESCRIPTION"]);
    let (settings, services) = file.split_once(SERVICES).unwrap_or((file, ""));
    let mut comment: Vec<&str> = Vec::new();
    let mut keys: Vec<&str> = Vec::new();
    let mut described = false;
    for line in settings.lines().chain([""]) {
        let says = line.strip_prefix('#').map(str::trim_start);
        if (says.is_some() || line.is_empty() || line.starts_with('[')) && !keys.is_empty() {
            entry(&mut page, &keys, &comment);
            keys.clear();
            comment.clear();
        }
        match says {
            Some(says) => comment.push(says),
            None if line.starts_with('[') => {
                page.control("SH", [&format!("THE TABLE {line}")[..]]);
                paragraph(&mut page, &comment);
                comment.clear();
            }
            None if line.is_empty() => {
                if !described {
                    paragraph(&mut page, &comment);
                    comment.clear();
                    described = true;
                }
            }
            None => keys.push(line),
        }
    }
    page.control("SH", ["SERVICES"]);
    page.control("nf", []);
    for line in format!("# A service: {services}").lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        page.text([roman(line.strip_prefix(' ').unwrap_or(line))]);
    }
    page.control("fi", []);
    page.control("SH", ["FILES"]);
    page.control("TP", []);
    page.text([bold("/etc/tcpd/tcpd.toml")]);
    page.text([roman(
        "Read by `tcpd run`, and again by `tcpctl reload`. `tcpd check` says what is wrong with it.",
    )]);
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("tcpd"), roman("(8), "), bold("tcpctl"), roman("(1)")]);
    format!(
        ".\\\" Made by `cargo xtask pages` of etc/tcpd.toml.\n{}",
        page.to_roff()
    )
}

/// Keys with one comment.
fn entry(page: &mut Roff, keys: &[&str], comment: &[&str]) {
    for (number, key) in keys.iter().enumerate() {
        page.control(if number == 0 { "TP" } else { "TQ" }, []);
        let (name, value) = key.split_once(" = ").unwrap_or((key, ""));
        page.text([bold(name), roman(format!(" = {value}"))]);
    }
    paragraph(page, comment);
}

/// Lines of a comment: indented ones on lines of their own, an empty one begins a paragraph.
fn paragraph(page: &mut Roff, comment: &[&str]) {
    for line in comment {
        if line.is_empty() {
            page.control("PP", []);
        } else {
            page.text([roman(*line)]);
        }
    }
}
