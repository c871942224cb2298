//! `tcpd scenario`: the textbook's situations, played by two real stacks in virtual time.
//!
//! 1. The [`catalogue`] has every scenario: name, title, script.
//! 2. [`settings`] says what `--set` can vary, and makes the stacks' configuration of it.
//! 3. [`stage`] runs the two stacks; a script acts on it and explains what it sees. What was seen stands in the [`journal`]:
//!    no packet and no state in the output comes from anywhere else.
//! 4. [`text`] shows the play, [`pcap`] writes its packets, [`svg`] draws its ladder, [`fsm`] the state diagram with the arrows it took.
//!
//! Nothing here touches the network or needs a right.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::exit_code::{Exit, Failure};

mod attacks;
mod catalogue;
mod closing;
mod failures;
mod fsm;
mod journal;
mod numbers;
mod opening;
mod pcap;
mod play;
mod settings;
mod sizes;
mod stage;
mod svg;
mod text;
mod time_wait;
mod tour;

use settings::{Own, Settings};
use stage::{Played, Stage};

/// What `tcpd scenario` is told.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ScenarioArgs {
    /// Which; without it, all are listed
    pub name: Option<String>,
    /// Vary it, as msl=60s; may be repeated. An unknown key gets the list of all
    #[arg(long, value_name = "KEY=VALUE", requires = "name")]
    pub set: Vec<String>,
    /// Write the packets for Wireshark (pcapng), the explanations as comments; - for standard output
    #[arg(long, value_name = "FILE", requires = "name")]
    pub pcap: Option<PathBuf>,
    /// Draw the ladder (SVG); - for standard output. `tcpd scenario fsm --svg FILE` draws the state diagram
    #[arg(long, value_name = "FILE", requires = "name")]
    pub svg: Option<PathBuf>,
    /// Draw the state diagram with the transitions that were taken, side by side (SVG); - for standard output
    #[arg(long, value_name = "FILE", requires = "name")]
    pub fsm: Option<PathBuf>,
    /// Play it over IPv6
    #[arg(long)]
    pub ipv6: bool,
}

/// A situation that can be played.
#[derive(Debug)]
struct Scenario {
    name: &'static str,
    /// One line.
    title: &'static str,
    /// Where it is written.
    rfc: &'static str,
    /// A few sentences: what to look at.
    about: &'static str,
    /// What it can be varied with beside what all can.
    settings: &'static [Own],
    /// Settings that differ here from the defaults.
    preset: &'static [(&'static str, &'static str)],
    script: fn(&mut Stage) -> Played,
}

/// Lists the scenarios, or plays one.
///
/// # Errors
/// [`Exit::Usage`] for an unknown scenario, key or value, with the list of what exists; [`Exit::CannotCreate`] for a file that cannot be
/// written; [`Exit::Internal`] for a scenario that does not go as it tells, which is a bug.
pub fn run(args: &ScenarioArgs) -> Result<ExitCode, Failure> {
    let Some(name) = &args.name else {
        return print(catalogue::list().as_bytes());
    };
    if name == fsm::NAME {
        return diagram(args);
    }
    let scenario = find(name)?;
    let settings =
        Settings::new(scenario, &args.set).map_err(|message| Failure::new(Exit::Usage, message))?;
    let play = play::play(scenario, settings, args.ipv6);
    let mut to_output = None;
    if let Some(file) = &args.pcap {
        write(file, pcap::file(&play), &mut to_output)?;
    }
    if let Some(file) = &args.svg {
        write(file, svg::draw(&play).into_bytes(), &mut to_output)?;
    }
    if let Some(file) = &args.fsm {
        write(file, fsm::draw(Some(&play)).into_bytes(), &mut to_output)?;
    }
    // A file to standard output takes the place of the text.
    print(&to_output.unwrap_or_else(|| text::render(&play).into_bytes()))?;
    verdict(&play)
}

/// The state diagram without a play: as text, or drawn.
fn diagram(args: &ScenarioArgs) -> Result<ExitCode, Failure> {
    if args.pcap.is_some() || args.fsm.is_some() || args.ipv6 || !args.set.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "fsm is the state diagram, not a play: it takes --svg FILE alone. To see the arrows that a play took: tcpd scenario NAME --fsm FILE",
        ));
    }
    let mut to_output = None;
    if let Some(file) = &args.svg {
        write(file, fsm::draw(None).into_bytes(), &mut to_output)?;
    }
    print(&to_output.unwrap_or_else(|| fsm::table().into_bytes()))
}

/// Writes `bytes` to `file`; for `-`, leaves them in `to_output`.
fn write(file: &Path, bytes: Vec<u8>, to_output: &mut Option<Vec<u8>>) -> Result<(), Failure> {
    if file != Path::new("-") {
        return std::fs::write(file, bytes).map_err(|error| {
            let message = format!("cannot write {}: {error}", file.display());
            Failure::new(Exit::CannotCreate, message)
        });
    }
    match to_output.replace(bytes) {
        None => Ok(()),
        Some(_) => Err(Failure::new(
            Exit::Usage,
            "only one file can go to standard output",
        )),
    }
}

fn verdict(play: &play::Play) -> Result<ExitCode, Failure> {
    match &play.wrong {
        None => Ok(Exit::Ok.into()),
        Some(wrong) if play.settings.changed.is_empty() => Err(Failure::new(
            Exit::Internal,
            format!("{}: this is a bug of tcpd: {wrong}", play.scenario.name),
        )),
        Some(wrong) => Err(Failure::new(
            Exit::Usage,
            format!(
                "with {} {} does not go as it tells: {wrong}",
                play.settings.changed.join(", "),
                play.scenario.name
            ),
        )),
    }
}

fn find(name: &str) -> Result<&'static Scenario, Failure> {
    let known = catalogue::ALL;
    if let Some(scenario) = known.iter().find(|scenario| scenario.name == name) {
        return Ok(scenario);
    }
    let names = known.iter().map(|scenario| scenario.name);
    let near = nearest(name, names.chain([fsm::NAME]));
    let meant = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    Err(Failure::new(
        Exit::Usage,
        format!(
            "no scenario is called {name:?}{meant}\n\n{}",
            catalogue::list()
        ),
    ))
}

/// The name that is nearest to `wrong`, if one is near.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::normalized_damerau_levenshtein(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.5)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// To standard output; a reader who has gone away is no error.
fn print(bytes: &[u8]) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(Exit::Ok.into()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Ok.into()),
        Err(error) => Err(Failure::system("write to standard output", &error)),
    }
}
