use super::*;

fn complete() -> String {
    let mut text = "others = [1337]\nrequirements = [\n".to_owned();
    for (level, count) in Level::ALL {
        for number in 1..=count {
            let id = Id { level, number };
            text += &format!("{{ id = \"{id}\", section = \"3.1\", rule = \"A rule.\" }},\n");
        }
    }
    text + "]\n"
}

#[test]
fn a_list_with_every_number_is_read() {
    let requirements = Requirements::parse(&complete()).expect("complete");
    assert_eq!(requirements.all.len(), 69 + 31 + 18 + 1);
    assert_eq!(requirements.all[11].id.to_string(), "MUST-12");
    assert_eq!(requirements.others, [1337]);
}

#[test]
fn a_number_that_is_missing_twice_or_unknown_is_refused() {
    let line = "{ id = \"MUST-12\", section = \"3.1\", rule = \"A rule.\" },\n";
    for wrong in [
        complete().replace(line, ""),
        complete().replace(line, &line.repeat(2)),
        complete().replace("\"MUST-12\"", "\"MUST-70\""),
        complete().replace("\"MUST-12\"", "\"SHOULD-1\""),
        complete().replace("\"REC-1\"", "\"REC-2\""),
    ] {
        assert!(Requirements::parse(&wrong).is_err());
    }
}

#[test]
fn a_section_that_is_none_and_an_empty_rule_are_refused() {
    for wrong in [
        complete().replacen("3.1", "3.", 1),
        complete().replacen("A rule.", " ", 1),
    ] {
        assert!(Requirements::parse(&wrong).is_err());
    }
}

#[test]
fn a_number_is_read_in_any_case() {
    let id: Id = "shld-3".parse().expect("a number");
    assert_eq!(id.to_string(), "SHLD-3");
    assert!("MUST".parse::<Id>().is_err());
    assert!("MUST-x".parse::<Id>().is_err());
}
