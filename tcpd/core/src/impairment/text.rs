//! An [`Impairment`] as people write it: `loss=1% delay=20ms rate=100mbit`.
//!
//! Words of `KEY=VALUE` in any order, each key once. Numbers are decimal, with a fraction if need be, and have a unit: `%`;
//! `us ms s`; `kbit mbit gbit` (a thousand bits a second and so on); `B KiB MiB`. Parts of a value are joined by colons.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Burst, Impairment};

/// Why a text is no impairment. Each message names what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A word without `=`, or with a key that does not exist.
    #[error("{0:?}: no such setting; settings are {KEYS}")]
    Unknown(String),
    /// The same key twice.
    #[error("{0} is given twice; each setting may stand once")]
    Twice(&'static str),
    /// A value that cannot be read, or is out of range.
    #[error("{key} of {value:?}: must be {allowed}")]
    Value {
        /// Which setting.
        key: &'static str,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: &'static str,
    },
    /// Something that means nothing without a rate.
    #[error(
        "{0} without rate: nothing waits where there is no rate; give rate=100mbit or the like too"
    )]
    NeedsRate(&'static str),
}

const KEYS: &str = "loss=1%, burst=0.5%:30%, delay=20ms, jitter=2ms, rate=100mbit, queue=256KiB, ce=64KiB, \
                    reorder=2%:10ms, duplicate=0.1%, corrupt=0.01%";

const CHANCE: &str = "a probability from 0% to 100%, as 1% or 0.05%";
const BURST: &str = "probabilities ENTER:LEAVE or ENTER:LEAVE:LOSS from 0% to 100%, LEAVE more than 0%, as 0.5%:30%";
const TIME: &str = "a time from 0s to 60s, as 20ms; units are us, ms and s";
const RATE: &str = "a rate from 1kbit to 100gbit, as 100mbit; units are kbit, mbit and gbit";
const SIZE: &str = "a size from 1B to 64MiB, as 256KiB; units are B, KiB and MiB";
const REORDER: &str =
    "a probability from 0% to 100% and perhaps a time from 0s to 60s, as 2% or 2%:10ms";

const LONGEST: u64 = 60_000_000_000;
const FASTEST: u64 = 12_500_000_000;
const SLOWEST: u64 = 125;
const LARGEST: u64 = 64 << 20;

const TIMES: Units = &[("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];
/// In bytes a second.
const RATES: Units = &[("kbit", 125), ("mbit", 125_000), ("gbit", 125_000_000)];
const SIZES: Units = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20)];

type Units = &'static [(&'static str, u64)];

impl FromStr for Impairment {
    type Err = SpecError;

    /// No word at all is an impairment that does nothing.
    fn from_str(text: &str) -> Result<Impairment, SpecError> {
        let mut impairment = Impairment::default();
        let mut seen: Vec<&'static str> = Vec::new();
        for word in text.split_whitespace() {
            let unknown = || SpecError::Unknown(word.to_owned());
            let (key, value) = word.split_once('=').ok_or_else(unknown)?;
            let setting = SETTINGS.iter().find(|setting| setting.key == key);
            let setting = setting.ok_or_else(unknown)?;
            if seen.contains(&setting.key) {
                return Err(SpecError::Twice(setting.key));
            }
            seen.push(setting.key);
            (setting.read)(&mut impairment, value).ok_or_else(|| SpecError::Value {
                key: setting.key,
                value: value.to_owned(),
                allowed: setting.allowed,
            })?;
        }
        if impairment.rate == 0
            && let Some(key) = ["queue", "ce"].into_iter().find(|key| seen.contains(key))
        {
            return Err(SpecError::NeedsRate(key));
        }
        Ok(impairment)
    }
}

/// The words that give the same impairment again; nothing for one that does nothing.
impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Impairment::default();
        let mut words = Vec::new();
        let mut word = |key, differs: bool, value: String| {
            if differs {
                words.push(format!("{key}={value}"));
            }
        };
        word("loss", self.loss != 0.0, percent(self.loss));
        if let Some(Burst { enter, leave, loss }) = self.burst {
            let certain = if loss == 1.0 {
                String::new()
            } else {
                format!(":{}", percent(loss))
            };
            word(
                "burst",
                true,
                format!("{}:{}{certain}", percent(enter), percent(leave)),
            );
        }
        word("delay", !self.delay.is_zero(), time(self.delay));
        word("jitter", !self.jitter.is_zero(), time(self.jitter));
        let limited = self.rate != 0;
        word("rate", limited, with_unit(self.rate, RATES));
        word(
            "queue",
            limited && self.queue != default.queue,
            with_unit(self.queue.into(), SIZES),
        );
        word(
            "ce",
            limited && self.ce_threshold != 0,
            with_unit(self.ce_threshold.into(), SIZES),
        );
        let held = if self.reorder_delay == default.reorder_delay {
            String::new()
        } else {
            format!(":{}", time(self.reorder_delay))
        };
        let differs = self.reorder != 0.0 || !held.is_empty();
        word(
            "reorder",
            differs,
            format!("{}{held}", percent(self.reorder)),
        );
        word("duplicate", self.duplicate != 0.0, percent(self.duplicate));
        word("corrupt", self.corrupt != 0.0, percent(self.corrupt));
        f.write_str(&words.join(" "))
    }
}

/// One key: what its value must look like, and what it sets.
struct Setting {
    key: &'static str,
    allowed: &'static str,
    read: fn(&mut Impairment, &str) -> Option<()>,
}

const SETTINGS: &[Setting] = &[
    Setting {
        key: "loss",
        allowed: CHANCE,
        read: |to, text| set(&mut to.loss, chance(text)),
    },
    Setting {
        key: "burst",
        allowed: BURST,
        read: |to, text| set(&mut to.burst, burst(text).map(Some)),
    },
    Setting {
        key: "delay",
        allowed: TIME,
        read: |to, text| set(&mut to.delay, duration(text)),
    },
    Setting {
        key: "jitter",
        allowed: TIME,
        read: |to, text| set(&mut to.jitter, duration(text)),
    },
    Setting {
        key: "rate",
        allowed: RATE,
        read: |to, text| set(&mut to.rate, rate(text)),
    },
    Setting {
        key: "queue",
        allowed: SIZE,
        read: |to, text| set(&mut to.queue, size(text)),
    },
    Setting {
        key: "ce",
        allowed: SIZE,
        read: |to, text| set(&mut to.ce_threshold, size(text)),
    },
    Setting {
        key: "reorder",
        allowed: REORDER,
        read: reorder,
    },
    Setting {
        key: "duplicate",
        allowed: CHANCE,
        read: |to, text| set(&mut to.duplicate, chance(text)),
    },
    Setting {
        key: "corrupt",
        allowed: CHANCE,
        read: |to, text| set(&mut to.corrupt, chance(text)),
    },
];

fn set<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

fn chance(text: &str) -> Option<f64> {
    let percent = decimal(text.strip_suffix('%')?)?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

fn burst(text: &str) -> Option<Burst> {
    let parts: Vec<f64> = text.split(':').map(chance).collect::<Option<_>>()?;
    let (enter, leave, loss) = match parts[..] {
        [enter, leave] => (enter, leave, 1.0),
        [enter, leave, loss] => (enter, leave, loss),
        _ => return None,
    };
    (leave > 0.0).then_some(Burst { enter, leave, loss })
}

fn reorder(to: &mut Impairment, text: &str) -> Option<()> {
    let (probability, held) = match text.split_once(':') {
        Some((probability, held)) => (probability, duration(held)?),
        None => (text, Impairment::REORDER_DELAY),
    };
    to.reorder = chance(probability)?;
    to.reorder_delay = held;
    Some(())
}

fn duration(text: &str) -> Option<Duration> {
    scaled(text, TIMES, 0..=LONGEST).map(Duration::from_nanos)
}

fn rate(text: &str) -> Option<u64> {
    scaled(text, RATES, SLOWEST..=FASTEST)
}

fn size(text: &str) -> Option<u32> {
    scaled(text, SIZES, 1..=LARGEST).and_then(|bytes| u32::try_from(bytes).ok())
}

/// A number with a unit, in the smallest parts there are; a fraction of these is rounded.
fn scaled(text: &str, units: Units, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let end = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(end);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    let value = (decimal(number)? * *scale as f64).round() as u64;
    range.contains(&value).then_some(value)
}

/// Digits, perhaps with a fraction: no sign, no exponent, nothing that is not a number.
fn decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction)).then(|| text.parse().ok())?
}

/// To a billionth of a percent.
fn percent(probability: f64) -> String {
    format!("{}%", (probability * 100.0 * 1e9).round() / 1e9)
}

fn time(duration: Duration) -> String {
    with_unit(
        u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
        TIMES,
    )
}

/// In the largest unit that needs no fraction, else in the smallest.
fn with_unit(value: u64, units: Units) -> String {
    let whole = |scale: u64| value.is_multiple_of(scale) && value != 0;
    match units.iter().rev().find(|(_, scale)| whole(*scale)) {
        Some((unit, scale)) => format!("{}{unit}", value / scale),
        None => format!("{}{}", value as f64 / units[0].1 as f64, units[0].0),
    }
}
