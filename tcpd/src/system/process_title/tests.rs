use super::*;

#[test]
fn argument_range_is_found_behind_a_name_with_parentheses_and_spaces() {
    let mut stat = String::from("4711 (a) b (c)) S");
    for field in 4..=52 {
        match field {
            48 => stat.push_str(" 140000"),
            49 => stat.push_str(" 140010"),
            _ => stat.push_str(" 0"),
        }
    }
    assert_eq!(argument_range(&stat), Some((140_000, 140_010)));
}

#[test]
fn argument_range_that_the_kernel_hides_is_not_used() {
    let stat = format!("1 (init) S{}", " 0".repeat(49));
    assert_eq!(argument_range(&stat), None);
    assert_eq!(argument_range(""), None);
    assert_eq!(argument_range("1 (x) S 1 2"), None);
}

#[test]
fn argument_range_of_this_process_starts_with_its_first_argument() {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    let (start, end) = argument_range(&stat).expect("a process sees its own addresses");
    let command_line = fs::read("/proc/self/cmdline").expect("/proc is mounted");
    assert_eq!(end - start, command_line.len());
}

#[test]
fn padding_makes_room() {
    assert_eq!(padded_argv0("tcpd").len(), ROOM);
}
