//! Comparing two traces: threads are paired by the calls that made them, their calls one by one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use crate::repro::align::{self, Place};
use crate::repro::calls;
use crate::repro::line::{Call, Event, Outcome};
use crate::repro::outcome;
use crate::repro::pairs::{Pairs, Spaces};
use crate::repro::trace::{Entry, Thread, Trace};
use crate::repro::values::{Context, Finding};

/// What two traces have in common and what not.
#[derive(Debug, Default, Serialize)]
pub(super) struct Session {
    /// Calls with the same outcome.
    pub(super) agreed: usize,
    /// Calls that only the host saw, by name.
    pub(super) only_host: BTreeMap<String, usize>,
    /// Calls that only the sandbox saw, by name.
    pub(super) only_sandbox: BTreeMap<String, usize>,
    /// Threads that could be paired.
    pub(super) threads: usize,
    /// Threads that could not, on the host and in the sandbox.
    pub(super) unpaired: (usize, usize),
    /// The calls whose outcome differs, in the host's order.
    pub(super) differences: Vec<Difference>,
}

/// A call whose outcome differs.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    /// The call's name.
    pub(super) call: String,
    /// What differs.
    pub(super) what: String,
    /// Why it is no fault, if it is known.
    pub(super) known: Option<String>,
    /// What the kernel's table says of the call.
    pub(super) support: Option<String>,
    /// Which thread it is, in the order in which they were paired.
    pub(super) thread: usize,
    /// The line of the host's trace.
    pub(super) at: usize,
    /// The line and those around it, on the host.
    pub(super) host: Side,
    /// The same in the sandbox.
    pub(super) sandbox: Side,
    /// The error with which the sandbox failed.
    #[serde(skip)]
    pub(super) error: Option<String>,
}

/// A line with those around it.
#[derive(Debug, Serialize)]
pub(super) struct Side {
    /// The lines.
    pub(super) lines: Vec<String>,
    /// Which of them it is.
    pub(super) which: usize,
}

/// What is compared, and how.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    /// When the first run began, in seconds since 1970.
    pub(super) since: u64,
    /// How many lines to show around a difference.
    pub(super) context: usize,
    /// The calls to look at; all if empty.
    pub(super) only: &'a [String],
    /// The calls not to look at.
    pub(super) ignored: &'a [String],
    /// Whether the program did not end in the sandbox: then a call that did not return is a difference.
    pub(super) hung: bool,
}

impl Rules<'_> {
    fn wants(&self, call: &str) -> bool {
        let has = |list: &[String]| list.iter().any(|name| name == call);
        (self.only.is_empty() || has(self.only)) && !has(self.ignored)
    }
}

/// Compares two traces.
pub(super) fn compare(host: &Trace, sandbox: &Trace, rules: &Rules<'_>) -> Session {
    let mut comparer = Comparer {
        host,
        sandbox,
        rules,
        ids: Pairs::default(),
        taken: (BTreeSet::new(), BTreeSet::new()),
        queue: VecDeque::new(),
        session: Session::default(),
    };
    comparer.pair_up(0, 0, Spaces::default());
    while let Some((h, s, spaces)) = comparer.queue.pop_front() {
        comparer.threads(h, s, spaces);
    }
    let (hosts, sandboxes) = (host.threads.len(), sandbox.threads.len());
    let mut session = comparer.session;
    session.unpaired = (hosts - session.threads, sandboxes - session.threads);
    session.differences.sort_by_key(|difference| difference.at);
    session
}

/// The state of a comparison.
struct Comparer<'a> {
    host: &'a Trace,
    sandbox: &'a Trace,
    rules: &'a Rules<'a>,
    ids: Pairs,
    /// The threads that are paired already.
    taken: (BTreeSet<usize>, BTreeSet<usize>),
    queue: VecDeque<(usize, usize, Spaces)>,
    session: Session,
}

impl Comparer<'_> {
    /// Two threads that belong together, by index.
    fn pair_up(&mut self, host: usize, sandbox: usize, spaces: Spaces) {
        let (Some(one), Some(other)) = (
            self.host.threads.get(host),
            self.sandbox.threads.get(sandbox),
        ) else {
            return;
        };
        self.ids.bind(&one.tid.to_string(), &other.tid.to_string());
        self.taken.0.insert(host);
        self.taken.1.insert(sandbox);
        self.session.threads += 1;
        self.queue.push_back((host, sandbox, spaces));
    }

    fn threads(&mut self, host: usize, sandbox: usize, mut spaces: Spaces) {
        let (host_trace, sandbox_trace) = (self.host, self.sandbox);
        let (Some(host), Some(sandbox)) = (
            host_trace.threads.get(host),
            sandbox_trace.threads.get(sandbox),
        ) else {
            return;
        };
        for place in align::align(&host.entries, &sandbox.entries) {
            match place {
                Place::Both(h, s) => self.events((host, h), (sandbox, s), &mut spaces),
                Place::Host(h) => {
                    count(&mut self.session.only_host, host.entries.get(h), self.rules);
                }
                Place::Sandbox(s) => {
                    let counts = &mut self.session.only_sandbox;
                    count(counts, sandbox.entries.get(s), self.rules);
                }
            }
        }
    }

    fn events(&mut self, host: (&Thread, usize), sandbox: (&Thread, usize), spaces: &mut Spaces) {
        let (Some(one), Some(other)) =
            (host.0.entries.get(host.1), sandbox.0.entries.get(sandbox.1))
        else {
            return;
        };
        let (name, finding) = match (&one.event, &other.event) {
            (Event::Call(host), Event::Call(sandbox)) => {
                self.follow(host, sandbox, spaces);
                (host.name.as_str(), self.calls(host, sandbox, spaces))
            }
            (Event::End(how), Event::End(other)) => {
                let what = || Finding::new(format!("{how} on the host, {other} in the sandbox"));
                ("exit", (how != other).then(what))
            }
            _ => return,
        };
        if !self.rules.wants(name) {
            return;
        }
        match finding {
            None => self.session.agreed += 1,
            Some(finding) => {
                let difference = self.difference(name, finding, host, sandbox);
                self.session.differences.push(difference);
            }
        }
    }

    fn calls(&mut self, host: &Call, sandbox: &Call, spaces: &mut Spaces) -> Option<Finding> {
        let returned = host.outcome != Outcome::Unknown;
        if self.rules.hung
            && returned
            && sandbox.outcome == Outcome::Unknown
            && sandbox.args.is_empty()
        {
            return Some(Finding::new(format!(
                "{} on the host, did not return in the sandbox",
                outcome::describe(&host.outcome)
            )));
        }
        let mut context = Context {
            ids: &mut self.ids,
            spaces,
            since: self.rules.since,
            call: &host.name,
        };
        outcome::compare(&mut context, host, sandbox)
    }

    /// Pairs the threads that two calls made.
    fn follow(&mut self, host: &Call, sandbox: &Call, spaces: &Spaces) {
        if !calls::is_clone(&host.name) {
            return;
        }
        let (Some(h), Some(s)) = (made(host), made(sandbox)) else {
            return;
        };
        let find = |trace: &Trace, tid, taken: &BTreeSet<usize>| {
            let mut threads = trace.threads.iter().enumerate();
            let found = threads.find(|(index, thread)| thread.tid == tid && !taken.contains(index));
            found.map(|(index, _)| index)
        };
        let (h, s) = (
            find(self.host, h, &self.taken.0),
            find(self.sandbox, s, &self.taken.1),
        );
        if let (Some(h), Some(s)) = (h, s) {
            self.pair_up(h, s, spaces.clone());
        }
    }

    fn difference(
        &self,
        name: &str,
        finding: Finding,
        host: (&Thread, usize),
        sandbox: (&Thread, usize),
    ) -> Difference {
        let event = sandbox.0.entries.get(sandbox.1).map(|entry| &entry.event);
        let error = match event {
            Some(Event::Call(call)) => match &call.outcome {
                Outcome::Failed(error) => Some(error.clone()),
                _ => None,
            },
            _ => None,
        };
        Difference {
            call: name.to_owned(),
            what: finding.what,
            known: finding.expected.map(str::to_owned),
            support: None,
            thread: self.session.threads - self.queue.len(),
            at: host.0.entries.get(host.1).map_or(0, |entry| entry.at),
            host: side(host.0, host.1, self.rules.context),
            sandbox: side(sandbox.0, sandbox.1, self.rules.context),
            error,
        }
    }
}

/// The thread that a call made.
fn made(call: &Call) -> Option<u64> {
    match &call.outcome {
        Outcome::Returned { value, .. } => value.parse().ok(),
        _ => None,
    }
}

/// Counts a call that one side alone saw.
fn count(counts: &mut BTreeMap<String, usize>, entry: Option<&Entry>, rules: &Rules<'_>) {
    if let Some(Event::Call(call)) = entry.map(|entry| &entry.event)
        && rules.wants(&call.name)
    {
        *counts.entry(call.name.clone()).or_default() += 1;
    }
}

/// A line of a thread and those around it.
fn side(thread: &Thread, at: usize, context: usize) -> Side {
    let begin = at.saturating_sub(context);
    let end = thread
        .entries
        .len()
        .min(at.saturating_add(context).saturating_add(1));
    let entries = thread.entries.get(begin..end).unwrap_or_default();
    Side {
        lines: entries.iter().map(|entry| entry.text.clone()).collect(),
        which: at - begin,
    }
}

#[cfg(test)]
mod tests {
    use super::{Rules, Session, compare};
    use crate::repro::trace::{Trace, Writer};

    fn session(host: &str, sandbox: &str, hung: bool) -> Session {
        let rules = Rules {
            since: 0,
            context: 1,
            only: &[],
            ignored: &["rseq".to_owned()],
            hung,
        };
        let read = |text| Trace::read(Writer::Strace, text);
        compare(&read(host), &read(sandbox), &rules)
    }

    /// Children end in another order, and the sandbox makes one more call.
    #[test]
    fn threads_are_paired_by_the_calls_that_made_them() {
        let host = "\
100 rseq(0x1) = 0
100 fork() = 101
100 fork() = 102
102 close(9) = 0
101 close(5) = 0
101 +++ exited with 1 +++
102 +++ exited with 2 +++
100 getpid() = 100
";
        let sandbox = "\
1 rseq(0x2) = -1 ENOSYS (x)
1 fork() = 2
2 close(5) = -1 EBADF (x)
2 +++ exited with 1 +++
1 gettid() = 1
1 fork() = 3
3 close(9) = 0
3 +++ exited with 2 +++
1 getpid() = 1
";
        let session = session(host, sandbox, false);
        assert_eq!((session.threads, session.unpaired), (3, (0, 0)));
        assert_eq!(session.only_sandbox.get("gettid"), Some(&1));
        assert_eq!(session.differences.len(), 1, "{session:?}");
        let difference = &session.differences[0];
        assert_eq!((difference.thread, difference.at), (2, 4));
        assert_eq!(
            difference.what,
            "returned 0 on the host, EBADF in the sandbox"
        );
        assert_eq!(
            difference.host.lines,
            ["close(5) = 0", "+++ exited with 1 +++"]
        );
        assert_eq!(session.agreed, 6);
    }

    #[test]
    fn a_call_that_does_not_return_is_a_difference_if_the_program_hangs() {
        let (host, sandbox) = ("7 read(0, \"\", 5) = 0\n", "1 read(0, <unfinished ...>\n");
        assert!(session(host, sandbox, false).differences.is_empty());
        let differences = session(host, sandbox, true).differences;
        assert_eq!(
            differences[0].what,
            "returned 0 on the host, did not return in the sandbox"
        );
    }
}
