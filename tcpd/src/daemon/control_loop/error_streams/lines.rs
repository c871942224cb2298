//! From bytes to lines of a log: harmless, of bounded length, and not too many at a time.

use std::time::Duration;

use tcpd_core::time::Instant;

/// Longest line; a longer one is logged in pieces.
const LONGEST: usize = 2048;
/// Lines within a [`WINDOW`], after which the stream rests until the window is over.
const MOST: u32 = 100;
const WINDOW: Duration = Duration::from_millis(100);

/// The lines of one stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// How many in the window that began then.
    said: (u32, Instant),
}

impl Lines {
    /// Says every line that `bytes` end.
    pub(super) fn take(&mut self, now: Instant, bytes: &[u8], mut say: impl FnMut(&str)) {
        if now >= self.said.1 + WINDOW {
            self.said = (0, now);
        }
        for &byte in bytes {
            if byte != b'\n' {
                self.begun.push(byte);
            }
            if byte == b'\n' || self.begun.len() == LONGEST {
                self.say(&mut say);
            }
        }
    }

    /// Says a last line that nobody ended.
    pub(super) fn end(&mut self, mut say: impl FnMut(&str)) {
        self.say(&mut say);
    }

    /// Until when no more is to be taken, if enough was said.
    pub(super) fn rests(&self, now: Instant) -> Option<Instant> {
        let (said, since) = self.said;
        Some(since + WINDOW).filter(|until| said >= MOST && *until > now)
    }

    /// An empty line says nothing.
    fn say(&mut self, say: &mut impl FnMut(&str)) {
        let line = harmless(&self.begun);
        self.begun.clear();
        if !line.is_empty() {
            self.said.0 += 1;
            say(&line);
        }
    }
}

/// Text that cannot end a line of the log or command a terminal, whatever a peer made the command say.
fn harmless(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown = String::with_capacity(text.len());
    for character in text.trim_end_matches('\r').chars() {
        if character.is_control() && character != '\t' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &mut Lines, now: Instant, bytes: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        lines.take(now, bytes, |line| said.push(line.to_owned()));
        said
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let mut lines = Lines::default();
        let now = Instant::from_secs(1);
        assert_eq!(said(&mut lines, now, b"one\ntw"), ["one"]);
        assert_eq!(said(&mut lines, now, b"o\r\n\nthree"), ["two"]);
        let mut last = Vec::new();
        lines.end(|line| last.push(line.to_owned()));
        lines.end(|line| last.push(line.to_owned()));
        assert_eq!(last, ["three"]);
    }

    #[test]
    fn a_line_without_end_takes_no_more_room_than_the_longest() {
        let mut lines = Lines::default();
        let pieces = said(&mut lines, Instant::from_secs(1), &[b'x'; 3 * LONGEST + 5]);
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| piece.len() == LONGEST));
        assert_eq!(lines.begun.len(), 5);
    }

    #[test]
    fn what_could_command_a_terminal_is_written_out() {
        let mut lines = Lines::default();
        let bytes = b"\x1b[2Jred\x07\tA\xff\x0b\n";
        let now = Instant::from_secs(1);
        assert_eq!(
            said(&mut lines, now, bytes),
            ["\\u{1b}[2Jred\\u{7}\tA\u{fffd}\\u{b}"]
        );
    }

    #[test]
    fn who_says_much_rests_until_the_window_is_over() {
        let mut lines = Lines::default();
        let now = Instant::from_secs(1);
        said(&mut lines, now, &b"x\n".repeat(MOST as usize - 1));
        assert_eq!(lines.rests(now), None);
        said(&mut lines, now, b"x\n");
        assert_eq!(lines.rests(now), Some(now + WINDOW));
        assert_eq!(lines.rests(now + WINDOW), None);
        said(&mut lines, now + WINDOW, b"x\n");
        assert_eq!(lines.rests(now + WINDOW), None);
    }
}
