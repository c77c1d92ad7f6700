//! What KVM should cost on bare metal, and from which figures.

use bench::digits;

use crate::compare::model::Comparison;
use crate::compare::page::table::Table;
use crate::compare::page::{number, section};
use crate::escape::Escaped;

/// The section; empty where nothing is expected.
pub(super) fn render(comparison: &Comparison) -> String {
    let Some(expectation) = &comparison.bare_metal else {
        return String::new();
    };
    let head = [
        "row",
        "on",
        "exits",
        "measured here",
        "own part on KVM",
        "own part elsewhere",
        "expected",
    ];
    let mut table = Table::new(
        "Expected on bare metal, in µs; computed, not measured",
        head.map(str::to_owned).to_vec(),
    );
    for it in &expectation.rows {
        let title = comparison.row(&it.row).map_or("", |row| &row.title);
        let elsewhere = it.own_elsewhere_us.map_or_else(|| "–".to_owned(), number);
        table.row(vec![
            Escaped(title).to_string(),
            Escaped(&it.subject).to_string(),
            it.nr_exits.to_string(),
            number(it.measured_us),
            number(it.own_on_kvm_us),
            elsewhere,
            format!("<b>{}</b>", range(it.least_us, it.most_us)),
        ]);
    }
    let about = format!(
        "<strong>An expectation, computed and not measured.</strong> This machine is itself virtual, so that each exit \
         of the sandbox’s machine passes through a hypervisor below: {} µs here, against about {} µs on a processor \
         of today without one. The rest of an operation, its own part, stays. On KVM it is what was measured less the \
         exits (0 where it took no longer than they should); on another platform of the same runtime, what was \
         measured less as many empty calls. The expectation is as many exits of bare metal with the smaller and with \
         the larger of both: far apart if the machine was busy. Rows with faults or waits are left out, since the \
         number of their exits is not known.",
        number(expectation.nested_exit_us),
        number(expectation.bare_exit_us)
    );
    section("KVM on bare metal", &about, &table.render())
}

/// From the smaller to the larger, or both in one.
fn range(least: f64, most: f64) -> String {
    if digits(least) == digits(most) {
        return number(most);
    }
    format!("{} to {}", number(least), number(most))
}
