use super::*;

#[test]
fn every_name_makes_the_handler_of_that_name() {
    for name in Handler::NAMES {
        let directory = (name == "http").then(|| PathBuf::from("/srv"));
        let handler = Handler::from_name(name, directory).expect("a known name");
        assert_eq!(handler.name(), name);
    }
}

#[test]
fn a_wrong_handler_says_what_is_allowed() {
    let error = Handler::from_name("ecko", None).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "no handler is called 'ecko'; there are echo, discard, daytime, time, chargen, http"
    );
    assert_eq!(
        Handler::from_name("http", None),
        Err(HandlerError::DirectoryMissing)
    );
    assert_eq!(
        Handler::from_name("echo", Some("/".into())),
        Err(HandlerError::DirectoryUnused("echo".into()))
    );
    assert_eq!(
        Handler::from_name("ecko", Some("/".into())),
        Err(HandlerError::Unknown("ecko".into()))
    );
}
