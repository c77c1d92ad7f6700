//! Charts in cards, which stand side by side where there is room.

use std::fmt::Write as _;

use bench::digits;

use crate::compare::model::{Cell, Class, Comparison, Row, Subject, Value};
use crate::compare::page::chart::{Chart, Lane, TIMES};
use crate::compare::page::section;
use crate::escape::Escaped;

/// What the mechanism itself is called.
const PROBE: &str = "bare mechanism";

/// The mean costs of each class.
pub(super) fn classes(comparison: &Comparison) -> String {
    let mut cards = String::new();
    for (index, class) in comparison.classes.iter().enumerate() {
        if class.key == "sandbox" || class.compared.is_empty() {
            continue;
        }
        let chart = Chart {
            id: format!("class{index}"),
            title: &class.title,
            unit: TIMES,
            lanes: lanes_of_class(comparison, class),
        };
        let titles = class
            .compared
            .iter()
            .filter_map(|key| comparison.row(key))
            .map(|row| row.title.as_str());
        let about = format!("mean of: {}", titles.collect::<Vec<_>>().join("; "));
        card(&mut cards, &class.title, &about, &chart);
    }
    section(
        "Cost in terms of the host",
        "Geometric means of the ratios of the medians, for each class of rows; 1 is the host itself, shorter is better.",
        &format!("<div class=\"cards\">\n{cards}</div>\n"),
    )
}

fn lanes_of_class<'a>(comparison: &'a Comparison, class: &Class) -> Vec<Lane<'a>> {
    let lane = |(colour, (subject, cost))| {
        let (subject, cost): (&'a Subject, &Option<f64>) = (subject, cost);
        Lane {
            name: &subject.name,
            colour,
            value: cost.map(point),
            note: String::new(),
            failure: None,
        }
    };
    let costs = comparison.subjects.iter().zip(&class.cost);
    costs.enumerate().map(lane).collect()
}

/// A value without spread.
fn point(value: f64) -> Value {
    Value {
        median: value,
        lower: value,
        upper: value,
        min: value,
        max: value,
        nr_samples: 1,
    }
}

/// A class's rows, a card each.
pub(super) fn rows(comparison: &Comparison, class: &Class) -> String {
    let mut cards = String::new();
    for row in comparison.rows_of(&class.key) {
        let chart = Chart {
            id: format!("row-{}", row.key),
            title: &row.title,
            unit: &row.unit,
            lanes: lanes_of_row(row),
        };
        let about = if row.is_throughput {
            "longer is better"
        } else {
            "shorter is better"
        };
        card(&mut cards, &row.title, about, &chart);
    }
    section(
        &Escaped(&class.title).to_string(),
        about(&class.key),
        &format!("<div class=\"cards\">\n{cards}</div>\n"),
    )
}

/// What a class's charts show.
fn about(class: &str) -> &'static str {
    match class {
        "program" => {
            "The same programs on the same files for all: busybox and Debian's gcc and python3. Throughput; \
             × is the cost in terms of the host's, its throughput divided by this one."
        }
        "sandbox" => {
            "From nothing to the end of <code>true</code>; and a sandbox in which one process waits: memory by \
             proportional shares, and processor time of all its processes."
        }
        _ => {
            "Time of one operation: median, with a whisker from the lower to the upper quartile of the repetitions; \
             × is the cost in terms of the host's."
        }
    }
}

fn lanes_of_row(row: &Row) -> Vec<Lane<'_>> {
    let lane = |(colour, cell)| {
        let cell: &Cell = cell;
        let ratio = cell.to_native.filter(|_| colour != 0);
        Lane {
            name: &cell.subject,
            colour,
            value: cell.value,
            note: ratio.map_or_else(String::new, in_brackets),
            failure: cell.failure.as_deref(),
        }
    };
    row.cells.iter().enumerate().map(lane).collect()
}

fn in_brackets(ratio: f64) -> String {
    format!("(×{})", digits(ratio))
}

/// The empty call on KVM beside the bare mechanism.
pub(super) fn probe(comparison: &Comparison) -> String {
    let (Some(probe), Some(empty)) = (comparison.probe, comparison.row("empty")) else {
        return String::new();
    };
    let mut lanes = lanes_of_row(empty);
    lanes.retain(|lane| lane.name.ends_with("-kvm"));
    for lane in &mut lanes {
        let ratio = lane.value.map(|value| value.median / probe.median);
        lane.note = ratio.map_or_else(String::new, in_brackets);
    }
    lanes.insert(
        0,
        Lane {
            name: PROBE,
            colour: 0,
            value: Some(probe),
            note: String::new(),
            failure: None,
        },
    );
    let chart = Chart {
        id: "probe".to_owned(),
        title: "An empty call on KVM and the bare mechanism",
        unit: "µs",
        lanes,
    };
    let mut cards = String::new();
    card(
        &mut cards,
        chart.title,
        "× is in terms of the bare mechanism",
        &chart,
    );
    section(
        "KVM beside its bare mechanism",
        "The bare mechanism is a virtual machine that does nothing: user code, <code>syscall</code>, an exit to the \
         host's user space, and back. No kernel can answer a call by it for less; one that finds a cheaper way than \
         this exit can be below 1.",
        &format!("<div class=\"cards\">\n{cards}</div>\n"),
    )
}

fn card(html: &mut String, title: &str, about: &str, chart: &Chart<'_>) {
    // Writing to a string can't fail.
    let _ = write!(
        html,
        "<figure class=\"card\">\n<figcaption><b>{}</b> <span>{}</span></figcaption>\n{}</figure>\n",
        Escaped(title),
        Escaped(about),
        chart.render()
    );
}
