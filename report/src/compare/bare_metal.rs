//! What KVM should cost on bare metal, computed from what was measured on a virtual machine.
//!
//! There, each exit of the sandbox's virtual machine goes through the machine's own hypervisor, and the bare mechanism
//! says what that costs. The rest of a call is work of the Sentry, which stays. There are two ways to tell it from the
//! exits: what is left on KVM without them, and how much more than an empty call the operation takes on another platform
//! of the same runtime, since the Sentry is the same on all. The second is steadier, and does not see what every call
//! takes. The expectation goes from the smaller to the larger.

use serde::{Deserialize, Serialize};

use crate::compare::model::{Comparison, Kind, Subject, rounded};

/// How the names of subjects on KVM end.
const KVM: &str = "-kvm";

/// What an exit and the way back cost on a processor of today without a hypervisor below, in microseconds.
const BARE_EXIT_US: f64 = 1.5;

/// How many exits an operation takes: its calls. Of the other rows the number is not known: faults exit too.
const CALLS: [(&str, u8); 7] = [
    ("empty", 1),
    ("read", 1),
    ("write", 1),
    ("stat", 1),
    ("open", 2),
    ("stat_root", 1),
    ("open_root", 2),
];

/// What KVM should cost on bare metal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Expectation {
    /// What an exit costs on this machine, in microseconds: the bare mechanism's median.
    pub(crate) nested_exit_us: f64,
    /// What it costs on bare metal.
    pub(crate) bare_exit_us: f64,
    /// The rows.
    pub(crate) rows: Vec<Expected>,
}

/// What an operation should cost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// The subject.
    pub(crate) subject: String,
    /// The row's key.
    pub(crate) row: String,
    /// How many calls, and so exits, an operation makes.
    pub(crate) nr_exits: u8,
    /// The median here, in microseconds.
    pub(crate) measured_us: f64,
    /// What of it is no exit; 0 where the exits alone should have taken longer than all of it did.
    pub(crate) own_on_kvm_us: f64,
    /// How much more than as many empty calls it takes on the other platform.
    pub(crate) own_elsewhere_us: Option<f64>,
    /// The smaller of both, and so many exits of bare metal.
    pub(crate) least_us: f64,
    /// The larger of both, and so many exits of bare metal.
    pub(crate) most_us: f64,
}

/// The expectation; none on bare metal, and none without KVM.
pub(super) fn expect(comparison: &Comparison) -> Option<Expectation> {
    let nested_exit_us = comparison.probe?.median;
    let mut rows = Vec::new();
    for subject in comparison.subjects.iter().filter(|it| is_on_kvm(it)) {
        for (key, nr_exits) in CALLS {
            rows.extend(expected(
                comparison,
                &subject.name,
                (key, nr_exits),
                nested_exit_us,
            ));
        }
    }
    let is_of_use = comparison.machine.is_virtual && !rows.is_empty();
    is_of_use.then_some(Expectation {
        nested_exit_us,
        bare_exit_us: BARE_EXIT_US,
        rows,
    })
}

fn is_on_kvm(subject: &Subject) -> bool {
    subject.kind == Kind::Sandbox && subject.name.ends_with(KVM)
}

fn expected(
    comparison: &Comparison,
    subject: &str,
    (key, nr_exits): (&str, u8),
    nested_exit_us: f64,
) -> Option<Expected> {
    let measured_us = median(comparison, key, subject)?;
    let exits = f64::from(nr_exits);
    let own_on_kvm_us = (measured_us - exits * nested_exit_us).max(0.0);
    let own_elsewhere_us = elsewhere(comparison, subject).and_then(|other| {
        let empty = median(comparison, "empty", other)?;
        Some((median(comparison, key, other)? - exits * empty).max(0.0))
    });
    let other = own_elsewhere_us.unwrap_or(own_on_kvm_us);
    let bare = exits * BARE_EXIT_US;
    Some(Expected {
        subject: subject.to_owned(),
        row: key.to_owned(),
        nr_exits,
        measured_us,
        own_on_kvm_us: rounded(own_on_kvm_us),
        own_elsewhere_us: own_elsewhere_us.map(rounded),
        least_us: rounded(bare + own_on_kvm_us.min(other)),
        most_us: rounded(bare + own_on_kvm_us.max(other)),
    })
}

/// The same runtime's other platform, the one with the cheapest empty call.
fn elsewhere<'a>(comparison: &'a Comparison, subject: &str) -> Option<&'a str> {
    let runtime = subject.strip_suffix(KVM)?;
    let is_other = |name: &str| {
        let platform = name.strip_prefix(runtime);
        name != subject && platform.is_some_and(|it| it.starts_with('-'))
    };
    let names = comparison.subjects.iter().map(|it| it.name.as_str());
    let costs = names
        .filter(|name| is_other(name))
        .filter_map(|name| Some((name, median(comparison, "empty", name)?)));
    let cheapest = costs.min_by(|one, other| one.1.total_cmp(&other.1));
    cheapest.map(|(name, _)| name)
}

fn median(comparison: &Comparison, key: &str, subject: &str) -> Option<f64> {
    let mut cells = comparison.row(key)?.cells.iter();
    let cell = cells.find(|cell| cell.subject == subject)?;
    Some(cell.value?.median)
}

#[cfg(test)]
mod tests {
    use super::expect;
    use crate::compare::model::tests::{exactly, sample};

    #[test]
    fn work_of_the_sentry_stays_and_exits_get_cheaper() {
        let mut comparison = sample("quick-ptrace", "gone");
        let alone = expect(&comparison).unwrap();
        let empty = &alone.rows[0];
        assert_eq!(
            (empty.subject.as_str(), empty.own_on_kvm_us),
            ("quick-kvm", 6.0)
        );
        assert_eq!((empty.own_elsewhere_us, empty.most_us), (None, 7.5));
        for (row, median) in [(0, 5.0), (1, 9.0)] {
            comparison.rows[row].cells[2].value = Some(exactly(median));
        }
        let both = expect(&comparison).unwrap();
        let read = &both.rows[1];
        assert_eq!(
            (read.own_on_kvm_us, read.own_elsewhere_us),
            (6.75, Some(4.0))
        );
        assert_eq!((read.least_us, read.most_us), (5.5, 8.25));
    }

    #[test]
    fn bare_metal_needs_no_expectation() {
        let mut comparison = sample("x", "y");
        comparison.machine.is_virtual = false;
        assert!(expect(&comparison).is_none());
    }
}
