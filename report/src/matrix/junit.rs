//! The matrix as XML in `JUnit`'s form: a suite for each place, a case for each test, its family as the class.

use std::fmt::Write as _;

use crate::escape::Escaped;
use crate::matrix::{Kind, Matrix, Outcome, PlaceSummary};

/// The document.
pub(super) fn render(matrix: &Matrix) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for place in &matrix.places {
        suite(&mut xml, matrix, place);
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn suite(xml: &mut String, matrix: &Matrix, place: &PlaceSummary) {
    let of_place = |(test, outcomes)| {
        let outcomes: &std::collections::BTreeMap<String, Outcome> = outcomes;
        Some((test, outcomes.get(&place.name)?))
    };
    let cases: Vec<(&String, &Outcome)> = matrix.tests.iter().filter_map(of_place).collect();
    let count = |element| {
        cases
            .iter()
            .filter(|(_, it)| element_of(it) == element)
            .count()
    };
    // Writing to a string can't fail.
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" errors=\"0\">",
        Escaped(&place.name),
        cases.len(),
        count(Some("failure")),
        count(Some("skipped")),
    );
    for (test, outcome) in cases {
        case(xml, test, outcome);
    }
    xml.push_str("  </testsuite>\n");
}

fn case(xml: &mut String, test: &str, outcome: &Outcome) {
    let (family, behaviour) = test.rsplit_once("::").unwrap_or(("", test));
    let _ = write!(
        xml,
        "    <testcase classname=\"{}\" name=\"{}\"",
        Escaped(family),
        Escaped(behaviour)
    );
    let Some(element) = element_of(outcome) else {
        xml.push_str("/>\n");
        return;
    };
    let known = outcome
        .expected
        .iter()
        .map(|why| format!(" (listed: {why})"));
    let message = known.fold(outcome.detail.clone(), |text, known| text + &known);
    let _ = writeln!(
        xml,
        "><{element} message=\"{}\"/></testcase>",
        Escaped(&message)
    );
}

/// What stands inside a case: nothing if it passed; a failure that is listed counts as skipped.
fn element_of(outcome: &Outcome) -> Option<&'static str> {
    match outcome.kind {
        Kind::Passed => None,
        Kind::Failed if outcome.expected.is_none() => Some("failure"),
        Kind::Failed | Kind::Skipped => Some("skipped"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn failure_says_why_without_breaking_the_document() {
        let xml = super::render(&crate::matrix::tests::sample());
        assert!(
            xml.contains(
                "<testsuite name=\"there\" tests=\"2\" failures=\"1\" skipped=\"0\" errors=\"0\">"
            ),
            "{xml}"
        );
        assert!(
            xml.contains(
                "<testcase classname=\"b\" name=\"y\"><failure \
                 message=\"&lt;got&gt; &quot;1&quot; &amp; 2\"/></testcase>"
            ),
            "{xml}"
        );
    }
}
