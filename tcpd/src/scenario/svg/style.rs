//! Colours and type of the pictures, for light and dark.

use tcpd_core::stack::State;

/// A state's class in the style sheet.
pub(in crate::scenario) fn class(state: State) -> String {
    format!("s-{}", state.name().to_lowercase())
}

/// Fill in light, fill in dark; states that belong together are alike.
fn colours(state: State) -> (&'static str, &'static str) {
    match state {
        State::Closed => ("#dfe3e8", "#3a4048"),
        State::Listen => ("#cfe2ff", "#1f3f6b"),
        State::SynSent => ("#ffe9b8", "#5c4812"),
        State::SynReceived => ("#ffd98a", "#74560c"),
        State::Established => ("#bfe8c4", "#1d5a2b"),
        State::FinWait1 => ("#ffd3bd", "#6f3415"),
        State::FinWait2 => ("#ffbfa0", "#85401a"),
        State::CloseWait => ("#e2d1f9", "#46306c"),
        State::Closing => ("#f9c9dd", "#6d2447"),
        State::LastAck => ("#d0b8f5", "#553a86"),
        State::TimeWait => ("#f7b7b7", "#7a2626"),
    }
}

/// The style element.
pub(in crate::scenario) fn sheet() -> String {
    let mut light = String::new();
    let mut dark = String::new();
    for state in State::ALL {
        let (bright, dim) = colours(state);
        let class = class(state);
        light += &format!(".{class}{{fill:{bright}}}");
        dark += &format!(".{class}{{fill:{dim}}}");
    }
    format!(
        "<style>{TYPE}{LIGHT}{light}@media (prefers-color-scheme: dark){{{DARK}{dark}}}</style>"
    )
}

const TYPE: &str = "text{font:12px 'DejaVu Sans',Verdana,sans-serif}\
.title{font-size:20px;font-weight:bold}.subtitle{font-size:14px}\
.label,.event,.clock,.state{font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace}\
.label{font-size:12px}.event{font-size:12px;font-style:italic}.clock{font-size:11px}.state{font-size:11px;font-weight:bold}\
.side{font-size:14px;font-weight:bold}.remark{font-style:italic}.rfc{font-size:11px}\
.life{stroke-width:2}.long{stroke-width:10;stroke-dasharray:4 4}.arrow{stroke-width:1.6;fill:none}.cross{stroke-width:2.4}\
.foreign .arrow{stroke-dasharray:7 4}\
.label,.event,.remark{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}";

const LIGHT: &str = ".ground{fill:#ffffff}text{fill:#1b1f24}.clock,.rfc,.subtitle{fill:#57606a}.life{stroke:#8c959f}\
.arrow{stroke:#0b5cad}.head{fill:#0b5cad}.lost .arrow{stroke:#8c959f}.cross{stroke:#c62828}\
.foreign .arrow{stroke:#c62828}.foreign .head{fill:#c62828}.foreign .label{fill:#c62828}\
.label,.event,.remark,.long{stroke:#ffffff}.box{stroke:#8c959f;stroke-width:.6}\
.edge{stroke:#aab2bb}.edgehead{fill:#aab2bb}.edgelabel{fill:#57606a;stroke:#ffffff}\
.left .edge{stroke:#0b5cad}.left .edgehead{fill:#0b5cad}.right .edge{stroke:#b8590a}.right .edgehead{fill:#b8590a}\
.both .edge{stroke:#7a3fb0}.both .edgehead{fill:#7a3fb0}.taken .edgelabel{fill:#1b1f24}\
.badge-left{fill:#0b5cad}.badge-right{fill:#b8590a}.badgetext{fill:#ffffff}";

const DARK: &str = ".ground{fill:#15181c}text{fill:#e6e9ed}.clock,.rfc,.subtitle{fill:#9aa4af}.life{stroke:#6b7580}\
.arrow{stroke:#6cb2ff}.head{fill:#6cb2ff}.lost .arrow{stroke:#6b7580}.cross{stroke:#ff7b72}\
.foreign .arrow{stroke:#ff7b72}.foreign .head{fill:#ff7b72}.foreign .label{fill:#ff7b72}\
.label,.event,.remark,.long{stroke:#15181c}.box{stroke:#6b7580}\
.edge{stroke:#535c66}.edgehead{fill:#535c66}.edgelabel{fill:#9aa4af;stroke:#15181c}\
.left .edge{stroke:#6cb2ff}.left .edgehead{fill:#6cb2ff}.right .edge{stroke:#ffab5e}.right .edgehead{fill:#ffab5e}\
.both .edge{stroke:#c79bff}.both .edgehead{fill:#c79bff}.taken .edgelabel{fill:#e6e9ed}\
.badge-left{fill:#1f6fc4}.badge-right{fill:#b8590a}";
