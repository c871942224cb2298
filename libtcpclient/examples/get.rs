//! Fetches a page, as curl would, over tcpd's TCP:
//! `cargo run -p libtcpclient --example get -- http://198.18.0.1/`

use std::io::{self, BufRead, BufReader, Write};
use std::time::Duration;

use libtcpclient::Builder;

fn main() -> io::Result<()> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or("http://198.18.0.1/".into());
    let rest = url.strip_prefix("http://").unwrap_or(&url);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = match host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
        _ => format!("{host}:80"),
    };
    let mut stream = Builder::new()
        .timeout(Duration::from_secs(10))
        .nodelay(true)
        .connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;

    let mut reply = BufReader::new(&stream);
    let mut line = String::new();
    while reply.read_line(&mut line)? > 2 {
        eprint!("< {line}");
        line.clear();
    }
    io::copy(&mut reply, &mut io::stdout())?;
    let status = stream.status().map_err(io::Error::from)?;
    eprintln!(
        "{} {}: srtt {} µs",
        status.row.id,
        status.row.state,
        status.rtt.srtt_us.unwrap_or(0)
    );
    Ok(())
}
