//! Each subject in one line.

use crate::compare::model::{Comparison, SelfTest, Subject};
use crate::compare::page::table::Table;
use crate::compare::page::{kind, number, section, times};
use crate::escape::Escaped;

/// The rows that are worth a column.
const COLUMNS: [(&str, &str); 3] = [
    ("empty", "empty call"),
    ("run", "start"),
    ("idle", "idle memory"),
];

/// The table.
pub(super) fn render(comparison: &Comparison) -> String {
    let mut head = vec![String::new(), "kind".to_owned(), "self-test".to_owned()];
    head.push("tests passed".to_owned());
    head.extend(COLUMNS.map(|(_, title)| title.to_owned()));
    head.push("programs".to_owned());
    let mut table = Table::new(
        "Medians; for programs the mean cost in terms of the host’s",
        head,
    );
    for (index, subject) in comparison.subjects.iter().enumerate() {
        let mut cells = vec![
            Escaped(&subject.name).to_string(),
            kind(subject.kind).to_owned(),
            self_test(comparison, subject),
            passed(comparison, index, &subject.name),
        ];
        cells.extend(COLUMNS.map(|(key, _)| value(comparison, key, index)));
        cells.push(programs(comparison, index));
        table.row(cells);
    }
    section(
        "At a glance",
        "",
        &format!("{}{}", table.render(), missing(comparison)),
    )
}

/// What the runtime under test says of the platform that this is.
fn self_test(comparison: &Comparison, subject: &Subject) -> String {
    let mut platforms = comparison.platforms.iter();
    let ours = platforms.find(|it| subject.name == format!("runsc-{}", it.name));
    match ours {
        Some(platform) if platform.works => "works".to_owned(),
        Some(platform) => Escaped(platform.reason.as_deref().unwrap_or("fails")).to_string(),
        None => "–".to_owned(),
    }
}

/// How many tests passed, of how many that could run.
fn passed(comparison: &Comparison, index: usize, name: &str) -> String {
    let name = if index == 0 { "host" } else { name };
    let mut places = comparison.tests.places.iter();
    let Some(place) = places.find(|place| place.name == name) else {
        return "not run".to_owned();
    };
    let ran = place.passed + place.failed;
    match place.problems.len() {
        0 => format!("{} of {ran}", place.passed),
        many => format!("{} of {ran}, {many} unlisted", place.passed),
    }
}

fn value(comparison: &Comparison, key: &str, index: usize) -> String {
    let row = comparison.row(key);
    let value = row.and_then(|row| Some((row.cells.get(index)?.value?, &row.unit)));
    value.map_or_else(
        || "failed".to_owned(),
        |(value, unit)| format!("{} {}", number(value.median), Escaped(unit)),
    )
}

fn programs(comparison: &Comparison, index: usize) -> String {
    let mut classes = comparison.classes.iter();
    let class = classes.find(|class| class.key == "program");
    let cost = class.and_then(|class| *class.cost.get(index)?);
    cost.map_or_else(|| "–".to_owned(), times)
}

/// The platforms that were not measured since they do not work here.
fn missing(comparison: &Comparison) -> String {
    let broken = comparison.platforms.iter().filter(|it| !it.works);
    let line = |it: &SelfTest| {
        let why = it.reason.as_deref().unwrap_or("no reason given");
        format!("<li><b>{}</b>: {}</li>\n", Escaped(&it.name), Escaped(why))
    };
    let lines: String = broken.map(line).collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("<p>Platforms that do not work here, and were not measured:</p>\n<ul>\n{lines}</ul>\n")
}
