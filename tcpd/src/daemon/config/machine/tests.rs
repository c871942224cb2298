use super::*;

fn problems(service: Service) -> Vec<String> {
    let mut config = Config {
        services: vec![service],
        ..Config::default()
    };
    let problems = check(&mut config, &HashMap::new());
    problems.iter().map(ToString::to_string).collect()
}

fn command(words: &[&str]) -> Service {
    Service {
        exec: words.iter().map(|&word| word.to_owned()).collect(),
        ..Service::new("x", 1, Handler::Exec)
    }
}

#[test]
fn a_program_a_user_and_a_directory_that_are_there_are_good() {
    let service = Service {
        user: Some("root".to_owned()),
        directory: Some("/".into()),
        readable: vec!["/usr".into()],
        ..command(&["/bin/sh", "-c", "true"])
    };
    assert_eq!(problems(service), Vec::<String>::new());
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(
        problems(command(&["/no/such/program", "-v"])),
        [
            "built-in defaults: service.x.exec = [\"/no/such/program\", \"-v\"]: \
             /no/such/program: No such file or directory (os error 2)"
        ]
    );
    assert!(problems(command(&["/etc/passwd"]))[0].ends_with("/etc/passwd is not executable"));
    assert!(problems(command(&["/usr/bin"]))[0].ends_with("/usr/bin is not a file"));
    let http = |directory: &str| Service {
        directory: Some(directory.into()),
        ..Service::new("x", 1, Handler::Http)
    };
    assert_eq!(
        problems(http("/no/such/site")),
        [
            "built-in defaults: service.x.directory = \"/no/such/site\": No such file or directory (os error 2)"
        ]
    );
    assert!(problems(http("/etc/passwd"))[0].ends_with("not a directory"));
    let of = |user: &str, group: Option<&str>| Service {
        user: Some(user.to_owned()),
        group: group.map(str::to_owned),
        ..command(&["/bin/sh"])
    };
    assert_eq!(
        problems(of("no-such-user", None)),
        ["built-in defaults: service.x.user = \"no-such-user\": there is no such user"]
    );
    assert!(problems(of("root", Some("no-such-group")))[0].ends_with("there is no such group"));
}

#[test]
fn a_disabled_service_may_wait_for_its_program() {
    let mut service = command(&["/no/such/program"]);
    service.enabled = false;
    assert_eq!(problems(service), Vec::<String>::new());
}

#[test]
fn the_account_is_filled_in() {
    let mut config = Config {
        services: vec![Service {
            user: Some("root".to_owned()),
            ..command(&["/bin/sh"])
        }],
        ..Config::default()
    };
    assert_eq!(check(&mut config, &HashMap::new()), []);
    let account = config.services[0].account.as_ref().expect("found");
    assert_eq!((account.uid, account.gid), (0, 0));
}
