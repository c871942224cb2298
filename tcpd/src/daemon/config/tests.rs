use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use libtcpclient::protocol::CongestionControl;

use super::schema::{KEYS, keys_of};
use super::*;

/// A file of its own for each test, removed with it.
struct File(PathBuf);

impl File {
    fn with(name: &str, text: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("tcpd-config-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).expect("the temporary directory is writable");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn load(name: &str, text: &str) -> Result<Config, ConfigError> {
    let file = File::with(name, text);
    Config::load(Some(&file.0), [], &[])
}

/// The messages for a file of this text, with its path shown as FILE.
fn messages(name: &str, text: &str) -> Vec<String> {
    let file = File::with(name, text);
    let error = Config::load(Some(&file.0), [], &[]).expect_err("the file is bad");
    let path = file.0.display().to_string();
    error
        .problems
        .iter()
        .map(|problem| problem.to_string().replace(&path, "FILE"))
        .collect()
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_shipped_file_equals_the_typed_defaults() {
    let config = load("shipped", DEFAULTS).expect("the shipped file is good");
    assert_eq!(config, Config::default());
    assert_eq!(
        load("empty", "").expect("an empty file is good"),
        Config::default()
    );
}

#[test]
fn the_shipped_file_names_every_key_and_no_other() {
    let table: toml::Table = DEFAULTS.parse().expect("the shipped file is TOML");
    let mut shipped = BTreeSet::new();
    for (name, value) in &table {
        match value {
            toml::Value::Table(section) => {
                shipped.extend(section.keys().map(|key| format!("{name}.{key}")))
            }
            _ => _ = shipped.insert(name.clone()),
        }
    }
    let known: BTreeSet<String> = KEYS
        .iter()
        .filter(|key| key.section != "service")
        .map(schema::Key::path)
        .collect();
    assert_eq!(shipped, known);
}

#[test]
fn the_commented_service_shows_every_key_with_its_default() {
    let example = DEFAULTS
        .split_once("# [[service]]\n")
        .expect("the file ends with an example")
        .1;
    let lines: Vec<&str> = example
        .lines()
        .filter(|line| !line.starts_with("#   "))
        .map(|line| line.trim_start_matches("# "))
        .collect();
    let example =
        format!("[[service]]\n{}", lines.join("\n")).replace("\"echo\"    ", "\"http\"    ");
    let config = load("example", &example).expect("the example is good");
    let expected = Service {
        directory: Some(PathBuf::from("/srv/www")),
        ..Service::new("http", 7, Handler::Http)
    };
    assert_eq!(config.services, [expected]);
    let shown: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(shown, keys_of("service").map(|key| key.name).collect());
}

#[test]
fn an_unknown_key_is_named_with_the_keys_of_its_section() {
    assert_eq!(
        messages("unknown", "[log]\nlevel = \"info\"\nlevle = \"debug\"\n"),
        [
            "FILE:3: log.levle = \"debug\": unknown key; allowed: level, to, directory, rotation, keep"
        ]
    );
}

#[test]
fn an_unknown_section_is_named_with_the_sections() {
    assert_eq!(
        messages("section", "[dveice]\nmtu = 1400\n"),
        [
            "FILE:1: dveice: unknown key; allowed: device, tcp, limits, control, log, impair, service, shutdown_grace"
        ]
    );
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    assert_eq!(
        messages("type", "[device]\nmtu = \"1400\"\noffload = 1\nname = 7\n"),
        [
            "FILE:2: device.mtu = \"1400\": not an integer; allowed: an integer from 1280 to 65535",
            "FILE:3: device.offload = 1: not a boolean; allowed: true or false",
            "FILE:4: device.name = 7: not a string; allowed: a name of 1 to 15 characters without '/', ':' and spaces",
        ]
    );
}

#[test]
fn a_fraction_is_not_rounded_to_an_integer() {
    assert_eq!(
        messages("fraction", "# one\n\n[device]\nmtu = 1400.7\n"),
        ["FILE:4: device.mtu = 1400.7: not an integer; allowed: an integer from 1280 to 65535"]
    );
}

#[test]
fn port_70000_is_out_of_range() {
    let text = "[[service]]\nname = \"echo\"\nport = 70000\nhandler = \"echo\"\n";
    assert_eq!(
        messages("port", text),
        ["FILE:3: service.echo.port = 70000: too large; allowed: an integer from 1 to 65535"]
    );
}

#[test]
fn a_duplicate_service_is_refused_with_the_place_of_the_first() {
    let one = "[[service]]\nname = \"echo\"\nport = 7\nhandler = \"echo\"\n";
    let two = "[[service]]\nname = \"echo\"\nport = 8\nhandler = \"discard\"\n";
    assert_eq!(
        messages("duplicate", &format!("{one}{two}")),
        [
            "FILE:6: service.echo.name = \"echo\": a second service of this name; the first: FILE:2; \
          allowed: a name of its own for each service"
        ]
    );
    let other = "[[service]]\nname = \"sink\"\nport = 7\nhandler = \"discard\"\n";
    assert_eq!(
        messages("same-port", &format!("{one}{other}")),
        [
            "FILE:7: service.sink.port = 7: the port of service \"echo\" already; \
          allowed: another port or other addresses"
        ]
    );
    load(
        "apart",
        &format!("{one}{other}addresses = [\"198.18.0.2\"]\nenabled = false\n"),
    )
    .expect("one is disabled");
}

#[test]
fn a_missing_file_is_one_message() {
    let error = Config::load(Some(Path::new("/nonexistent/tcpd.toml")), [], &[])
        .expect_err("there is no such file");
    assert_eq!(
        error.to_string(),
        "/nonexistent/tcpd.toml: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn a_syntax_error_names_its_line() {
    let messages = messages("syntax", "[device]\nmtu = 1400\nname = \n");
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].starts_with("FILE:3: "), "{messages:?}");
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let messages = messages("twice", "[device]\nmtu = 1400\nmtu = 1500\n");
    assert_eq!(messages, ["FILE:3: duplicate key"]);
}

#[test]
fn a_service_without_its_required_keys_is_told_each() {
    assert_eq!(
        messages(
            "required",
            "[[service]]\nname = \"web\"\nhandler = \"htttp\"\n"
        ),
        [
            "FILE:1: service.web.port: missing; allowed: an integer from 1 to 65535",
            "FILE:3: service.web.handler = \"htttp\": unknown word; \
             allowed: echo, discard, daytime, time, chargen, http",
        ]
    );
    assert_eq!(
        messages(
            "http",
            "[[service]]\nname = \"web\"\nport = 80\nhandler = \"http\"\n"
        ),
        [
            "FILE:4: service.web.handler = \"http\": needs a directory; allowed: directory = \"/srv/www\" beside it"
        ]
    );
}

#[test]
fn every_problem_is_said_in_the_order_of_the_file() {
    let text = "shutdown_grace = 5\n[tcp]\nmsl = \"30\"\ndelayed_ack = \"1s\"\nsend_max = \"3MiB\"\n[log]\nto = \"syslog\"\n";
    assert_eq!(
        messages("many", text),
        [
            "FILE:1: shutdown_grace = 5: not a string; allowed: a duration from \"0s\" to \"1h\" (us, ms, s, min, h, d)",
            "FILE:3: tcp.msl = \"30\": not a duration; \
             allowed: a duration from \"1ms\" to \"10min\" (us, ms, s, min, h, d)",
            "FILE:4: tcp.delayed_ack = \"1s\": too large; \
             allowed: a duration from \"0s\" to \"500ms\" (us, ms, s, min, h, d)",
            "FILE:5: tcp.send_max = \"3MiB\": not a power of two; \
             allowed: a power of two from \"4KiB\" to \"64MiB\" (B, KiB, MiB)",
            "FILE:7: log.to = \"syslog\": unknown word; allowed: auto, journal, stderr, files",
        ]
    );
}

#[test]
fn what_the_stack_does_with_strangers_is_one_of_few_things() {
    let text = "[tcp]\nsyn_cookies = \"on\"\nbacklog_full = \"ignore\"\nsuspect_retries = 0\nrfc1337 = 1337\nhop_limit = 256\n\
                timestamps_required = \"maybe\"\necn = true\n[limits]\nhalf_open_per_listener = 0\n";
    assert_eq!(
        messages("strangers", text),
        [
            "FILE:2: tcp.syn_cookies = \"on\": not a boolean; allowed: true or false",
            "FILE:3: tcp.backlog_full = \"ignore\": unknown word; allowed: drop, reset",
            "FILE:4: tcp.suspect_retries = 0: too small; allowed: an integer from 1 to 100",
            "FILE:5: tcp.rfc1337 = 1337: not a boolean; allowed: true or false",
            "FILE:6: tcp.hop_limit = 256: too large; allowed: an integer from 1 to 255",
            "FILE:7: tcp.timestamps_required = \"maybe\": not a boolean; allowed: true or false",
            "FILE:8: tcp.ecn = true: not a string; allowed: off, passive, on",
            "FILE:10: limits.half_open_per_listener = 0: too small; allowed: an integer from 1 to 10000000",
        ]
    );
    let good = "[tcp]\nbacklog_full = \"reset\"\nrfc1337 = false\necn = \"on\"\nhop_limit = 255\nmsl = \"120s\"\n";
    let tcp = load("strangers-good", good).expect("all good").tcp;
    assert_eq!(tcp.backlog_full, BacklogFull::Reset);
    assert!(!tcp.rfc1337);
    assert_eq!(tcp.ecn, Ecn::On);
    assert_eq!((tcp.hop_limit, tcp.msl), (255, Duration::from_secs(120)));
}

#[test]
fn a_services_idle_timeout_is_a_duration_of_a_day_at_most() {
    let service = |value: &str| {
        format!(
            "[[service]]\nname = \"echo\"\nport = 7\nhandler = \"echo\"\nidle_timeout = {value}\n"
        )
    };
    let good = load("idle", &service("\"5min\"")).expect("good");
    assert_eq!(good.services[0].idle_timeout, Duration::from_secs(300));
    let day = "a duration from \"0s\" to \"1d\" (us, ms, s, min, h, d)";
    for (value, wrong) in [
        ("300", "not a string"),
        ("\"-1s\"", "not a duration"),
        ("\"2d\"", "too large"),
    ] {
        assert_eq!(
            messages("idle-bad", &service(value)),
            [format!(
                "FILE:5: service.echo.idle_timeout = {value}: {wrong}; allowed: {day}"
            )]
        );
    }
}

#[test]
fn congestion_control_is_one_that_exists() {
    let service = |value: &str| {
        format!(
            "[[service]]\nname = \"echo\"\nport = 7\nhandler = \"echo\"\ncongestion = {value}\n"
        )
    };
    for (value, means) in [
        ("cubic", Some(CongestionControl::Cubic)),
        ("newreno", Some(CongestionControl::NewReno)),
        ("default", None),
    ] {
        let good = load("congestion", &service(&format!("\"{value}\""))).expect("good");
        assert_eq!(good.services[0].congestion, means);
        if means.is_some() {
            let good = load("congestion", &format!("[tcp]\ncongestion = \"{value}\"\n"));
            assert_eq!(Some(good.expect("good").tcp.congestion), means);
        }
    }
    for (value, wrong) in [("\"bbr\"", "unknown word"), ("7", "not a string")] {
        assert_eq!(
            messages("congestion-bad", &service(value)),
            [format!(
                "FILE:5: service.echo.congestion = {value}: {wrong}; allowed: default, cubic, newreno"
            )]
        );
        assert_eq!(
            messages("congestion-bad", &format!("[tcp]\ncongestion = {value}\n")),
            [format!(
                "FILE:2: tcp.congestion = {value}: {wrong}; allowed: cubic, newreno"
            )]
        );
    }
}

#[test]
fn keys_that_contradict_each_other_are_refused_where_they_stand() {
    assert_eq!(
        messages("rto", "[tcp]\nrto_min = \"3s\"\n"),
        [
            "FILE:2: tcp.rto_min = \"3s\": above tcp.rto_initial, which is \"1s\"; allowed: at most tcp.rto_initial"
        ]
    );
    assert_eq!(
        messages("network", "[device]\nstack_v4 = \"198.18.1.2\"\n"),
        [
            "FILE:2: device.stack_v4 = \"198.18.1.2\": not in the network of device.host_v4, 198.18.0.1/24; \
          allowed: an address of that network"
        ]
    );
    assert_eq!(
        messages("half", "[device]\nstack_v6 = \"none\"\n"),
        [
            "FILE:2: device.stack_v6 = \"none\": device.host_v6 is \"fd00:7463:7064::1\"; \
          allowed: both addresses, or \"none\" for both"
        ]
    );
}

#[test]
fn later_layers_win() {
    let file = File::with(
        "layers",
        "[tcp]\nmsl = \"1s\"\ndata_retries = 3\nnagle = false\n",
    );
    let variables = [
        ("TCPD_TCP__MSL", "2s"),
        ("TCPD_TCP__DATA_RETRIES", "4"),
        ("TCPD_CONTROL__MODE", "0600"),
    ];
    let config = Config::load(
        Some(&file.0),
        environment(&variables),
        &["tcp.msl=3s".to_owned()],
    )
    .expect("all good");
    assert_eq!(config.tcp.msl, Duration::from_secs(3));
    assert_eq!(config.tcp.data_retries, 4);
    assert!(!config.tcp.nagle);
    assert_eq!(config.control.mode, 0o600);
    assert_eq!(config.limits, Config::default().limits);
}

#[test]
fn variables_and_flags_are_checked_as_the_file_is() {
    let variables = [
        ("TCPD_DEVICE__MTU", "1400.7"),
        ("TCPD_TCP__MSSL", "1s"),
        ("TCPD_SOCKET", "/x"),
        ("HOME", "/"),
    ];
    let flags = [
        "tcp.nagle=yes".to_owned(),
        "mtu=1400".to_owned(),
        "tcp.msl".to_owned(),
    ];
    let file = File::with("flags", "");
    let error = Config::load(Some(&file.0), environment(&variables), &flags).expect_err("all bad");
    let messages: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages[0],
        "environment: TCPD_DEVICE__MTU = \"1400.7\": not an integer; allowed: an integer from 1280 to 65535"
    );
    assert!(
        messages[1]
            .starts_with("environment: TCPD_TCP__MSSL = \"1s\": unknown key; allowed: tcp.msl, ")
    );
    assert_eq!(
        messages[2],
        "--set: tcp.nagle = \"yes\": not a boolean; allowed: true or false"
    );
    assert_eq!(
        messages[3],
        "--set: mtu = 1400: unknown key; allowed: device.…, tcp.…, limits.…, control.…, log.…, impair.…, shutdown_grace"
    );
    assert_eq!(messages[4], "--set: tcp.msl: no value; allowed: key=value");
    assert_eq!(messages.len(), 5);
}

#[test]
fn durations_and_sizes_are_read_and_written_alike() {
    for text in ["250us", "200ms", "30s", "5min", "2h", "1d", "0s"] {
        assert_eq!(format_duration(parse_duration(text).expect(text)), text);
    }
    for text in ["1B", "64KiB", "4MiB", "3GiB"] {
        assert_eq!(format_size(parse_size(text).expect(text)), text);
    }
    for text in [
        "",
        "s",
        "1.5s",
        "-1s",
        "30",
        "1 s",
        "99999999999999999999d",
        "64K",
        "1e3B",
    ] {
        assert!(
            parse_duration(text).is_none() && parse_size(text).is_none(),
            "{text}"
        );
    }
}

#[test]
fn what_a_command_needs_and_what_only_it_has_is_told() {
    let service = |more: &str| format!("[[service]]\nname = \"x\"\nport = 7\n{more}\n");
    let good = service(
        "exec = [\"/bin/cat\", \"\"]\nuser = \"nobody\"\ngroup = \"games\"\nsessions = true\n\
         environment = [\"A=\", \"B=c=d\"]\nlimit_memory = \"1GiB\"\nwall_time = \"5min\"\ndirectory = \"/\"\n\
         readable = [\"/usr\"]\nnetwork = false\nidle_workers = 64\nmax_per_source = 2\nnice = 19",
    );
    let config = load("command", &good).expect("a good command");
    assert_eq!(config.services[0].handler, Handler::Exec);
    assert_eq!(config.services[0].limit_memory, 1 << 30);
    let refusals = [
        (
            "exec = []",
            "FILE:4: service.x.exec = []: no command; allowed: a program by its whole path and its arguments, or a handler",
        ),
        (
            "exec = [\"cat\"]",
            "FILE:4: service.x.exec = [\"cat\"]: the program is not named by its whole path; allowed: a first word that begins with '/'",
        ),
        (
            "exec = \"/bin/cat\"",
            "FILE:4: service.x.exec = \"/bin/cat\": not a list; allowed: a program by its whole path and its arguments, as [\"/bin/cat\", \"-u\"]",
        ),
        (
            "exec = [\"/bin/cat\", 7]",
            "FILE:4: service.x.exec = [\"/bin/cat\", 7]: not a list of strings; allowed: a program by its whole path and its arguments, as [\"/bin/cat\", \"-u\"]",
        ),
        (
            "exec = [\"/bin/c\\u0000at\"]",
            "FILE:4: service.x.exec = [\"/bin/c\\u0000at\"]: a NUL in it; allowed: a program by its whole path and its arguments, as [\"/bin/cat\", \"-u\"]",
        ),
        (
            "handler = \"echo\"\nexec = [\"/bin/cat\"]",
            "FILE:5: service.x.exec = [\"/bin/cat\"]: handler \"echo\" has none; allowed: only beside exec",
        ),
        (
            "handler = \"echo\"\nlimit_files = 9",
            "FILE:5: service.x.limit_files = 9: handler \"echo\" has none; allowed: only beside exec",
        ),
        (
            "handler = \"echo\"\ndirectory = \"/srv\"",
            "FILE:5: service.x.directory = \"/srv\": handler \"echo\" has none; allowed: no directory, or handler = \"http\", or exec",
        ),
        (
            "handler = \"echo\"\ngroup = \"games\"",
            "FILE:5: service.x.group = \"games\": there is no user beside it; allowed: user and group",
        ),
        (
            "exec = [\"/bin/cat\"]\nsessions = true",
            "FILE:5: service.x.sessions = true: the command would have the daemon's own rights; allowed: only beside user",
        ),
        (
            "handler = \"echo\"\nidle_workers = 65",
            "FILE:5: service.x.idle_workers = 65: above max_workers, which is 64; allowed: at most that",
        ),
        (
            "exec = [\"/bin/cat\"]\nenvironment = [\"=x\"]",
            "FILE:5: service.x.environment = [\"=x\"]: \"=x\" is not NAME=value; allowed: a list as [\"LANG=C.UTF-8\", \"PATH=/usr/bin\"]",
        ),
        (
            "exec = [\"/bin/cat\"]\nreadable = [\"usr\"]",
            "FILE:5: service.x.readable = [\"usr\"]: \"usr\" does not begin with '/'; allowed: a list of paths that begin with '/'",
        ),
        (
            "exec = [\"/bin/cat\"]\nnice = -1",
            "FILE:5: service.x.nice = -1: too small; allowed: an integer from 0 to 19",
        ),
    ];
    for (more, message) in refusals {
        assert_eq!(messages("command-bad", &service(more)), [message], "{more}");
    }
}
