//! RFC 867: a server that says the current date and time as one line and ends the connection.
//!
//! The RFC leaves the form open. Ours is the first it recommends, in UTC: `Weekday, Month Day, Year Time-Zone`, e.g.
//! `Sunday, September 9, 2001 01:46:40-UTC`.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Clock, Connection, finish};

#[cfg(test)]
mod tests;

const WEEKDAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Serves one connection; what it receives is thrown away.
///
/// # Errors
/// When the connection fails before the line is sent.
pub fn serve(connection: &mut dyn Connection, clock: &dyn Clock) -> io::Result<()> {
    connection.write_all(format!("{}\r\n", line(clock.wall())).as_bytes())?;
    finish(connection)
}

/// The line for a moment, without its end. Moments before 1970 are shown as 1970.
fn line(moment: SystemTime) -> String {
    let seconds = moment
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days);
    let weekday = WEEKDAYS[(days % 7) as usize];
    let month = MONTHS[month - 1];
    let (hour, minute, second) = (
        second_of_day / 3_600,
        second_of_day / 60 % 60,
        second_of_day % 60,
    );
    format!("{weekday}, {month} {day}, {year} {hour:02}:{minute:02}:{second:02}-UTC")
}

/// Year, month (1–12) and day (1–31) of the Gregorian calendar, `days` after 1 January 1970.
///
/// Years are counted from 1 March, so that the day a leap year adds is the last of its year.
fn civil_from_days(days: u64) -> (u64, usize, u64) {
    let days = days + 719_468; // since 1 March of the year 0
    let (era, day_of_era) = (days / 146_097, days % 146_097); // 400 years each
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month as usize, day)
}
