//! The state diagram of RFC 9293, figure 5, with every arrow of the table that the stack itself is checked against, and those that a play
//! took in the colour of the side that took them.
//!
//! As in the figure CLOSED stands twice, at the top and at the bottom. An abort, a reset or a timeout leads to CLOSED from everywhere: these arrows
//! are short, to a small CLOSED beside the state.

use tcpd_core::sim::pair::End;
use tcpd_core::stack::State::{
    self, CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen,
    SynReceived, SynSent, TimeWait,
};
use tcpd_core::tcp::endpoint::ARROWS;

use super::play::Play;
use super::svg::style;
use super::svg::{Picture, escaped};

/// What it is called on the command line.
pub(super) const NAME: &str = "fsm";

const SIZE: (f64, f64) = (1040.0, 900.0);
/// Half a state's box.
const HALF: (f64, f64) = (68.0, 21.0);

/// Where a state stands: the middle of its box.
const fn place(state: State) -> (f64, f64) {
    match state {
        Closed => (520.0, 120.0),
        Listen => (520.0, 235.0),
        SynReceived => (250.0, 340.0),
        SynSent => (790.0, 340.0),
        Established => (520.0, 440.0),
        FinWait1 => (250.0, 545.0),
        CloseWait => (790.0, 545.0),
        FinWait2 => (250.0, 700.0),
        Closing => (520.0, 660.0),
        LastAck => (790.0, 690.0),
        TimeWait => (520.0, 820.0),
    }
}

/// CLOSED once more, where closed connections end.
const CLOSED_BELOW: (f64, f64) = (790.0, 820.0);

/// An arrow of the picture: its points, and where and how its words stand.
struct Edge {
    from: State,
    to: State,
    points: &'static [(f64, f64)],
    words: &'static [&'static str],
    at: (f64, f64),
    anchor: &'static str,
}

const fn edge(
    from: State,
    to: State,
    points: &'static [(f64, f64)],
    words: &'static [&'static str],
    at: (f64, f64),
    anchor: &'static str,
) -> Edge {
    Edge {
        from,
        to,
        points,
        words,
        at,
        anchor,
    }
}

/// Every arrow. A test holds this equal to [`ARROWS`].
#[rustfmt::skip]
const EDGES: &[Edge] = &[
    edge(Closed, Listen, &[(500.0, 141.0), (500.0, 214.0)], &["passive OPEN"], (484.0, 182.0), "end"),
    edge(Listen, Closed, &[(540.0, 214.0), (540.0, 141.0)], &["CLOSE"], (556.0, 182.0), "start"),
    edge(Closed, SynSent, &[(588.0, 112.0), (810.0, 112.0), (810.0, 319.0)], &["active OPEN", "snd SYN"], (826.0, 200.0), "start"),
    edge(SynSent, Closed, &[(770.0, 319.0), (770.0, 130.0), (588.0, 130.0)], &["CLOSE, refused,", "timeout"], (762.0, 165.0), "end"),
    edge(Listen, SynReceived, &[(452.0, 228.0), (240.0, 228.0), (240.0, 319.0)], &["rcv SYN", "snd SYN,ACK"], (300.0, 204.0), "middle"),
    edge(SynReceived, Listen, &[(290.0, 319.0), (290.0, 246.0), (452.0, 246.0)], &["rcv RST (passive)"], (298.0, 264.0), "start"),
    edge(Listen, SynSent, &[(588.0, 240.0), (745.0, 240.0), (745.0, 319.0)], &["SEND, snd SYN"], (737.0, 262.0), "end"),
    edge(SynSent, SynReceived, &[(722.0, 340.0), (318.0, 340.0)], &["rcv SYN, snd SYN,ACK"], (520.0, 332.0), "middle"),
    edge(SynReceived, Established, &[(300.0, 361.0), (452.0, 428.0)], &["rcv ACK of SYN"], (398.0, 392.0), "start"),
    edge(SynSent, Established, &[(740.0, 361.0), (588.0, 428.0)], &["rcv SYN,ACK, snd ACK"], (700.0, 409.0), "start"),
    edge(SynReceived, FinWait1, &[(230.0, 361.0), (230.0, 524.0)], &["CLOSE", "snd FIN"], (214.0, 440.0), "end"),
    edge(Established, FinWait1, &[(452.0, 452.0), (310.0, 524.0)], &["CLOSE, snd FIN"], (400.0, 506.0), "start"),
    edge(Established, CloseWait, &[(588.0, 452.0), (730.0, 524.0)], &["rcv FIN, snd ACK"], (676.0, 480.0), "start"),
    edge(FinWait1, FinWait2, &[(230.0, 566.0), (230.0, 679.0)], &["rcv ACK", "of FIN"], (214.0, 620.0), "end"),
    edge(FinWait1, Closing, &[(318.0, 556.0), (470.0, 639.0)], &["rcv FIN", "snd ACK"], (434.0, 576.0), "start"),
    edge(FinWait1, TimeWait, &[(290.0, 566.0), (390.0, 700.0), (465.0, 799.0)], &["rcv FIN,ACK of FIN", "snd ACK"], (416.0, 706.0), "start"),
    edge(FinWait2, TimeWait, &[(270.0, 721.0), (270.0, 812.0), (452.0, 812.0)], &["rcv FIN", "snd ACK"], (288.0, 760.0), "start"),
    edge(CloseWait, LastAck, &[(810.0, 566.0), (810.0, 669.0)], &["CLOSE", "snd FIN"], (826.0, 612.0), "start"),
    edge(Closing, TimeWait, &[(540.0, 681.0), (540.0, 799.0)], &["rcv ACK of FIN"], (558.0, 752.0), "start"),
    edge(LastAck, Closed, &[(810.0, 711.0), (810.0, 799.0)], &["rcv ACK of FIN", "or given up"], (826.0, 752.0), "start"),
    edge(TimeWait, Closed, &[(588.0, 820.0), (722.0, 820.0)], &["2MSL over"], (655.0, 806.0), "middle"),
    edge(TimeWait, SynReceived, &[(500.0, 841.0), (500.0, 866.0), (80.0, 866.0), (80.0, 340.0), (182.0, 340.0)], &["rcv newer SYN (RFC 6191)"], (92.0, 858.0), "start"),
    edge(SynReceived, Closed, &[(182.0, 328.0), (150.0, 328.0)], &[], (0.0, 0.0), "end"),
    edge(Established, Closed, &[(520.0, 461.0), (520.0, 490.0)], &[], (0.0, 0.0), "middle"),
    edge(FinWait1, Closed, &[(182.0, 545.0), (150.0, 545.0)], &[], (0.0, 0.0), "end"),
    edge(FinWait2, Closed, &[(182.0, 700.0), (150.0, 700.0)], &[], (0.0, 0.0), "end"),
    edge(CloseWait, Closed, &[(858.0, 545.0), (890.0, 545.0)], &[], (0.0, 0.0), "start"),
    edge(Closing, Closed, &[(588.0, 660.0), (620.0, 660.0)], &[], (0.0, 0.0), "start"),
];

/// The diagram; with a play, the arrows it took.
pub(super) fn draw(play: Option<&Play>) -> String {
    let mut out = Picture::default();
    let (width, height) = SIZE;
    out.line(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">"
    ));
    out.line("<title>The states of a TCP connection</title>");
    out.line(style::sheet());
    out.line("<rect class=\"ground\" width=\"100%\" height=\"100%\"/>");
    let title = match play {
        None => "TCP connection states (RFC 9293, figure 5)".to_owned(),
        Some(play) => format!("{}: the way through RFC 9293, figure 5", play.scenario.name),
    };
    out.text(24.0, 34.0, "title", "start", &title);
    legend(&mut out, play.is_some());
    // Those that were taken lie on top.
    let (taken, others): (Vec<&Edge>, Vec<&Edge>) = EDGES
        .iter()
        .partition(|edge| !sides_of(play, edge).is_empty());
    for edge in others.into_iter().chain(taken) {
        draw_edge(&mut out, edge, &sides_of(play, edge));
    }
    for state in State::ALL {
        node(&mut out, state, place(state));
    }
    node(&mut out, Closed, CLOSED_BELOW);
    out.line("</svg>");
    out.svg
}

fn legend(out: &mut Picture, played: bool) {
    out.text(
        24.0,
        56.0,
        "subtitle",
        "start",
        "A small CLOSED: an abort, a reset or a timeout leads there.",
    );
    if played {
        badge(out, (32.0, 74.0), End::Left);
        out.text(46.0, 78.0, "note", "start", "taken by the left side");
        badge(out, (32.0, 96.0), End::Right);
        out.text(46.0, 100.0, "note", "start", "taken by the right side");
    }
}

/// Which sides took an arrow.
fn sides_of(play: Option<&Play>, edge: &Edge) -> Vec<End> {
    let took = |end: &End| {
        play.is_some_and(|play| {
            let arrow = (*end as usize, edge.from.index(), edge.to.index());
            play.taken.contains(&arrow)
        })
    };
    End::BOTH.into_iter().filter(took).collect()
}

fn draw_edge(out: &mut Picture, edge: &Edge, sides: &[End]) {
    let (class, who) = match sides {
        [] => ("", ""),
        [End::Left] => ("taken left", "left"),
        [End::Right] => ("taken right", "right"),
        _ => ("taken both", "left right"),
    };
    out.line(format!(
        "<g class=\"transition {class}\" data-from=\"{}\" data-to=\"{}\" data-taken=\"{who}\">",
        edge.from, edge.to
    ));
    let points: Vec<String> = edge
        .points
        .iter()
        .map(|(x, y)| format!("{x},{y}"))
        .collect();
    let stroke = if sides.is_empty() { 1.4 } else { 2.6 };
    out.line(format!(
        "<polyline class=\"edge\" fill=\"none\" stroke-width=\"{stroke}\" stroke-linejoin=\"round\" points=\"{}\"/>",
        points.join(" ")
    ));
    let (from, to) = ends(edge.points);
    out.head("edgehead", from, to);
    for (index, words) in edge.words.iter().enumerate() {
        let y = edge.at.1 + 14.0 * index as f64;
        out.line(format!(
            "<text class=\"edgelabel\" style=\"font-size:11px;paint-order:stroke;stroke-width:4px\" x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"{}\">{}</text>",
            edge.at.0,
            edge.anchor,
            escaped(words)
        ));
    }
    if edge.words.is_empty() {
        stub(out, to, edge.anchor);
    }
    for (index, end) in sides.iter().enumerate() {
        let (from, to) = first_leg(edge.points);
        let share = if edge.words.is_empty() {
            0.5
        } else {
            0.34 + 0.3 * index as f64
        };
        let shift = if edge.words.is_empty() {
            16.0 * index as f64
        } else {
            0.0
        };
        badge(
            out,
            (
                from.0 + (to.0 - from.0) * share,
                from.1 + (to.1 - from.1) * share + shift,
            ),
            *end,
        );
    }
    out.line("</g>");
}

/// A small CLOSED at the end of a short arrow.
fn stub(out: &mut Picture, at: (f64, f64), anchor: &str) {
    let (width, half) = (54.0, 9.0);
    let (left, top) = match anchor {
        "end" => (at.0 - width, at.1 - half),
        "start" => (at.0, at.1 - half),
        _ => (at.0 - width / 2.0, at.1),
    };
    out.line(format!(
        "<rect class=\"box s-closed\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{}\" rx=\"4\"/>",
        2.0 * half
    ));
    out.line(format!(
        "<text class=\"state\" style=\"font-size:10px;font-weight:normal\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">CLOSED</text>",
        left + width / 2.0,
        top + half + 3.5
    ));
}

fn ends(points: &[(f64, f64)]) -> ((f64, f64), (f64, f64)) {
    match points {
        [.., from, to] => (*from, *to),
        _ => ((0.0, 0.0), (0.0, 0.0)),
    }
}

fn first_leg(points: &[(f64, f64)]) -> ((f64, f64), (f64, f64)) {
    match points {
        [from, to, ..] => (*from, *to),
        _ => ((0.0, 0.0), (0.0, 0.0)),
    }
}

fn node(out: &mut Picture, state: State, (x, y): (f64, f64)) {
    let (half, high) = HALF;
    out.line(format!(
        "<g class=\"node\" data-state=\"{state}\"><rect class=\"box {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"8\"/>",
        style::class(state),
        x - half,
        y - high,
        2.0 * half,
        2.0 * high
    ));
    out.line(format!(
        "<text class=\"state\" style=\"font-size:13px\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{state}</text></g>",
        y + 5.0
    ));
}

fn badge(out: &mut Picture, (x, y): (f64, f64), end: End) {
    let (class, letter) = match end {
        End::Left => ("badge-left", "L"),
        End::Right => ("badge-right", "R"),
    };
    out.line(format!(
        "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\"/>"
    ));
    out.line(format!(
        "<text class=\"badgetext\" style=\"font-size:10px;font-weight:bold\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{letter}</text>",
        y + 3.5
    ));
}

/// The arrows as text, a line each.
pub(super) fn table() -> String {
    let mut text = String::from(
        "The arrows of RFC 9293, figure 5, of its notes, and of RFC 6191 (tcpd scenario fsm --svg FILE draws them):\n",
    );
    for (from, to) in ARROWS {
        let words = EDGES.iter().find(|edge| (edge.from, edge.to) == (from, to));
        let words = words.map_or(String::new(), |edge| match edge.words {
            [] => "abort, reset or timeout".to_owned(),
            words => words.join(" "),
        });
        let line = format!("  {from:<13} → {to:<13} {words}");
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{ARROWS, EDGES};

    #[test]
    fn every_arrow_of_the_stack_is_drawn_and_no_other() {
        let mut drawn: Vec<_> = EDGES
            .iter()
            .map(|edge| (edge.from.index(), edge.to.index()))
            .collect();
        let mut known: Vec<_> = ARROWS
            .iter()
            .map(|(from, to)| (from.index(), to.index()))
            .collect();
        drawn.sort_unstable();
        known.sort_unstable();
        assert_eq!(drawn, known);
    }
}
