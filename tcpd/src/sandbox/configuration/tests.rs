use super::*;
use crate::daemon::config::Config;

#[test]
fn the_daemon_accepts_the_sandboxes_configuration() {
    let directory = std::env::temp_dir().join(format!("tcpd-test-{}", std::process::id()));
    fs::create_dir(&directory).unwrap();
    let over = directory.join("over.toml");
    fs::write(
        &over,
        "[tcp]\nmsl = \"1s\"\n[[service]]\nname = \"echo\"\nhandler = \"echo\"\nport = 7007\n",
    )
    .unwrap();
    let path = write(&directory, Some(&over)).unwrap();
    let config = Config::load(Some(&path), [], &[]).unwrap();
    assert_eq!(config.control.socket, socket(&directory));
    assert_eq!(config.tcp.msl.as_secs(), 1);
    let port = |name: &str| {
        config
            .services
            .iter()
            .find(|service| service.name == name)
            .map(|service| service.port)
    };
    assert_eq!(
        (port("echo"), port("chargen"), port("http")),
        (Some(7007), Some(19), Some(80))
    );
    assert_eq!(config.services.len(), SERVICES.len());
    fs::remove_dir_all(&directory).unwrap();
}
