//! One HTML file that opens offline: styles, script, Plotly and data are inside, and the page may load nothing else.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotly::Plot;

use crate::{
    figure::{Figure, Heatmap},
    plotly_figure::to_plotly,
    report::{Block, Cell, Report, Section, Table, Tone},
};

/// Nothing may be loaded; WebGL shaders of the 3-D figures are compiled by `eval` and images are data.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:";

/// The report as a page. Everything that it shows is escaped.
pub fn page(report: &Report) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (report.title) }
                style { (PreEscaped(include_str!("../assets/style.css"))) }
            }
            body {
                header {
                    h1 { (report.title) }
                    p.subtitle { (report.subtitle) }
                    @if report.simulated {
                        p.simulated { strong { "Simulated data." } " A generator made these rows; nothing here says anything about a real market or patient." }
                    }
                    @for notice in &report.notices { p.notice { (prose(notice)) } }
                }
                main {
                    section #verdicts {
                        h2 { "What this run shows" }
                        ol.verdicts { @for verdict in &report.verdicts { li class=(tone(verdict.tone)) { (prose(&verdict.text)) } } }
                    }
                    nav aria-label="Contents" {
                        @for (index, section) in report.sections.iter().enumerate() { a href={ "#s" (index) } { (section.title) } }
                    }
                    @for (index, section) in report.sections.iter().enumerate() { (self::section(index, section)) }
                }
                footer { p { "Made by disentangle " (env!("CARGO_PKG_VERSION")) ". The file holds its data and loads nothing." } }
                (PreEscaped(plotly_script()))
                script { (PreEscaped(include_str!("../assets/script.js"))) }
            }
        }
    };
    markup.into_string()
}

/// Text in which names stand between backticks.
fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (index, part) in parts.iter().enumerate() {
            @if !index.is_multiple_of(2) { code { (part) } } @else { (part) }
        }
    }
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Neutral => "neutral",
    }
}

fn section(index: usize, section: &Section) -> Markup {
    html! {
        section id={ "s" (index) } {
            h2 { (section.title) }
            @for text in &section.text { p { (prose(text)) } }
            @for block in &section.blocks {
                @match block {
                    Block::Figure(figure) => (self::figure(figure)),
                    Block::Table(table) => (self::table(table)),
                }
            }
        }
    }
}

fn figure(figure: &Figure) -> Markup {
    // Inside a script element only `</` and `<!--` could end the text early.
    let data = to_plotly(figure).to_string().replace('<', "\\u003c");
    let map = figure.heatmap.as_deref();
    html! {
        figure id=(figure.id) {
            h3 { (figure.title) }
            div.plot.tall[map.is_some_and(|map| map.y.len() > 16)] role="img" aria-label=(figure.title) {}
            script type="application/json" { (PreEscaped(data)) }
            figcaption {
                (figure.reading)
                @if map.is_some_and(Heatmap::any_undefined) { " Grey cells are undefined." }
            }
        }
    }
}

fn table(table: &Table) -> Markup {
    html! {
        div.table {
            table {
                caption { (table.caption) }
                thead { tr { @for column in &table.columns { th scope="col" { button type="button" { (column) } } } } }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for cell in row {
                                @match cell {
                                    Cell::Text(text) => td { (text) },
                                    Cell::Number { value, shown } => td.number data-value=[value] { (shown) },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The first script that the crate offers is Plotly; the second, 2 MB of MathJax, is not used.
fn plotly_script() -> String {
    let all = Plot::offline_js_sources();
    match all.split_once("</script>") {
        Some((first, _)) => format!("{first}</script>"),
        None => all,
    }
}
