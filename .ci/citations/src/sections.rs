//! RFCs and their sections in a file.

/// A section of an RFC, cited in a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Section {
    /// The RFC's number.
    pub rfc: u16,
    /// As `3.10.7.4`; empty where the RFC is cited as a whole.
    pub section: String,
}

/// Every citation of a file with its line (from 1). A section without an RFC belongs to the one named last in the same run of
/// comment lines, otherwise to RFC 9293.
pub fn find(text: &str) -> Vec<(usize, Section)> {
    let mut found = Vec::new();
    let mut last = 9293;
    for (index, line) in text.lines().enumerate() {
        if !line.trim_start().starts_with(['/', '#']) {
            last = 9293;
        }
        in_line(line, &mut last, |section| found.push((index + 1, section)));
    }
    found.dedup();
    found
}

fn in_line(line: &str, last: &mut u16, mut tell: impl FnMut(Section)) {
    let mut rest = line;
    // An RFC that no section has followed yet.
    let mut pending = None;
    while let Some(at) = rest.find(['R', '§']) {
        rest = &rest[at..];
        if let Some(rfc) = rest.strip_prefix("RFC ").and_then(number) {
            if let Some(rfc) = pending.replace(rfc) {
                tell(whole(rfc));
            }
            *last = rfc;
            rest = &rest["RFC ".len()..];
        } else if let Some(after) = rest.strip_prefix('§') {
            let section = label(after);
            if !section.is_empty() {
                pending = None;
                tell(Section {
                    rfc: *last,
                    section,
                });
            }
            rest = after;
        } else {
            rest = &rest[1..];
        }
    }
    if let Some(rfc) = pending {
        tell(whole(rfc));
    }
}

fn whole(rfc: u16) -> Section {
    Section {
        rfc,
        section: String::new(),
    }
}

fn number(text: &str) -> Option<u16> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().ok()
}

/// `3.8.6.1`, `A.2`.
fn label(text: &str) -> String {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c.is_ascii_uppercase() || c == '.'))
        .unwrap_or(text.len());
    text[..end].trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
