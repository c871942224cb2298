//! The manual page of a command with subcommands: one page for all of them.

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::MANUAL;

/// A page to be made.
pub(super) struct Page {
    pub(super) command: clap::Command,
    pub(super) section: &'static str,
    /// What stands at its end: sections in roff.
    pub(super) trailer: &'static str,
}

impl Page {
    /// Head, the command's own options, a part for each subcommand, what `--help` says at its end, and the trailer.
    pub(super) fn text(&self) -> anyhow::Result<String> {
        let man = self.man(self.command.clone());
        let mut page = ".\\\" Made by `cargo xtask pages` of the command line.\n".to_owned();
        page.push_str(&Roff::new().render());
        page.push_str(&rendered(|out| man.render_title(out))?);
        page.push_str(&rendered(|out| man.render_name_section(out))?);
        page.push_str(&rendered(|out| man.render_synopsis_section(out))?);
        page.push_str(&rendered(|out| man.render_description_section(out))?);
        page.push_str(&rendered(|out| man.render_options_section(out))?);
        page.push_str(".SH COMMANDS\n");
        let mut built = self.command.clone();
        built.build();
        for command in built
            .get_subcommands()
            .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        {
            page.push_str(&self.part(command)?);
        }
        let end = built.get_after_long_help().or(built.get_after_help());
        page.push_str(&end.map_or(String::new(), |end| sections(&end.to_string())));
        page.push_str(self.trailer);
        Ok(page)
    }

    fn man(&self, command: clap::Command) -> Man {
        let version = command.get_version().unwrap_or_default();
        let source = format!("tcpd {version}");
        Man::new(command)
            .section(self.section)
            .date(" ")
            .source(source.trim_end())
            .manual(MANUAL)
    }

    /// A subcommand: its headings would be those of a page of its own.
    fn part(&self, command: &clap::Command) -> anyhow::Result<String> {
        let name = command.get_bin_name().unwrap_or(command.get_name());
        let mut head = Roff::new();
        head.control("SS", [name]);
        let mut part = head.to_roff();
        // The global options and --help are said once, above.
        let own = command.clone().mut_args(|arg| {
            let said = arg.is_global_set() || arg.get_id() == "help";
            if said { arg.hide(true) } else { arg }
        });
        let man = self.man(own);
        part.push_str(&body(&rendered(|out| man.render_synopsis_section(out))?));
        part.push_str(".PP\n");
        part.push_str(&body(&rendered(|out| man.render_description_section(out))?));
        part.push_str(&body(&rendered(|out| man.render_options_section(out))?));
        Ok(part)
    }
}

/// What clap_mangen writes, without the mark that each piece begins with.
fn rendered(
    write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    Ok(without_mark(&String::from_utf8(bytes)?))
}

/// A piece without the lines about apostrophes that roff writes before each; a page needs them once.
fn without_mark(piece: &str) -> String {
    piece.replace(&Roff::new().render(), "")
}

/// A section without its heading.
fn body(section: &str) -> String {
    let kept = section.lines().filter(|line| !line.starts_with(".SH "));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// What `--help` has at its end: lines with a colon at their end are headings, the indented ones below them stay as they are.
fn sections(help: &str) -> String {
    let mut text = String::new();
    let mut open = false;
    for line in help.lines() {
        let escaped = Roff::new().text([roman(line)]).to_roff();
        match line.strip_suffix(':') {
            Some(heading) if !line.starts_with(' ') => {
                close(&mut text, &mut open);
                let heading = heading.to_uppercase();
                text.push_str(&Roff::new().control("SH", [&heading[..]]).to_roff());
            }
            _ if line.is_empty() => close(&mut text, &mut open),
            _ => {
                if line.starts_with(' ') && !open {
                    text.push_str(".nf\n");
                    open = true;
                }
                if !line.starts_with(' ') {
                    close(&mut text, &mut open);
                }
                text.push_str(&escaped);
            }
        }
    }
    close(&mut text, &mut open);
    text
}

/// Ends lines that stay as they are.
fn close(text: &mut String, open: &mut bool) {
    if std::mem::take(open) {
        text.push_str(".fi\n");
    }
}
