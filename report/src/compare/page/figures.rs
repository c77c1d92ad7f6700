//! All figures in one table.

use crate::compare::model::{Cell, Comparison, Row};
use crate::compare::page::table::Table;
use crate::compare::page::{number, section, times};
use crate::escape::Escaped;

/// The table.
pub(super) fn render(comparison: &Comparison) -> String {
    let mut head = vec!["row".to_owned(), "unit".to_owned()];
    let names = comparison.subjects.iter();
    head.extend(names.map(|subject| Escaped(&subject.name).to_string()));
    let mut table = Table::new(
        "Median [lower quartile … upper quartile] ± half their distance",
        head,
    );
    for row in &comparison.rows {
        let mut cells = vec![
            Escaped(&row.title).to_string(),
            Escaped(&row.unit).to_string(),
        ];
        let filled = row.cells.iter().enumerate();
        cells.extend(filled.map(|(index, it)| cell(row, index, it)));
        table.row(cells);
    }
    let mut body = table.render();
    if let Some(probe) = comparison.probe {
        body.push_str(&format!(
            "<p>KVM's bare mechanism: {} µs (quartiles {} to {}).</p>\n",
            number(probe.median),
            number(probe.lower),
            number(probe.upper)
        ));
    }
    section(
        "All figures",
        "Median, quartiles in brackets, and the cost in terms of the host’s and of the first runtime’s. A failure \
         beside a value is of some repetitions only.",
        &body,
    )
}

/// The value, its spread and its ratios, or why there is none.
fn cell(row: &Row, index: usize, cell: &Cell) -> String {
    let mut parts = Vec::new();
    if let Some(value) = cell.value {
        parts.push(format!("<b>{}</b>", number(value.median)));
        parts.push(format!(
            "<small>[{} … {}] ±{:.0}%</small>",
            number(value.lower),
            number(value.upper),
            value.spread_percent()
        ));
    }
    let bases = [(cell.to_native, 0), (cell.to_first, 1)];
    let ratios: Vec<_> = bases
        .into_iter()
        .filter(|(_, base)| index > *base)
        .filter_map(|(ratio, base)| {
            let base = &row.cells.get(base)?.subject;
            Some(format!("{} {}", times(ratio?), Escaped(base)))
        })
        .collect();
    parts.extend(
        ratios
            .into_iter()
            .map(|ratio| format!("<small>{ratio}</small>")),
    );
    if let Some(why) = &cell.failure {
        parts.push(format!("<em>failed: {}</em>", Escaped(why)));
    }
    if parts.is_empty() {
        return "–".to_owned();
    }
    parts.join("<br/>")
}
