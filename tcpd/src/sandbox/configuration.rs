//! The daemon's configuration in a sandbox: everything in one private directory, the built-in services on their standard ports.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::exit_code::{Exit, Failure};

/// Service, its port (RFC 862, 863, 867, 868, 864, 9110); the name is the handler's too.
const SERVICES: [(&str, u16); 6] = [
    ("echo", 7),
    ("discard", 9),
    ("daytime", 13),
    ("time", 37),
    ("chargen", 19),
    ("http", 80),
];

const INDEX: &str = "\
<!doctype html>
<title>tcpd</title>
<h1>It works</h1>
<p>This page came through a TCP stack in user space, served by a worker process of its own.
<p><a href=\"numbers.txt\">A longer file</a>, for ranges and downloads.
";

/// The control socket in a sandbox's directory.
pub fn socket(directory: &Path) -> PathBuf {
    directory.join("tcpd.sock")
}

/// The configuration file in a sandbox's directory.
pub fn file(directory: &Path) -> PathBuf {
    directory.join("tcpd.toml")
}

/// Writes the configuration, with `over` laid over it, and the small web site that it serves.
pub fn write(directory: &Path, over: Option<&Path>) -> Result<PathBuf, Failure> {
    let failed = |error: io::Error| Failure::system("sandbox: write its configuration", &error);
    let site = directory.join("www");
    fs::create_dir(&site).map_err(failed)?;
    fs::write(site.join("index.html"), INDEX).map_err(failed)?;
    let numbers: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    fs::write(site.join("numbers.txt"), numbers).map_err(failed)?;

    let mut table = built_in(directory, &site);
    if let Some(path) = over {
        merge(&mut table, read(path)?);
    }
    let path = file(directory);
    fs::write(&path, table.to_string()).map_err(failed)?;
    Ok(path)
}

fn read(path: &Path) -> Result<Table, Failure> {
    let refuse = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Configuration, format!("{}: {error}", path.display()))
    };
    let text = fs::read_to_string(path).map_err(|error| refuse(&error))?;
    text.parse::<Table>().map_err(|error| refuse(&error))
}

fn built_in(directory: &Path, site: &Path) -> Table {
    let text = |path: &Path| Value::String(path.to_string_lossy().into_owned());
    let mut table = Table::new();
    table.insert("shutdown_grace".into(), "500ms".into());
    let control = [
        ("socket".to_owned(), text(&socket(directory))),
        ("group".to_owned(), "none".into()),
    ];
    table.insert(
        "control".into(),
        Value::Table(control.into_iter().collect()),
    );
    table.insert(
        "log".into(),
        Value::Table(Table::from_iter([("to".to_owned(), Value::from("stderr"))])),
    );
    let services = SERVICES.iter().map(|(name, port)| {
        let mut service = Table::new();
        service.insert("name".into(), (*name).into());
        service.insert("handler".into(), (*name).into());
        service.insert("port".into(), i64::from(*port).into());
        if *name == "http" {
            service.insert("directory".into(), text(site));
        }
        Value::Table(service)
    });
    table.insert("service".into(), Value::Array(services.collect()));
    table
}

/// Lays `over` over `base`: tables key by key, services by name, anything else as a whole.
fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (Some(Value::Array(below)), Value::Array(above)) if key == "service" => {
                for service in above {
                    below.retain(|other| other.get("name") != service.get("name"));
                    below.push(service);
                }
            }
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests;
