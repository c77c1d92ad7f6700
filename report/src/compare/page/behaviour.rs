//! What came of the behaviour tests: shares, and each test that did not pass, with the reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::compare::model::Comparison;
use crate::compare::page::section;
use crate::compare::page::table::Table;
use crate::escape::Escaped;
use crate::matrix::{Kind, Matrix, Outcome, PlaceSummary};

const WIDTH: f64 = 340.0;

/// The section.
pub(super) fn render(comparison: &Comparison) -> String {
    let tests = &comparison.tests;
    let mut table = Table::new(
        "Behaviour tests",
        ["place", "passed", "failed", "skipped", "not as listed", ""]
            .map(str::to_owned)
            .to_vec(),
    );
    for place in &tests.places {
        table.row(vec![
            Escaped(&place.name).to_string(),
            place.passed.to_string(),
            place.failed.to_string(),
            place.skipped.to_string(),
            place.problems.len().to_string(),
            shares(place),
        ]);
    }
    let mut body = table.render();
    for place in &tests.places {
        problems(&mut body, place);
    }
    for place in &tests.places {
        details(&mut body, tests, place);
    }
    let about = match comparison.run.only.as_str() {
        "" => "Every behaviour test in every place.".to_owned(),
        only => format!(
            "The behaviour tests whose names contain <code>{}</code>.",
            Escaped(only)
        ),
    };
    let about = format!(
        "{about} What differs on a platform of the runtime under test must be listed with a reason; other runtimes are \
         only shown."
    );
    section("Behaviour tests", &about, &body)
}

/// A bar of the shares of what passed, failed and was skipped.
fn shares(place: &PlaceSummary) -> String {
    let counts = [
        ("passed", place.passed),
        ("failed", place.failed),
        ("skipped", place.skipped),
    ];
    let count = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    let total: f64 = counts.iter().map(|(_, it)| count(*it)).sum();
    let words = counts.map(|(word, it)| format!("{it} {word}")).join(", ");
    let mut svg = format!(
        "<svg class=\"shares\" viewBox=\"0 0 {WIDTH} 14\" role=\"img\"><title>{}: {words}</title>",
        Escaped(&place.name)
    );
    let mut x = 0.0;
    for (word, it) in counts.into_iter().filter(|(_, it)| *it > 0) {
        // What is there at all can be seen.
        let width = (count(it) / total * WIDTH).max(2.0);
        // Writing to a string can't fail.
        let _ = write!(
            svg,
            "<rect class=\"{word}\" x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"14\"/>"
        );
        x += width;
    }
    svg.push_str("</svg>");
    svg
}

/// What is not as listed.
fn problems(html: &mut String, place: &PlaceSummary) {
    if place.problems.is_empty() {
        return;
    }
    let _ = writeln!(
        html,
        "<p><strong>Not as listed on {}:</strong></p>\n<ul class=\"problems\">",
        Escaped(&place.name)
    );
    for problem in &place.problems {
        let _ = writeln!(html, "<li>{}</li>", Escaped(problem));
    }
    html.push_str("</ul>\n");
}

/// Every test that did not pass, failures first.
fn details(html: &mut String, tests: &Matrix, place: &PlaceSummary) {
    let head = ["test", "outcome", "known because", "what it said"];
    let caption = format!("Did not pass on {}", Escaped(&place.name));
    let mut table = Table::new(&caption, head.map(str::to_owned).to_vec());
    let of_place = |(test, outcomes)| {
        let outcomes: &BTreeMap<String, Outcome> = outcomes;
        let outcome = outcomes.get(&place.name)?;
        (outcome.kind != Kind::Passed).then_some((test, outcome))
    };
    let mut found: Vec<(&String, &Outcome)> = tests.tests.iter().filter_map(of_place).collect();
    found.sort_by_key(|(_, outcome)| outcome.kind == Kind::Skipped);
    for (test, outcome) in &found {
        table.row(vec![
            Escaped(test).to_string(),
            outcome.kind.word().to_owned(),
            Escaped(outcome.expected.as_deref().unwrap_or("")).to_string(),
            Escaped(&outcome.detail).to_string(),
        ]);
    }
    if !table.is_empty() {
        let _ = writeln!(
            html,
            "<details class=\"tests\"><summary>{caption}: {}</summary>\n{}</details>",
            found.len(),
            table.render()
        );
    }
}
