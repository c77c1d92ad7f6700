//! One line of a trace: a call that returned, its beginning or its end, a signal, the end of a thread.

use crate::repro::value::{self, Item, Value};

/// What a thread did or what happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A call and what came of it.
    Call(Call),
    /// A signal was delivered: its name.
    Signal(String),
    /// The thread ended: `exited with 0`.
    End(String),
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// Its name.
    pub(super) name: String,
    /// Its arguments.
    pub(super) args: Vec<Item>,
    /// What came of it.
    pub(super) outcome: Outcome,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It returned this, and what is shown with it.
    Returned { value: String, note: Option<Value> },
    /// It failed with this error.
    Failed(String),
    /// It is not known: it never returned, or its line is cut.
    Unknown,
}

/// A line, before what belongs together is put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// The text up to where the call slept.
    Begun(&'a str),
    /// A call's name and what stands behind the mark.
    Resumed(&'a str, &'a str),
    /// All of it.
    Whole(Event),
    /// Nothing that counts.
    Other,
}

const UNFINISHED: &str = "<unfinished ...>";

impl<'a> Line<'a> {
    /// Reads a line behind the thread's id.
    pub(super) fn parse(text: &'a str) -> Self {
        let text = text.trim();
        if let Some(begun) = text.strip_suffix(UNFINISHED) {
            return Self::Begun(begun.trim_end());
        }
        if let Some(rest) = text.strip_prefix("<... ") {
            let split = rest.split_once(" resumed>");
            return split.map_or(Self::Other, |(name, end)| Self::Resumed(name, end));
        }
        let event = bracketed(text, "--- ", " ---")
            .and_then(signal)
            .or_else(|| bracketed(text, "+++ ", " +++").map(|how| Event::End(how.to_owned())))
            .or_else(|| call(text).map(Event::Call));
        event.map_or(Self::Other, Self::Whole)
    }
}

fn bracketed<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

/// `SIGCHLD {si_signo=SIGCHLD, …}`; that a tracer stopped the thread is no signal.
fn signal(text: &str) -> Option<Event> {
    let (name, _) = text.split_once(' ')?;
    name.starts_with("SIG")
        .then(|| Event::Signal(name.to_owned()))
}

/// A call from its whole text.
pub(super) fn call(text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    let call = |args, outcome| Call {
        name: name.to_owned(),
        args,
        outcome,
    };
    let Some((args, end)) = value::arguments(rest) else {
        return Some(call(Vec::new(), Outcome::Unknown));
    };
    let behind = rest.get(end..).unwrap_or_default().trim_start();
    let outcome = behind.strip_prefix("= ").map_or(Outcome::Unknown, outcome);
    Some(call(args, outcome))
}

/// What stands behind the equals sign.
fn outcome(text: &str) -> Outcome {
    let text = text.trim();
    let (value, rest) = text.split_once(' ').unwrap_or((text, ""));
    let error = || rest.split_once(' ').unwrap_or((rest, "")).0;
    match value {
        "-1" if rest.starts_with("(errno ") => {
            let end = rest.find(')').unwrap_or(rest.len());
            Outcome::Failed(rest.get(1..end).unwrap_or_default().to_owned())
        }
        "-1" if rest.starts_with('E') => Outcome::Failed(error().to_owned()),
        "?" if rest.starts_with("ERESTART") => Outcome::Failed(error().to_owned()),
        "?" | "" => Outcome::Unknown,
        _ => Outcome::Returned {
            value: value.to_owned(),
            note: note(rest),
        },
    }
}

/// What is shown behind a result, in parentheses.
fn note(text: &str) -> Option<Value> {
    let inner = text.trim().strip_prefix('(')?;
    Some(Value::parse(inner.strip_suffix(')').unwrap_or(inner)))
}

#[cfg(test)]
mod tests {
    use super::{Event, Line, Outcome};
    use proptest::prelude::{any, proptest};

    fn outcome(text: &str) -> (String, usize, Outcome) {
        let Line::Whole(Event::Call(call)) = Line::parse(text) else {
            panic!("{text}");
        };
        (call.name, call.args.len(), call.outcome)
    }

    fn returned(value: &str) -> Outcome {
        Outcome::Returned {
            value: value.to_owned(),
            note: None,
        }
    }

    /// Lines that strace 6.1 and the sandbox printed.
    #[test]
    fn real_lines() {
        for (text, name, args, wanted) in [
            (
                "brk(NULL)                         = 0x55d8f6c22000",
                "brk",
                1,
                returned("0x55d8f6c22000"),
            ),
            (
                "statfs(\"/selinux\", 0x7ffec90a33d0) = -1 ENOENT (No such file or directory)",
                "statfs",
                2,
                Outcome::Failed("ENOENT".to_owned()),
            ),
            (
                "futex(0x7f8529b4e6f8, FUTEX_WAKE_PRIVATE, 1) = 0",
                "futex",
                3,
                returned("0"),
            ),
            (
                "exit_group(0)                           = ?",
                "exit_group",
                1,
                Outcome::Unknown,
            ),
            (
                "read(3, \"nodev\\tsysfs) = 1\\n\"..., 1024) = 364",
                "read",
                3,
                returned("364"),
            ),
            (
                "pause() = ? ERESTARTNOHAND (To be restarted if no handler)",
                "pause",
                0,
                Outcome::Failed("ERESTARTNOHAND".to_owned()),
            ),
            (
                "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f02bac83a10) = 12582",
                "clone",
                3,
                returned("12582"),
            ),
            (
                "clone3({flags=CLONE_VM, exit_signal=0, stack=0x7f8528748000, stack_size=0x7fff80} => {parent_tid=[12647]}, 88) = 12647",
                "clone3",
                2,
                returned("12647"),
            ),
            (
                "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 12643",
                "wait4",
                4,
                returned("12643"),
            ),
            (
                "syscall_0x1d3(0x1, 0x2) = -1 ENOSYS (Function not implemented)",
                "syscall_0x1d3",
                2,
                Outcome::Failed("ENOSYS".to_owned()),
            ),
            (
                "x() = -1 (errno 524)",
                "x",
                0,
                Outcome::Failed("errno 524".to_owned()),
            ),
            (
                "openat(AT_FDCWD, \"/etc/ld.so",
                "openat",
                0,
                Outcome::Unknown,
            ),
        ] {
            assert_eq!(outcome(text), (name.to_owned(), args, wanted), "{text}");
        }
    }

    #[test]
    fn notes_stand_behind_results() {
        let (_, _, outcome) = outcome("fcntl(3, F_GETFL) = 0x8002 (flags O_RDWR|O_LARGEFILE)");
        let Outcome::Returned { value, note } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(value, "0x8002");
        assert_eq!(note.unwrap().word(), Some("flags O_RDWR|O_LARGEFILE"));
    }

    #[test]
    fn signals_ends_and_halves() {
        assert_eq!(
            Line::parse("--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=5} ---"),
            Line::Whole(Event::Signal("SIGCHLD".to_owned()))
        );
        assert_eq!(Line::parse("--- stopped by SIGSTOP ---"), Line::Other);
        assert_eq!(
            Line::parse("+++ killed by SIGSEGV (core dumped) +++"),
            Line::Whole(Event::End("killed by SIGSEGV (core dumped)".to_owned()))
        );
        assert_eq!(
            Line::parse("wait4(-1,  <unfinished ...>"),
            Line::Begun("wait4(-1,")
        );
        assert_eq!(
            Line::parse("<... wait4 resumed>NULL, 0, NULL) = 4"),
            Line::Resumed("wait4", "NULL, 0, NULL) = 4")
        );
        assert_eq!(Line::parse("<... wait4 resu"), Line::Other);
    }

    proptest! {
        #[test]
        fn any_text_is_some_line(text in any::<String>()) {
            let _ = Line::parse(&text);
        }

        #[test]
        fn a_real_line_may_end_anywhere(end in 0_usize..200) {
            let line = "clone3({flags=CLONE_VM, stack=0x7f} => {parent_tid=[12647]}, \"\\12\\\"\"..., 88) = 12647 (x)";
            let _ = Line::parse(line.get(..end).unwrap_or(line));
        }

        #[test]
        fn numbers_come_back(number: i32, name in "[a-z][a-z0-9_]{0,10}") {
            proptest::prop_assume!(number != -1);
            let text = format!("{name}({number}, \"x\") = {number}");
            assert_eq!(outcome(&text), (name, 2, returned(&number.to_string())));
        }
    }
}
