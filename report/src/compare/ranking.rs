//! Which is best for what: mean costs of each class, and a paragraph made from them.

use std::fmt::Write as _;

use bench::digits;

use crate::compare::model::{Class, Comparison, Kind, Row, Subject, rounded};

/// What differs by less is alike.
const ALIKE: f64 = 1.1;

/// The rows of a class that can be compared, and the geometric mean of each subject's costs in terms of the host there.
///
/// A row counts if every subject has it that has any row of the class.
pub(super) fn mean_costs(comparison: &Comparison, class: &str) -> (Vec<String>, Vec<Option<f64>>) {
    let rows: Vec<&Row> = comparison.rows_of(class).collect();
    let cost = |row: &Row, index: usize| row.cells.get(index)?.to_native.filter(|it| *it > 0.0);
    let nr_subjects = comparison.subjects.len();
    let has_any = |index: &usize| rows.iter().any(|row| cost(row, *index).is_some());
    let present: Vec<usize> = (0..nr_subjects).filter(has_any).collect();
    let everyone_has = |row: &&&Row| present.iter().all(|index| cost(row, *index).is_some());
    let compared: Vec<&Row> = rows.iter().filter(everyone_has).copied().collect();
    let mean = |index: usize| {
        let logs: Option<Vec<f64>> = compared
            .iter()
            .map(|row| Some(cost(row, index)?.ln()))
            .collect();
        let logs = logs.filter(|logs| !logs.is_empty())?;
        let count = u32::try_from(logs.len()).ok()?;
        Some(rounded((logs.iter().sum::<f64>() / f64::from(count)).exp()))
    };
    let keys = compared.iter().map(|row| row.key.clone()).collect();
    (keys, (0..nr_subjects).map(mean).collect())
}

/// A paragraph on the sandboxes: which is best at each class, at starting and at idling, and what the tests found.
pub(super) fn in_words(comparison: &Comparison) -> String {
    let mut text = who(comparison);
    for class in comparison.classes.iter().filter(|it| it.key != "sandbox") {
        let title = class.title.to_lowercase();
        let cost = |cost: f64| format!("×{}", digits(cost));
        sentence(&mut text, &title, &of_class(comparison, class), cost);
    }
    for (key, what) in [("run", "a start"), ("idle", "idle memory")] {
        let Some(row) = comparison.row(key) else {
            continue;
        };
        let value = |value: f64| format!("{} {}", digits(value), row.unit);
        sentence(&mut text, what, &of_row(comparison, row), value);
    }
    if comparison.run.is_quick {
        text.push_str(" The run was brief: the figures are worth little.");
    }
    verdict(&mut text, comparison);
    text
}

/// Who is compared.
fn who(comparison: &Comparison) -> String {
    let mut text = match named(comparison, |it, runs| runs && it.kind == Kind::Sandbox).as_str() {
        "" => "No sandbox was compared.".to_owned(),
        names => {
            format!("With a kernel of their own: {names}. × is the cost in terms of the host's.")
        }
    };
    let shared = named(comparison, |it, runs| runs && it.kind == Kind::SharedKernel);
    if !shared.is_empty() {
        let _ = write!(text, " With the host's kernel, and not ranked: {shared}.");
    }
    let failed = named(comparison, |_, runs| !runs);
    if !failed.is_empty() {
        let _ = write!(text, " Failed at everything: {failed}.");
    }
    text
}

/// The names of the subjects that are wanted, by what they are and whether anything could be measured of them.
fn named(comparison: &Comparison, is_wanted: impl Fn(&Subject, bool) -> bool) -> String {
    let runs = |index: usize| {
        let mut cells = comparison
            .rows
            .iter()
            .filter_map(|row| row.cells.get(index));
        cells.any(|cell| cell.value.is_some())
    };
    let all = comparison.subjects.iter().enumerate();
    let wanted = all.filter(|(index, subject)| is_wanted(subject, runs(*index)));
    let names: Vec<&str> = wanted.map(|(_, subject)| subject.name.as_str()).collect();
    names.join(", ")
}

/// The sandboxes by their mean cost in a class, the best first.
fn of_class<'a>(comparison: &'a Comparison, class: &Class) -> Vec<(&'a str, f64)> {
    let costs = comparison.subjects.iter().zip(&class.cost);
    let of_sandbox = costs.filter(|(subject, _)| subject.kind == Kind::Sandbox);
    sorted(of_sandbox.filter_map(|(subject, cost)| Some((subject.name.as_str(), (*cost)?))))
}

/// The sandboxes by their median in a row, the smallest first.
fn of_row<'a>(comparison: &'a Comparison, row: &Row) -> Vec<(&'a str, f64)> {
    let cells = comparison.subjects.iter().zip(&row.cells);
    let of_sandbox = cells.filter(|(subject, _)| subject.kind == Kind::Sandbox);
    sorted(
        of_sandbox.filter_map(|(subject, cell)| Some((subject.name.as_str(), cell.value?.median))),
    )
}

fn sorted<'a>(costs: impl Iterator<Item = (&'a str, f64)>) -> Vec<(&'a str, f64)> {
    let mut costs: Vec<_> = costs.collect();
    costs.sort_by(|one, other| one.1.total_cmp(&other.1));
    costs
}

/// One sentence on who is best, and by how much.
fn sentence(text: &mut String, what: &str, order: &[(&str, f64)], show: impl Fn(f64) -> String) {
    let Some((best, least)) = order.first() else {
        return;
    };
    let alike: Vec<&str> = order
        .iter()
        .filter(|(_, cost)| *cost <= least * ALIKE)
        .map(|(name, _)| *name)
        .collect();
    // Writing to a string can't fail.
    let _ = match alike.len() {
        _ if order.len() == 1 => write!(text, " {}: {best} {}", capital(what), show(*least)),
        1 => write!(
            text,
            " {}: {best} is best ({})",
            capital(what),
            show(*least)
        ),
        _ => write!(
            text,
            " {}: {} are alike ({})",
            capital(what),
            alike.join(" and "),
            show(*least)
        ),
    };
    let others = order.iter().filter(|(name, _)| !alike.contains(name));
    let others: Vec<_> = others
        .map(|(name, cost)| format!("{name} {}", show(*cost)))
        .collect();
    if !others.is_empty() {
        let _ = write!(text, ", then {}", others.join(", "));
    }
    text.push('.');
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// What the tests found.
fn verdict(text: &mut String, comparison: &Comparison) {
    let nr_problems = comparison.tests.problems().count();
    let nr_tests = comparison.tests.tests.len();
    let _ = match nr_problems {
        0 => write!(
            text,
            " Of {nr_tests} behaviour tests, none differs that is not listed."
        ),
        1 => write!(
            text,
            " Of {nr_tests} behaviour tests, one differs that is not listed."
        ),
        many => write!(
            text,
            " Of {nr_tests} behaviour tests, {many} differ that are not listed."
        ),
    };
}

#[cfg(test)]
mod tests {
    use super::{capital, mean_costs, sentence};
    use crate::compare::model::tests::sample;

    #[test]
    fn subject_without_any_value_does_not_spoil_the_mean() {
        let comparison = sample("slow", "gone");
        let (rows, costs) = mean_costs(&comparison, "file");
        assert_eq!(rows, ["read"]);
        assert_eq!(costs.len(), 3);
        assert!((costs[1].unwrap() - 82.5).abs() < 1e-9, "{costs:?}");
        assert_eq!(costs[2], None);
    }

    #[test]
    fn near_ties_are_no_victories() {
        let said = |order: &[(&str, f64)]| {
            let mut text = String::new();
            sentence(&mut text, "files", order, |cost| format!("×{cost}"));
            text
        };
        assert_eq!(
            said(&[("a", 2.0), ("b", 3.0)]),
            " Files: a is best (×2), then b ×3."
        );
        assert_eq!(
            said(&[("a", 2.0), ("b", 2.1), ("c", 9.0)]),
            " Files: a and b are alike (×2), then c ×9."
        );
        assert_eq!(said(&[("a", 2.0)]), " Files: a ×2.");
        assert_eq!(said(&[]), "");
    }

    #[test]
    fn words_come_from_the_figures() {
        let text = sample("slow", "gone").reading;
        assert!(text.contains("Program: quick-kvm ×2.00."), "{text}");
        assert!(text.contains("Failed at everything: slow."), "{text}");
        assert!(text.contains("A start: quick-kvm 30.0 ms."), "{text}");
        assert!(text.contains("one differs that is not listed"), "{text}");
        assert_eq!(capital(""), "");
    }
}
