//! The results as a table for people, in Markdown that reads well as it is.

use std::fmt::Write as _;

use crate::rows::Row;
use crate::samples::Samples;

/// The table: medians, spread, and ratios to the host and to the first runtime.
pub(crate) fn render(samples: &Samples) -> String {
    let mut grid = vec![head(samples)];
    for &row in samples.rows() {
        let mut line = vec![row.title.to_owned(), row.unit.symbol().to_owned()];
        for subject in samples.subjects() {
            line.push(cell(samples, row, subject));
        }
        grid.push(line);
    }
    let mut text = align(&grid);
    // Writing to a string can't fail.
    let _ = writeln!(
        text,
        "\nMedian of {} repetitions ± half the distance of the quartiles; (cost in terms of {}; of {}).",
        repetitions(samples),
        samples.native(),
        samples.first_runtime(),
    );
    floor(&mut text, samples);
    text
}

/// KVM's bare mechanism, and how much more an empty call takes on that platform.
fn floor(text: &mut String, samples: &Samples) {
    let Some(probe) = samples.probe() else { return };
    let _ = writeln!(
        text,
        "A call by KVM's bare mechanism: {} µs ±{:.0}%.",
        digits(probe.median),
        probe.spread_percent()
    );
    for (name, ratio) in samples.ratios_to_probe() {
        let _ = writeln!(
            text,
            "The empty call on {name}: ×{} of that.",
            digits(ratio)
        );
    }
}

fn head(samples: &Samples) -> Vec<String> {
    ["row", "unit"]
        .into_iter()
        .map(str::to_owned)
        .chain(samples.subjects().iter().cloned())
        .collect()
}

/// The most samples that any cell has.
fn repetitions(samples: &Samples) -> usize {
    samples
        .pairs()
        .map(|(row, subject)| samples.get(row, subject).len())
        .max()
        .unwrap_or(0)
}

fn cell(samples: &Samples, row: Row, subject: &str) -> String {
    let Some(summary) = samples.summary(row, subject) else {
        return "–".to_owned();
    };
    let value = format!(
        "{} ±{:.0}%",
        digits(summary.median),
        summary.spread_percent()
    );
    let bases: &[&str] = match subject {
        name if name == samples.native() => &[],
        name if name == samples.first_runtime() => &[samples.native()],
        _ => &[samples.native(), samples.first_runtime()],
    };
    if bases.is_empty() {
        return value;
    }
    let ratio = |base: &&str| {
        let ratio = samples.ratio(row, subject, base);
        ratio.map_or_else(|| "–".to_owned(), |ratio| format!("×{}", digits(ratio)))
    };
    let ratios: Vec<String> = bases.iter().map(ratio).collect();
    format!("{value} ({})", ratios.join("; "))
}

/// Three significant digits; nothing is a plain 0.
pub fn digits(value: f64) -> String {
    let decimals = match value {
        0.0 => 0,
        0.0..0.1 => 4,
        0.1..1.0 => 3,
        1.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// The lines with columns of one width, the first one underlined.
fn align(grid: &[Vec<String>]) -> String {
    let nr_columns = grid.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = grid.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..nr_columns).map(width).collect();
    let mut text = String::new();
    for (index, line) in grid.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if index == 0 {
            for width in &widths {
                let _ = write!(text, "| {} ", "-".repeat(*width));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{digits, render};
    use crate::rows::{self, Stage};
    use crate::samples::Samples;

    #[test]
    fn three_digits_count() {
        let cases = [
            (0.0, "0"),
            (0.0254, "0.0254"),
            (0.25, "0.250"),
            (3.456, "3.46"),
            (42.42, "42.4"),
            (1234.5, "1234"),
        ];
        for (value, text) in cases {
            assert_eq!(digits(value), text);
        }
    }

    #[test]
    fn ratios_stand_beside_the_medians() {
        let names = ["native", "ours", "theirs"].map(str::to_owned);
        let mut samples = Samples::new(names.to_vec(), &[Stage::Guest]);
        let row = rows::find("empty").unwrap();
        for (name, value) in [("native", 0.5), ("ours", 5.0), ("theirs", 50.0)] {
            samples.add(row, name, &[value]);
        }
        let text = render(&samples);
        let line = text.lines().find(|line| line.contains("empty")).unwrap();
        assert!(line.contains("| 0.500 ±0% "), "{line}");
        assert!(line.contains("| 5.00 ±0% (×10.0) "), "{line}");
        assert!(line.contains("| 50.0 ±0% (×100; ×10.0) "), "{line}");
    }
}
