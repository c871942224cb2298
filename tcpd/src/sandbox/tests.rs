use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

#[test]
fn arguments_survive_being_passed_to_the_second_stage() {
    let args = SandboxArgs {
        set: vec!["tcp.msl=1s".into(), "device.offload=false".into()],
        config: Some("over.toml".into()),
        log: None,
        bare: true,
        inside: Some("/tmp/x".into()),
        command: vec!["sh".into(), "-c".into(), "--bare".into()],
    };
    let line = std::iter::once("tcpd".into()).chain(args.to_arguments());
    let Command::Sandbox(parsed) = Cli::try_parse_from(line).unwrap().command else {
        panic!("not a sandbox")
    };
    assert_eq!(format!("{parsed:?}"), format!("{args:?}"));
}
