//! The pictures, as far as a machine can judge them: well-formed, an arrow for each packet, no text outside the picture, over another
//! text or out of its box; the state diagram complete, and exactly the arrows marked that were taken.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};
use tcpd_core::tcp::endpoint::{ARROWS, State};

use super::{names, played, scenario};

fn classes<'a>(node: &Node<'a, '_>) -> BTreeSet<&'a str> {
    node.attribute("class").unwrap_or("").split(' ').collect()
}

fn number(node: &Node<'_, '_>, name: &str) -> f64 {
    let text = node
        .attribute(name)
        .unwrap_or_else(|| panic!("{name} of {node:?}"));
    text.parse().unwrap_or_else(|_| panic!("{name} = {text}"))
}

/// A text as the rectangle it covers, perhaps turned: its corners.
struct Covered {
    text: String,
    class: String,
    width: f64,
    corners: [(f64, f64); 4],
}

impl std::fmt::Display for Covered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (class, text) = (&self.class, &self.text);
        write!(f, "{class} {text:?} at {:.0?}", self.corners)
    }
}

/// Width of a character, as a share of the type's size: DejaVu Sans Mono has 0.602 for each; its proportional sister less on average,
/// as long texts have it.
const CHARACTER: f64 = 0.602;

fn size(node: &Node<'_, '_>, class: &str) -> f64 {
    let style = node.attribute("style").unwrap_or("");
    if let Some(rest) = style.split("font-size:").nth(1) {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        return digits.parse().expect("a size");
    }
    match class {
        "title" => 20.0,
        "subtitle" | "side" => 14.0,
        "clock" | "state" | "rfc" => 11.0,
        _ => 12.0,
    }
}

fn covered(node: &Node<'_, '_>) -> Covered {
    let class = node
        .attribute("class")
        .expect("every text has a class")
        .to_owned();
    let text = node.text().unwrap_or("").to_owned();
    let size = size(node, &class);
    let width = text.chars().count() as f64 * size * CHARACTER;
    let (x, y) = (number(node, "x"), number(node, "y"));
    let left = match node.attribute("text-anchor") {
        Some("middle") => x - width / 2.0,
        Some("end") => x - width,
        _ => x,
    };
    // From the top of a capital to the baseline.
    let (top, bottom) = (y - 0.73 * size, y);
    let flat = [
        (left, top),
        (left + width, top),
        (left + width, bottom),
        (left, bottom),
    ];
    let turn = node.attribute("transform").map(|transform| {
        let inner = transform
            .trim_start_matches("rotate(")
            .trim_end_matches(')');
        let numbers: Vec<f64> = inner
            .split(' ')
            .map(|n| n.parse().expect("a number"))
            .collect();
        assert_eq!(
            (numbers[1], numbers[2]),
            (x, y),
            "turned about its own anchor"
        );
        numbers[0].to_radians()
    });
    let (sin, cos) = turn.unwrap_or(0.0).sin_cos();
    let turned = |(px, py): (f64, f64)| {
        let (dx, dy) = (px - x, py - y);
        (x + dx * cos - dy * sin, y + dx * sin + dy * cos)
    };
    Covered {
        text,
        class,
        width,
        corners: flat.map(turned),
    }
}

/// Whether two convex shapes have a point in common (separating axes).
fn meet(a: &[(f64, f64); 4], b: &[(f64, f64); 4]) -> bool {
    let span = |shape: &[(f64, f64); 4], axis: (f64, f64)| {
        let along = shape.map(|(x, y)| x * axis.0 + y * axis.1);
        let least = along.iter().copied().fold(f64::INFINITY, f64::min);
        (
            least,
            along.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        )
    };
    let axes = [a, b].into_iter().flat_map(|shape| {
        let side = |i: usize, j: usize| (shape[j].1 - shape[i].1, shape[i].0 - shape[j].0);
        [side(0, 1), side(1, 2)]
    });
    for axis in axes {
        let ((a0, a1), (b0, b1)) = (span(a, axis), span(b, axis));
        if a1 <= b0 || b1 <= a0 {
            return false;
        }
    }
    true
}

/// Every text stands inside the picture and over no other text.
fn assert_legible(name: &str, document: &Document<'_>) {
    let root = document.root_element();
    let (width, height) = (number(&root, "width"), number(&root, "height"));
    let texts: Vec<Covered> = document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .map(|node| covered(&node))
        .collect();
    assert!(texts.len() > 5, "{name}");
    for text in &texts {
        for (x, y) in text.corners {
            assert!(
                (0.0..=width).contains(&x) && (0.0..=height).contains(&y),
                "{name}: outside the picture: {text}"
            );
        }
    }
    let mut over = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        for other in &texts[index + 1..] {
            if meet(&text.corners, &other.corners) {
                over.push(format!("{text} over {other}"));
            }
        }
    }
    assert!(over.is_empty(), "{name}:\n{}", over.join("\n"));
}

fn drawn(arguments: &[&str]) -> String {
    let output = scenario(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_ladder_is_drawn_legibly_with_an_arrow_a_packet() {
    for name in names().iter().filter(|name| *name != "fsm") {
        for family in [&[][..], &["--ipv6"]] {
            let text = played(&[&[name.as_str()], family].concat());
            let svg = drawn(&[&[name.as_str(), "--svg", "-"], family].concat());
            let document = Document::parse(&svg).expect(name);
            assert_legible(name, &document);

            let arrows: Vec<_> = document
                .descendants()
                .filter(|node| classes(node).contains("packet"))
                .collect();
            let packets = text.lines().filter(|line| line.contains("──")).count();
            assert_eq!(arrows.len(), packets, "{name}");
            let lost = arrows
                .iter()
                .filter(|node| classes(node).contains("lost"))
                .count();
            assert_eq!(lost, text.matches("✗").count(), "{name}");
            let heads = document
                .descendants()
                .filter(|node| classes(node).contains("head"));
            assert_eq!(
                heads.count(),
                packets - lost,
                "{name}: who arrives has a head"
            );

            let boxes: Vec<_> = document
                .descendants()
                .filter(|node| node.has_tag_name("rect") && classes(node).contains("box"))
                .collect();
            let states: Vec<_> = document
                .descendants()
                .filter(|node| node.has_tag_name("text") && classes(node).contains("state"))
                .collect();
            assert_eq!(boxes.len(), states.len(), "{name}");
            for (one, state) in boxes.iter().zip(states) {
                let covered = covered(&state);
                assert!(covered.width < number(one, "width"), "{name}: {covered}");
            }
        }
    }
}

#[test]
fn every_way_through_the_states_is_drawn_legibly() {
    for name in names().iter().filter(|name| *name != "fsm") {
        let marked = transitions(&drawn(&[name, "--fsm", "-"]));
        let marked = marked.iter().filter(|(_, _, taken)| !taken.is_empty());
        assert!(marked.count() >= 2, "{name}");
    }
}

#[test]
fn a_slower_packet_has_a_longer_way_down() {
    let drop = |latency: &str| {
        let svg = drawn(&["three-way-handshake", "--svg", "-", "--set", latency]);
        let document = Document::parse(&svg).expect("XML");
        let last = document
            .descendants()
            .rfind(|node| classes(node).contains("arrow"))
            .expect("an arrow");
        number(&last, "y2") - number(&last, "y1")
    };
    assert!(drop("latency=1s") > drop("latency=50ms") + 10.0);
    assert!(drop("latency=1ms") > 10.0);
}

/// Every transition of a state diagram: from, to, by whom.
fn transitions(svg: &str) -> Vec<(String, String, String)> {
    let document = Document::parse(svg).expect("XML");
    assert_legible("fsm", &document);
    let states: BTreeSet<_> = document
        .descendants()
        .filter_map(|node| node.attribute("data-state"))
        .collect();
    let all: BTreeSet<_> = State::ALL.iter().map(|state| state.name()).collect();
    assert_eq!(states, all);
    document
        .descendants()
        .filter(|node| classes(node).contains("transition"))
        .map(|node| {
            let of = |name| node.attribute(name).unwrap_or("").to_owned();
            (of("data-from"), of("data-to"), of("data-taken"))
        })
        .collect()
}

#[test]
fn the_state_diagram_has_every_state_and_every_arrow_of_the_stacks_table() {
    let drawn = transitions(&drawn(&["fsm", "--svg", "-"]));
    assert!(drawn.iter().all(|(_, _, taken)| taken.is_empty()));
    let mut drawn: Vec<_> = drawn.into_iter().map(|(from, to, _)| (from, to)).collect();
    let mut table: Vec<_> = ARROWS
        .iter()
        .map(|(from, to)| (from.name().to_owned(), to.name().to_owned()))
        .collect();
    drawn.sort();
    table.sort();
    assert_eq!(drawn, table);
    let text = played(&["fsm"]);
    assert_eq!(text.matches(" → ").count(), ARROWS.len());
}

/// The arrows that one side took, in a play's state diagram.
fn taken(name: &str, side: &str) -> BTreeSet<(String, String)> {
    transitions(&drawn(&[name, "--fsm", "-"]))
        .into_iter()
        .filter(|(_, _, taken)| taken.split(' ').any(|one| one == side))
        .map(|(from, to, _)| (from, to))
        .collect()
}

/// The arrows along a way through states.
fn along(ways: &[&[&str]]) -> BTreeSet<(String, String)> {
    ways.iter()
        .flat_map(|way| way.windows(2))
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()))
        .collect()
}

#[test]
fn exactly_the_transitions_that_a_play_took_are_marked() {
    let active = ["CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1"];
    let closing = [&active[..], &["FIN-WAIT-2", "TIME-WAIT", "CLOSED"]].concat();
    let passive = ["CLOSED", "LISTEN", "SYN-RECEIVED", "ESTABLISHED"];
    let closed = [&passive[..], &["CLOSE-WAIT", "LAST-ACK", "CLOSED"]].concat();
    assert_eq!(taken("four-way-close", "left"), along(&[&closing]));
    assert_eq!(taken("four-way-close", "right"), along(&[&closed]));

    let both: &[&str] = &[
        "ESTABLISHED",
        "FIN-WAIT-1",
        "CLOSING",
        "TIME-WAIT",
        "CLOSED",
    ];
    assert_eq!(taken("all-states", "left"), along(&[&closing, both]));
    assert_eq!(taken("all-states", "right"), along(&[&closed, both]));

    // Fifth step, eighth step: FIN-WAIT-2 is passed though one segment brings both.
    assert_eq!(taken("fin-ack-merged", "left"), along(&[&closing]));
    let crossed: &[&str] = &["CLOSED", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED"];
    for side in ["left", "right"] {
        assert_eq!(taken("simultaneous-open", side), along(&[crossed]));
    }
    let refused: &[&str] = &["CLOSED", "SYN-SENT", "CLOSED"];
    assert_eq!(taken("rst-closed-port", "left"), along(&[refused]));
    assert_eq!(taken("rst-closed-port", "right"), along(&[]));
}

#[test]
fn a_tour_through_all_states_is_one() {
    let seen: BTreeSet<String> = ["left", "right"]
        .into_iter()
        .flat_map(|side| taken("all-states", side))
        .flat_map(|(from, to)| [from, to])
        .collect();
    assert_eq!(seen.len(), State::COUNT);
}
