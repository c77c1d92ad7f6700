//! The machine, the runtimes, and how it was measured.

use crate::compare::model::{Comparison, Run};
use crate::compare::page::table::Table;
use crate::compare::page::{kind, section};
use crate::escape::Escaped;

/// The section.
pub(super) fn render(comparison: &Comparison) -> String {
    let mut machine = Table::new("The machine", vec!["fact".to_owned(), "value".to_owned()]);
    for (fact, value) in facts(comparison) {
        machine.row(vec![fact.to_owned(), Escaped(&value).to_string()]);
    }
    let head = ["name", "kind", "command", "version"];
    let mut runtimes = Table::new("The runtimes", head.map(str::to_owned).to_vec());
    for subject in comparison.subjects.iter().skip(1) {
        runtimes.row(vec![
            Escaped(&subject.name).to_string(),
            kind(subject.kind).to_owned(),
            format!("<code>{}</code>", Escaped(&subject.command)),
            Escaped(&subject.version).to_string(),
        ]);
    }
    let body = format!(
        "{}{}{}",
        machine.render(),
        runtimes.render(),
        how(&comparison.run)
    );
    section("Where and how", "", &body)
}

fn facts(comparison: &Comparison) -> Vec<(&'static str, String)> {
    let machine = &comparison.machine;
    let or_unknown = |text: &str| match text {
        "" => "not told".to_owned(),
        text => text.to_owned(),
    };
    let virtual_machine = match (machine.is_virtual, machine.hypervisor.as_str()) {
        (false, _) => "no: bare metal".to_owned(),
        (true, "") => "yes, of an unknown hypervisor".to_owned(),
        (true, name) => format!("yes: {name}"),
    };
    let kvm = match (machine.has_kvm, machine.is_virtual) {
        (false, _) => "absent".to_owned(),
        (true, nested) => format!(
            "present{} ({})",
            if nested { ", nested" } else { "" },
            machine.kvm_modules.join(", ")
        ),
    };
    let ptrace_scope = match machine.ptrace_scope.as_str() {
        "" => "no Yama, which would limit it".to_owned(),
        scope => scope.to_owned(),
    };
    vec![
        ("processor", or_unknown(&machine.cpu_model)),
        ("CPUs", machine.nr_cpus.to_string()),
        ("memory", format!("{} MiB", machine.memory_mib)),
        ("kernel", machine.kernel.clone()),
        ("virtual machine", virtual_machine),
        ("/dev/kvm", kvm),
        ("clocksource", or_unknown(&machine.clocksource)),
        (
            "huge pages for shared memory",
            or_unknown(&machine.shmem_huge_pages),
        ),
        ("ptrace scope", ptrace_scope),
        ("load before", machine.load.clone()),
        ("load after", comparison.run.load_at_end.clone()),
    ]
}

/// How it was measured.
fn how(run: &Run) -> String {
    format!(
        "<p>Measured at {} in {} s: {} repetitions{}, {} ms for each row of calls in each, all subjects in turn and \
         another one first each time; a sample is the median of a repetition.</p>\n",
        Escaped(&run.date),
        run.seconds,
        run.repetitions,
        if run.is_quick { " (a brief run)" } else { "" },
        run.row_ms,
    )
}
