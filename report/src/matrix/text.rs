//! The matrix as a table for people: places, then differences with their reasons, then all tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::matrix::{Kind, Matrix, Outcome};

/// The title of the first part.
const DIFFERENCES: &str = "differences";

/// The table.
pub(super) fn render(matrix: &Matrix) -> String {
    let mut text = String::new();
    for place in &matrix.places {
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{}: {} passed, {} failed, {} skipped",
            place.name, place.passed, place.failed, place.skipped
        );
    }
    let names = matrix.tests.keys().map(String::len);
    let width = names.chain([DIFFERENCES.len()]).max().unwrap_or(0);
    let head = |text: &mut String, title: &str| {
        let _ = write!(text, "\n{title:width$}");
        for place in &matrix.places {
            let _ = write!(text, "  {}", place.name);
        }
        text.push('\n');
    };
    head(&mut text, DIFFERENCES);
    for (test, outcomes) in matrix.differences() {
        line(&mut text, matrix, (test, width), outcomes);
        for (place, outcome) in outcomes {
            if outcome.kind != Kind::Passed {
                let _ = writeln!(text, "    {place}: {}", reason(outcome));
            }
        }
    }
    if matrix.differences().next().is_none() {
        text.push_str("none\n");
    }
    head(&mut text, "tests");
    for (test, outcomes) in &matrix.tests {
        line(&mut text, matrix, (test, width), outcomes);
    }
    text
}

fn line(
    text: &mut String,
    matrix: &Matrix,
    (test, width): (&str, usize),
    outcomes: &BTreeMap<String, Outcome>,
) {
    let _ = write!(text, "{test:width$}");
    for place in &matrix.places {
        let word = outcomes.get(&place.name).map_or("–", |it| it.kind.word());
        let width = place.name.chars().count();
        let _ = write!(text, "  {word:width$}");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}

/// What it said, and why that is known.
fn reason(outcome: &Outcome) -> String {
    match &outcome.expected {
        Some(expected) => format!("{} (listed: {expected})", outcome.detail),
        None => outcome.detail.clone(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn differences_come_first() {
        let text = super::render(&crate::matrix::tests::sample());
        let differences = text.find("\ndifferences  host  there\nb::y         ok    FAILED\n");
        let why = text.find("\n    there: <got> \"1\" & 2\n");
        let all = text
            .find("\ntests        host  there\na::x         ok    ok\nb::y         ok    FAILED\n");
        assert!(
            differences < why && why < all && differences.is_some(),
            "{text}"
        );
    }
}
