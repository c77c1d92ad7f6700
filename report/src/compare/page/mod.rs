//! The page: one HTML document without anything from outside, which is also well-formed XML but for its first line.
//!
//! Every text goes through [`Escaped`]; every number has its exact value in a `data` element beside the rounded one.

mod behaviour;
mod cards;
mod chart;
mod expectation;
mod facts;
mod figures;
mod glance;
mod table;

use std::fmt::Write as _;

use bench::digits;

use crate::compare::model::{Comparison, Kind};
use crate::escape::Escaped;

/// The style sheet.
const STYLE: &str = include_str!("style.css");

/// The document.
pub(super) fn render(comparison: &Comparison) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>Platforms compared, {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        Escaped(&comparison.run.date)
    );
    html.push_str(&head(comparison));
    html.push_str(&glance::render(comparison));
    html.push_str(&cards::classes(comparison));
    for class in &comparison.classes {
        html.push_str(&cards::rows(comparison, class));
    }
    html.push_str(&cards::probe(comparison));
    html.push_str(&expectation::render(comparison));
    html.push_str(&figures::render(comparison));
    html.push_str(&behaviour::render(comparison));
    html.push_str(&facts::render(comparison));
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

/// Title, machine in a line, and the paragraph that says who is best.
fn head(comparison: &Comparison) -> String {
    let machine = &comparison.machine;
    let place = if machine.is_virtual {
        "a virtual machine"
    } else {
        "bare metal"
    };
    format!(
        "<h1>Platforms compared</h1>\n<p class=\"sub\">{} · Linux {} · {} CPUs, {} · {place}</p>\n\
         <p class=\"lead\">{}</p>\n",
        Escaped(&comparison.run.date),
        Escaped(&machine.kernel),
        machine.nr_cpus,
        Escaped(&machine.cpu_model),
        Escaped(&comparison.reading)
    )
}

/// A section with a title and an introduction, which are not escaped.
fn section(title: &str, about: &str, body: &str) -> String {
    let mut html = format!("<section>\n<h2>{title}</h2>\n");
    if !about.is_empty() {
        // Writing to a string can't fail.
        let _ = writeln!(html, "<p class=\"about\">{about}</p>");
    }
    let _ = writeln!(html, "{body}</section>");
    html
}

/// A number with three digits for people, and all of them for programs.
fn number(value: f64) -> String {
    format!(
        "<data value=\"{}\">{}</data>",
        serde_json::Value::from(value),
        digits(value)
    )
}

/// A cost in terms of another.
fn times(ratio: f64) -> String {
    format!("×{}", number(ratio))
}

/// The mark of a kind in tables and charts.
fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Host => "host kernel",
        Kind::SharedKernel => "shared kernel",
        Kind::Sandbox => "own kernel",
    }
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::compare::model::Comparison;
    use crate::compare::model::tests::sample;

    #[test]
    fn hostile_names_and_reasons_stay_text() {
        let hostile = "<script>alert('1')</script>\" onload=\"x";
        let html = render(&sample(hostile, hostile));
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("\" onload"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{html}");
    }

    #[test]
    fn failed_runtime_says_why_and_has_no_mark() {
        let html = render(&sample("slow", "exit code 1: no such platform"));
        assert!(html.contains("failed: exit code 1: no such platform"));
        assert!(html.contains("data-subject=\"quick-kvm\""));
        assert!(!html.contains("data-subject=\"slow\""), "{html}");
    }

    #[test]
    fn nothing_comes_from_outside() {
        let html = render(&sample("slow", "gone"));
        for word in ["src=", "href=", "url(", "@import", "http"] {
            assert!(!html.contains(word), "{word}");
        }
    }

    #[test]
    fn page_is_well_formed_with_any_text() {
        let html = render(&sample("a & b ]]> <!--", "\u{1b}[0m <p> &nbsp;"));
        let body = html.strip_prefix("<!DOCTYPE html>\n").unwrap();
        roxmltree::Document::parse(body).unwrap();
    }

    #[test]
    fn empty_comparison_is_a_page() {
        let mut comparison = Comparison::default();
        comparison.derive();
        let html = render(&comparison);
        assert!(html.contains("No sandbox was compared."));
    }
}
