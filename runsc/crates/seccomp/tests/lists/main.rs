//! The lists and the code, compared in both directions: each host call that the sources of a process can make is on
//! the process's list, and each line of a list, with each value that it allows an argument, is there for a call that
//! the sources make.
//!
//! [`sources`] finds what the sources name, [`calls`] says which host calls that makes, and [`processes`] says whose sources
//! these are, and what of them does not run under the filter. Where a source names a function that [`calls`] does not
//! know, the test fails, as it does for an exception that nothing needs.

mod calls;
mod processes;
mod sources;

use calls::Call;
use platform::{HostCall, KVM_HOST_CALLS, PTRACE_HOST_CALLS};
use processes::{OTHERS, Process, SANDBOX};
use seccomp::{Argument, Entry, Rule};
use sources::Use;

/// A call that a process can make, and who makes it.
#[derive(Clone, Debug)]
struct Made {
    call: Call,
    by: String,
}

/// One alternative of a line of a list.
#[derive(Clone, Debug)]
struct Line {
    number: i64,
    /// All of these hold.
    conditions: Vec<Argument>,
}

impl Line {
    /// Whether it lets this call pass, as far as the call is known.
    fn allows(&self, call: Call) -> bool {
        let known = |condition: &Argument| match (*condition, call.argument) {
            (Argument::Is(index, is), Some((of, value))) if index == of => {
                u64::from(is) == value & 0xffff_ffff
            }
            (Argument::Masked(index, mask, masked), Some((of, value))) if index == of => {
                value & mask == masked
            }
            _ => true,
        };
        self.number == call.number && self.conditions.iter().all(known)
    }

    /// Whether this call is what it is there for: if any call is known by the argument that it asks for, only such.
    fn is_for(&self, call: Call, calls: &[Made]) -> bool {
        let asks = |of: u8| {
            self.conditions.iter().any(|condition| match condition {
                Argument::Is(index, _) | Argument::Masked(index, _, _) => *index == of,
            })
        };
        let is_known = |call: Call| {
            call.number == self.number && call.argument.is_some_and(|(of, _)| asks(of))
        };
        let wants_known = calls.iter().any(|made| is_known(made.call));
        self.allows(call) && (!wants_known || is_known(call))
    }
}

fn lines(entries: &[Entry]) -> Vec<Line> {
    let of = |entry: &Entry| {
        let number = entry.number;
        let groups: Vec<Vec<Argument>> = match entry.rule {
            Rule::Always => vec![Vec::new()],
            Rule::AnyOf(groups) => groups.iter().map(|group| group.to_vec()).collect(),
        };
        groups
            .into_iter()
            .map(move |conditions| Line { number, conditions })
    };
    entries.iter().flat_map(of).collect()
}

fn platform_lines(calls: &[HostCall]) -> Vec<Line> {
    let of = |call: &HostCall| {
        let (number, argument) = (call.number, call.argument);
        let mut conditions: Vec<Vec<Argument>> = call
            .values
            .iter()
            .map(|value| vec![Argument::Is(argument, *value)])
            .collect();
        if conditions.is_empty() {
            conditions.push(Vec::new());
        }
        conditions
            .into_iter()
            .map(move |conditions| Line { number, conditions })
    };
    calls.iter().flat_map(of).collect()
}

/// What of a process's sources runs under its filter, and what is wrong with what is said of the rest.
fn uses(process: &Process, wrong: &mut Vec<String>) -> Vec<Use> {
    let mut uses = Vec::new();
    let mut needed = vec![false; process.elsewhere.len()];
    for (file, code) in sources::of(process.sources) {
        for found in sources::uses(&file, &code) {
            let place = process.elsewhere.iter().position(|elsewhere| {
                let is_file = elsewhere.file.trim_start_matches("../") == found.file
                    || elsewhere.file == found.file;
                is_file
                    && (elsewhere.functions.is_empty()
                        || elsewhere.functions.contains(&found.within.as_str()))
            });
            match place.and_then(|place| needed.get_mut(place)) {
                Some(needed) => *needed = true,
                None => uses.push(found),
            }
        }
    }
    for (elsewhere, _) in process
        .elsewhere
        .iter()
        .zip(needed)
        .filter(|(_, needed)| !needed)
    {
        wrong.push(format!(
            "nothing of {} {:?} makes a host call that \"{}\"",
            elsewhere.file, elsewhere.functions, elsewhere.reason
        ));
    }
    uses
}

/// The host calls of these uses.
fn made(process: &Process, uses: &[Use], wrong: &mut Vec<String>) -> Vec<Made> {
    let mut all = Vec::new();
    for found in uses {
        let by = format!("{} in {}::{}", found.what, found.file, found.within);
        let mut add = |calls: &[Call]| {
            all.extend(calls.iter().map(|call| Made {
                call: *call,
                by: by.clone(),
            }));
        };
        if let Some(call) = calls::named(&found.what) {
            add(&[call]);
        } else if found.what.starts_with('.') {
            let applies = calls::METHODS
                .iter()
                .filter(|(place, name, _)| *name == found.what && found.file.starts_with(place));
            applies.for_each(|(_, _, calls)| add(calls));
        } else {
            match calls::of(&found.what) {
                Some(calls) => add(calls),
                None => wrong.push(format!("which host calls does this make? {by}")),
            }
        }
    }
    if process.has_runtime {
        for (who, calls) in calls::ALWAYS {
            all.extend(calls.iter().map(|call| Made {
                call: *call,
                by: (*who).to_owned(),
            }));
        }
    }
    all
}

fn name(number: i64) -> &'static str {
    let name = u32::try_from(number)
        .ok()
        .and_then(abi::syscall_names::name);
    name.unwrap_or("?")
}

/// Calls that no line allows.
fn missing(calls: &[Made], lines: &[Line], process: &Process) -> Vec<String> {
    let is_refused = |call: Call| {
        process
            .refusals
            .iter()
            .any(|refusal| refusal.number == call.number)
    };
    calls
        .iter()
        .filter(|made| !is_refused(made.call) && !lines.iter().any(|line| line.allows(made.call)))
        .map(|made| {
            let argument = made.call.argument;
            format!(
                "{} {argument:?} is not on the list: {}",
                name(made.call.number),
                made.by
            )
        })
        .collect()
}

/// Lines that are there for no call.
fn superfluous(lines: &[Line], calls: &[Made]) -> Vec<String> {
    lines
        .iter()
        .filter(|line| !calls.iter().any(|made| line.is_for(made.call, calls)))
        .map(|line| {
            format!(
                "{} {:?} is on the list, and nothing makes it",
                name(line.number),
                line.conditions
            )
        })
        .collect()
}

/// Modules of `host` that the sources name and that are not among the sources.
fn unread_modules(process: &Process) -> Vec<String> {
    let parsed = sources::of(process.sources);
    let has = |module: &str| {
        let file = format!("host/src/{module}.rs");
        parsed.iter().any(|(name, _)| *name == file)
    };
    let mut wrong = Vec::new();
    for (file, code) in &parsed {
        for module in sources::host_modules(code) {
            if !has(&module)
                && !process
                    .elsewhere
                    .iter()
                    .any(|elsewhere| elsewhere.file == format!("host/src/{module}.rs"))
            {
                wrong.push(format!(
                    "{file} uses host::{module}, which is not among the sources"
                ));
            }
        }
    }
    wrong
}

fn check(process: &Process) -> Vec<String> {
    let mut wrong = unread_modules(process);
    let uses = uses(process, &mut wrong);
    let calls = made(process, &uses, &mut wrong);
    let lines = lines(&process.entries.concat());
    wrong.extend(missing(&calls, &lines, process));
    wrong.extend(superfluous(&lines, &calls));
    wrong
}

const PTRACE: &str = "platform/src/ptrace/";
const KVM: &str = "platform/src/kvm/";
/// What only that platform uses of `host`.
const OF_PTRACE: [&str; 2] = ["host/src/ptrace.rs", "host/src/wait.rs"];

/// The sandbox's own list has what either platform needs of every process; a platform's has the rest.
fn check_sandbox() -> Vec<String> {
    let process = &SANDBOX;
    let mut wrong = unread_modules(process);
    let all = uses(process, &mut wrong);
    let own = lines(&process.entries.concat());
    for (folder, other, additions) in [
        (PTRACE, KVM, PTRACE_HOST_CALLS),
        (KVM, PTRACE, KVM_HOST_CALLS),
    ] {
        let here = |found: &&Use| {
            !found.file.starts_with(other)
                && (!OF_PTRACE.contains(&found.file.as_str()) || folder == PTRACE)
        };
        let uses: Vec<Use> = all.iter().filter(here).cloned().collect();
        let calls = made(process, &uses, &mut wrong);
        let additions = platform_lines(additions);
        let together = [own.as_slice(), additions.as_slice()].concat();
        wrong.extend(missing(&calls, &together, process));
        wrong.extend(superfluous(&additions, &calls));
    }
    let calls = made(process, &all, &mut Vec::new());
    wrong.extend(superfluous(&own, &calls));
    wrong.sort();
    wrong.dedup();
    wrong
}

#[test]
fn the_sandbox_can_make_what_its_list_allows_and_nothing_else() {
    let wrong = check_sandbox();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_other_process_can_make_what_its_list_allows_and_nothing_else() {
    let of = |process: &Process| {
        let named = |wrong| format!("{}: {wrong}", process.name);
        check(process).into_iter().map(named).collect::<Vec<_>>()
    };
    let wrong: Vec<_> = OTHERS.iter().flat_map(of).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
