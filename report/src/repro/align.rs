//! Which event of one thread belongs to which of the other: the longest common sequence of what was asked for.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

use crate::repro::calls;
use crate::repro::line::{Call, Event};
use crate::repro::trace::Entry;
use crate::repro::value::{self, Item, Value};

/// How long a thread's events may be compared before the rest is taken as it comes.
const LIMIT: Duration = Duration::from_secs(20);

/// Where an event is: on both sides, or on one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Both(usize, usize),
    Host(usize),
    Sandbox(usize),
}

/// The events of two threads in one order.
///
/// First those are found that make tasks, since all that another task does hangs from one of them, then what lies
/// between.
pub(super) fn align(host: &[Entry], sandbox: &[Entry]) -> Vec<Place> {
    let (hosts, sandboxes) = (makers(host), makers(sandbox));
    let names = |makers: &[usize], entries: &[Entry]| -> Vec<String> {
        let made = makers.iter().filter_map(|&at| entries.get(at));
        made.map(|entry| name(&entry.event)).collect()
    };
    let mut places = Vec::new();
    let (mut from_host, mut from_sandbox) = (0, 0);
    for step in steps(&names(&hosts, host), &names(&sandboxes, sandbox)) {
        let Step::Same(h, s) = step else { continue };
        let pairs = h
            .zip(s)
            .filter_map(|(h, s)| Some((*hosts.get(h)?, *sandboxes.get(s)?)));
        for (h, s) in pairs {
            between(host, from_host..h, sandbox, from_sandbox..s, &mut places);
            places.push(Place::Both(h, s));
            (from_host, from_sandbox) = (h + 1, s + 1);
        }
    }
    let (hosts, sandboxes) = (from_host..host.len(), from_sandbox..sandbox.len());
    between(host, hosts, sandbox, sandboxes, &mut places);
    places
}

/// Where the calls are that make tasks.
fn makers(entries: &[Entry]) -> Vec<usize> {
    let makes =
        |entry: &Entry| matches!(&entry.event, Event::Call(call) if calls::is_clone(&call.name));
    let all = entries.iter().enumerate();
    all.filter(|(_, entry)| makes(entry))
        .map(|(at, _)| at)
        .collect()
}

/// The events of two stretches in one order.
///
/// First those are found that ask for the same thing by name and text; between them, those that have the name alone in
/// common. Numbers do not count: a call that is there once more on one side shifts no other.
fn between(
    host: &[Entry],
    hosts: Range<usize>,
    sandbox: &[Entry],
    sandboxes: Range<usize>,
    places: &mut Vec<Place>,
) {
    let keys =
        |entries: &[Entry], range: &Range<usize>, key: fn(&Event) -> String| -> Vec<String> {
            let stretch = entries.get(range.clone()).unwrap_or_default();
            stretch.iter().map(|entry| key(&entry.event)).collect()
        };
    let (host_names, sandbox_names) = (keys(host, &hosts, name), keys(sandbox, &sandboxes, name));
    for step in steps(&keys(host, &hosts, key), &keys(sandbox, &sandboxes, key)) {
        match step {
            Step::Same(..) => places.extend(step.places(hosts.start, sandboxes.start)),
            Step::Other(h, s) => {
                let by_name = steps(
                    host_names.get(h.clone()).unwrap_or_default(),
                    sandbox_names.get(s.clone()).unwrap_or_default(),
                );
                let (host, sandbox) = (hosts.start + h.start, sandboxes.start + s.start);
                places.extend(
                    by_name
                        .into_iter()
                        .flat_map(|step| step.places(host, sandbox)),
                );
            }
        }
    }
}

/// A stretch that is the same, or not.
enum Step {
    Same(Range<usize>, Range<usize>),
    Other(Range<usize>, Range<usize>),
}

impl Step {
    /// The events of the stretch, which begins so far in.
    fn places(self, host: usize, sandbox: usize) -> Vec<Place> {
        match self {
            Self::Same(h, s) => h
                .zip(s)
                .map(|(h, s)| Place::Both(host + h, sandbox + s))
                .collect(),
            Self::Other(h, s) => {
                let host = h.map(|h| Place::Host(host + h));
                host.chain(s.map(|s| Place::Sandbox(sandbox + s))).collect()
            }
        }
    }
}

fn steps(host: &[String], sandbox: &[String]) -> Vec<Step> {
    let deadline = Instant::now() + LIMIT;
    let ops = capture_diff_slices_deadline(Algorithm::Patience, host, sandbox, Some(deadline));
    let mut steps: Vec<Step> = Vec::new();
    for op in ops {
        let (h, s) = (op.old_range(), op.new_range());
        match (op, steps.last_mut()) {
            (DiffOp::Equal { .. }, _) => steps.push(Step::Same(h, s)),
            (_, Some(Step::Other(hosts, sandboxes))) => {
                hosts.end = h.end;
                sandboxes.end = s.end;
            }
            _ => steps.push(Step::Other(h, s)),
        }
    }
    steps
}

/// What an event asks for.
fn key(event: &Event) -> String {
    let mut key = name(event);
    if let Event::Call(call) = event {
        for word in asked(call).filter_map(|item| stable(&item.value)) {
            key.push('\0');
            key.push_str(&word);
        }
    }
    key
}

fn name(event: &Event) -> String {
    match event {
        Event::Call(call) => call.name.clone(),
        Event::Signal(name) => format!("--- {name}"),
        Event::End(_) => "+++".to_owned(),
    }
}

/// The arguments that a call reads.
fn asked(call: &Call) -> impl Iterator<Item = &Item> {
    let stored = calls::stored(&call.name);
    let numbered = call.args.iter().enumerate();
    numbered
        .filter(|(index, _)| !stored.contains(index))
        .map(|(_, item)| item)
}

/// What of an argument is the same in every run: text and names, no numbers.
fn stable(value: &Value) -> Option<String> {
    match value {
        Value::Text { bytes, .. } => Some(bytes.escape_ascii().to_string()),
        Value::Word(word) => word
            .starts_with(|it: char| it.is_ascii_uppercase())
            .then(|| value::sorted_flags(word)),
        Value::Group(_) | Value::Change(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, align};
    use crate::repro::trace::{Trace, Writer};

    fn places(host: &str, sandbox: &str) -> Vec<Place> {
        let entries = |text: &str| {
            let lines: Vec<String> = text.split(';').map(|line| format!("1 {line}\n")).collect();
            Trace::read(Writer::Strace, &lines.concat())
                .threads
                .remove(0)
                .entries
        };
        align(&entries(host), &entries(sandbox))
    }

    #[test]
    fn an_extra_call_shifts_nothing() {
        use Place::{Both, Sandbox};
        let host = "open(\"a\") = 3;read(3, \"\", 4) = 0;close(3) = 0";
        let sandbox = "open(\"a\") = 4;gettid() = 1;read(4, \"\", 5) = 0;close(4) = 0";
        assert_eq!(
            places(host, sandbox),
            [Both(0, 0), Sandbox(1), Both(1, 2), Both(2, 3)]
        );
    }

    #[test]
    fn calls_that_make_tasks_belong_together_whatever_is_between() {
        use Place::{Both, Host, Sandbox};
        let host = "clone(SIGCHLD) = 7;wait4(7) = 7;clone(SIGCHLD) = 8";
        let sandbox = "wait4(1) = 1;clone(SIGCHLD) = 7;wait4(2) = 2;clone(SIGCHLD) = 8";
        assert_eq!(
            places(host, sandbox),
            [Sandbox(0), Both(0, 1), Both(1, 2), Both(2, 3)]
        );
        let host = "wait4(1) = 1;wait4(2) = 2;clone(SIGCHLD) = 7";
        let sandbox = "clone(SIGCHLD) = 7;wait4(1) = 1;wait4(2) = 2";
        assert_eq!(
            places(host, sandbox),
            [Host(0), Host(1), Both(2, 0), Sandbox(1), Sandbox(2)]
        );
    }

    #[test]
    fn text_counts_before_the_name() {
        use Place::{Both, Host};
        let host = "open(\"a\") = 3;open(\"b\") = 3;open(\"c\") = 3";
        assert_eq!(
            places(host, "open(\"b\") = 3;open(\"d\") = 3"),
            [Host(0), Both(1, 0), Both(2, 1)]
        );
    }
}
