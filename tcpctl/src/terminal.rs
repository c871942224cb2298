//! How wide a line may be.

use std::env;
use std::io::IsTerminal;

/// The width of tables in characters: `$COLUMNS`, else that of the terminal on standard output, else none.
pub fn width() -> Option<u16> {
    let columns = env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    columns.or_else(of_terminal).filter(|width| *width > 0)
}

fn of_terminal() -> Option<u16> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(stdout)
        .ok()
        .map(|size| size.ws_col)
}
