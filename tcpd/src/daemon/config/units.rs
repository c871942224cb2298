//! Durations and sizes as people write them: `"200ms"`, `"64KiB"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

const DURATIONS: &[(&str, u64)] = &[
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads `"30s"`, `"200ms"`, `"5min"`; units `us ms s min h d`, whole numbers only.
pub fn parse_duration(text: &str) -> Option<Duration> {
    with_unit(text, DURATIONS).map(Duration::from_nanos)
}

/// Writes a duration in the largest unit that needs no fraction.
pub fn format_duration(duration: Duration) -> String {
    format_with_unit(
        u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
        DURATIONS,
    )
}

/// Reads `"64KiB"`; units `B KiB MiB GiB`, whole numbers only. The result is in bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    with_unit(text, SIZES)
}

/// Writes a number of bytes in the largest unit that needs no fraction.
pub fn format_size(bytes: u64) -> String {
    format_with_unit(bytes, SIZES)
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

fn format_with_unit(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |scale: u64| value.is_multiple_of(scale) && value != 0;
    match units.iter().rev().find(|(_, scale)| fits(*scale)) {
        Some((unit, scale)) => format!("{}{unit}", value / scale),
        None if value == 0 && units.len() == DURATIONS.len() => "0s".to_owned(),
        None => format!(
            "{value}{}",
            if units.len() == DURATIONS.len() {
                "ns"
            } else {
                "B"
            }
        ),
    }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not a duration")))
}

pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_size(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not a size")))
}

pub(super) fn size_u32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    u32::try_from(size(deserializer)?).map_err(D::Error::custom)
}

/// `"default"` is what the daemon's other connections have.
pub(super) fn unless_default<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    if text == "default" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(D::Error::custom)
}

/// `"none"` is no address, group or directory.
pub(super) fn unless_none<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    if text == "none" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(D::Error::custom)
}

pub(super) fn octal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    u32::from_str_radix(&text, 8).map_err(D::Error::custom)
}
