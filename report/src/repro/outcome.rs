//! Comparing what came of two calls: result, error, and what they stored.

use crate::repro::calls;
use crate::repro::line::{Call, Outcome};
use crate::repro::rules::{self, Treatment};
use crate::repro::value::{Item, Value};
use crate::repro::values::{Context, Finding, is_address};

/// The first difference of two calls that belong together.
pub(super) fn compare(context: &mut Context<'_>, host: &Call, sandbox: &Call) -> Option<Finding> {
    let stored = calls::stored(&host.name);
    for (_, host, sandbox) in both(host, sandbox).filter(|(index, ..)| !stored.contains(index)) {
        context.bind(&host.value, &sandbox.value);
    }
    let found = results(context, host, sandbox)?;
    Some(match path(context, host) {
        Some(path) => Finding {
            what: format!("{} ({path})", found.what),
            expected: found.expected.or(expected(&host.name, &path)),
        },
        None => found,
    })
}

/// The file that a call is about: the one that its descriptor was opened by, or that it names itself.
fn path(context: &Context<'_>, host: &Call) -> Option<String> {
    let (first, second) = (host.args.first()?, host.args.get(1));
    if let Value::Word(descriptor) = &first.value
        && let Some(path) = context.spaces.paths.get(descriptor)
    {
        return Some(path.clone());
    }
    let by_name = first.value.text().or_else(|| {
        let is_at = host.name.ends_with("at") || host.name.starts_with("stat");
        second.filter(|_| is_at)?.value.text()
    });
    by_name.filter(|path| !path.is_empty())
}

/// Why what a call reads from a file is expected to differ.
fn expected(call: &str, path: &str) -> Option<&'static str> {
    let reads = matches!(
        call,
        "getdents64" | "pread64" | "read" | "readlink" | "readlinkat" | "readv"
    );
    let rule = rules::of_file(path).filter(|_| reads);
    rule.map(|rule| rule.why)
}

/// The first difference in what two calls returned and stored.
fn results(context: &mut Context<'_>, host: &Call, sandbox: &Call) -> Option<Finding> {
    match (&host.outcome, &sandbox.outcome) {
        (Outcome::Unknown, _) | (_, Outcome::Unknown) => None,
        (Outcome::Failed(one), Outcome::Failed(other)) if one == other => None,
        (
            Outcome::Returned { value, note },
            Outcome::Returned {
                value: other,
                note: other_note,
            },
        ) => {
            let result = Result {
                host,
                sandbox,
                value,
                other,
            };
            let found = result.compare(context);
            opened(context, host, value);
            found
                .or_else(|| contents(context, host, sandbox))
                .or_else(|| context.compare(None, note.as_ref()?, other_note.as_ref()?))
        }
        // Whether there is something to wait for is a matter of who is first.
        (Outcome::Failed(error), _) | (_, Outcome::Failed(error))
            if error == "EAGAIN" && rules::of_result(&host.name) == Some(Treatment::Hidden) =>
        {
            None
        }
        (one, other) => Some(Finding::new(format!(
            "{} on the host, {} in the sandbox",
            describe(one),
            describe(other)
        ))),
    }
}

/// The first difference in what two calls stored.
fn contents(context: &mut Context<'_>, host: &Call, sandbox: &Call) -> Option<Finding> {
    let stored = calls::stored(&host.name);
    let mut items = both(host, sandbox).filter(|(index, ..)| stored.contains(index));
    items.find_map(|(_, host, sandbox)| context.compare(None, &host.value, &sandbox.value))
}

/// Notes which path the host's new descriptor was opened by, or that it has none.
fn opened(context: &mut Context<'_>, host: &Call, value: &str) {
    let gives = rules::of_result(&host.name) == Some(Treatment::Descriptor);
    if !gives || (host.name == "fcntl" && !duplicates(host)) {
        return;
    }
    let path = if host.name.starts_with("open") {
        host.args.iter().find_map(|item| item.value.text())
    } else {
        let copied = host.args.first().and_then(|item| item.value.word());
        copied.and_then(|descriptor| context.spaces.paths.get(descriptor).cloned())
    };
    match path {
        Some(path) => context.spaces.paths.insert(value.to_owned(), path),
        None => context.spaces.paths.remove(value),
    };
}

/// Whether it is `fcntl` with a command that gives a descriptor.
fn duplicates(call: &Call) -> bool {
    let command = call.args.get(1).map(|item| &item.value);
    matches!(command, Some(Value::Word(word)) if word.starts_with("F_DUPFD"))
}

/// The arguments that both have.
fn both<'a>(
    host: &'a Call,
    sandbox: &'a Call,
) -> impl Iterator<Item = (usize, &'a Item, &'a Item)> {
    let pairs = host.args.iter().zip(&sandbox.args).enumerate();
    pairs.map(|(index, (host, sandbox))| (index, host, sandbox))
}

/// An outcome in words.
pub(super) fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Returned { value, .. } => format!("returned {value}"),
        Outcome::Failed(error) => error.clone(),
        Outcome::Unknown => "did not return".to_owned(),
    }
}

/// Two calls that succeeded, and what they returned.
struct Result<'a> {
    host: &'a Call,
    sandbox: &'a Call,
    value: &'a str,
    other: &'a str,
}

impl Result<'_> {
    fn compare(&self, context: &mut Context<'_>) -> Option<Finding> {
        let (value, other) = (self.value, self.other);
        let agree = self.keeps_argument() && self.agree(context);
        (!agree).then(|| {
            Finding::new(format!(
                "returned {value} on the host, {other} in the sandbox"
            ))
        })
    }

    /// Whether the argument that the call may return is returned by both or by none.
    fn keeps_argument(&self) -> bool {
        let returns = |call: &Call, index: usize, value: &str| {
            let argument = call.args.get(index).and_then(|item| item.value.word());
            argument == Some(value)
        };
        calls::returned(&self.host.name).is_none_or(|index| {
            returns(self.host, index, self.value) == returns(self.sandbox, index, self.other)
        })
    }

    fn agree(&self, context: &mut Context<'_>) -> bool {
        let (name, value, other) = (self.host.name.as_str(), self.value, self.other);
        let is_zero = value == "0" || other == "0";
        match rules::of_result(name) {
            Some(Treatment::Hidden) => true,
            Some(Treatment::Address) if is_address(value) && is_address(other) => {
                context.spaces.addresses.bind(value, other);
                true
            }
            Some(Treatment::Descriptor) if name != "fcntl" || duplicates(self.host) => {
                context.spaces.descriptors.bind(value, other);
                true
            }
            // The parent or the session may be outside of what the process can see.
            Some(Treatment::Id) if is_zero => value == other || name.starts_with("get"),
            Some(Treatment::Id) if calls::is_clone(name) => {
                context.ids.bind(value, other);
                true
            }
            Some(Treatment::Id) => context.ids.agree(value, other),
            _ => value == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::compare;
    use crate::repro::line;
    use crate::repro::pairs::{Pairs, Spaces};
    use crate::repro::values::Context;

    /// What is found in calls of one thread, one after the other.
    fn found(calls: &[(&str, &str)]) -> Vec<Option<String>> {
        let (mut ids, mut spaces) = (Pairs::default(), Spaces::default());
        let mut compare_one = |(host, sandbox): &(&str, &str)| {
            let (host, sandbox) = (line::call(host).unwrap(), line::call(sandbox).unwrap());
            let mut context = Context {
                ids: &mut ids,
                spaces: &mut spaces,
                since: 0,
                call: &host.name,
            };
            compare(&mut context, &host, &sandbox).map(|finding| finding.what)
        };
        calls.iter().map(&mut compare_one).collect()
    }

    #[test]
    fn addresses_stand_for_each_other() {
        let found = found(&[
            ("brk(NULL) = 0x5000", "brk(NULL) = 0x9000"),
            ("brk(0x6000) = 0x6000", "brk(0xa000) = 0xa000"),
            ("brk(0x7000) = 0x7000", "brk(0xb000) = 0xa000"),
            (
                "mmap(NULL, 4096, PROT_READ) = 0x6000",
                "mmap(NULL, 4096, PROT_READ) = 0x7777",
            ),
        ]);
        let brk = "returned 0x7000 on the host, 0xa000 in the sandbox";
        assert_eq!(found, [None, None, Some(brk.to_owned()), None]);
    }

    #[test]
    fn ids_and_descriptors_stand_for_each_other() {
        let found = found(&[
            ("fork() = 500", "fork() = 2"),
            ("fork() = 501", "fork() = 3"),
            (
                "wait4(-1, NULL, 0, NULL) = 500",
                "wait4(-1, NULL, 0, NULL) = 3",
            ),
            (
                "wait4(-1, NULL, 0, NULL) = 500",
                "wait4(-1, NULL, 0, NULL) = 0",
            ),
            ("getppid() = 77", "getppid() = 0"),
            ("open(\"a\") = 3", "open(\"a\") = 4"),
            ("dup2(3, 1) = 1", "dup2(4, 1) = 5"),
        ]);
        let is_found: Vec<bool> = found.iter().map(Option::is_some).collect();
        assert_eq!(is_found, [false, false, true, true, false, false, true]);
    }

    #[test]
    fn errors_and_what_was_stored() {
        let found = found(&[
            ("open(\"/proc/version\") = 4", "open(\"/proc/version\") = 5"),
            ("read(4, \"a\", 9) = 1", "read(5, \"b\", 9) = 1"),
            (
                "rseq(0x1) = 0",
                "rseq(0x2) = -1 ENOSYS (Function not implemented)",
            ),
            ("read(3, \"ab\", 9) = 2", "read(3, \"ac\", 9) = 2"),
            ("read(3, \"ab\", 9) = 2", "read(3, \"abc\", 9) = 3"),
            (
                "read(3, 0x10, 9) = -1 EBADF (x)",
                "read(3, 0x30, 9) = -1 EBADF (y)",
            ),
            (
                "poll([], 1, 5) = 1 ([{fd=3, revents=POLLIN}])",
                "poll([], 1, 5) = 1 ([{fd=3, revents=POLLHUP}])",
            ),
        ]);
        let wanted = [
            None,
            Some("from byte 0 on \"a\" on the host, \"b\" in the sandbox (/proc/version)"),
            Some("returned 0 on the host, ENOSYS in the sandbox"),
            Some("from byte 1 on \"b\" on the host, \"c\" in the sandbox"),
            Some("returned 2 on the host, 3 in the sandbox"),
            None,
            Some("revents: POLLIN on the host, POLLHUP in the sandbox"),
        ];
        assert_eq!(found, wanted.map(|it| it.map(str::to_owned)));
    }
}
