//! A whole trace: each thread's events in their order, calls that slept put together.

use std::collections::BTreeMap;

use crate::repro::line::{self, Event, Line};

/// Who wrote a trace: it decides how a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// strace(1) with `-f` and `-o`: `12576 brk(NULL) = 0x1000`.
    Strace,
    /// The sandbox's log: `… strace.rs:10] [pid     1] brk(NULL) = 0x1000 <0.000012>`.
    Sandbox,
}

/// What happened, and where in the trace.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The number of the line that completed it.
    pub(super) at: usize,
    /// What is shown of it.
    pub(super) text: String,
    /// What it was.
    pub(super) event: Event,
}

/// A thread from its first line to its last.
#[derive(Debug, Clone, Default)]
pub(super) struct Thread {
    /// Its id, as its trace has it.
    pub(super) tid: u64,
    /// What it did.
    pub(super) entries: Vec<Entry>,
    ended: bool,
    begun: Option<String>,
}

/// The threads in the order of their first lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// All of them.
    pub(super) threads: Vec<Thread>,
}

impl Trace {
    /// Reads what a writer wrote; lines that it did not write are left out.
    pub(super) fn read(writer: Writer, log: &str) -> Self {
        let mut trace = Self::default();
        let mut alive = BTreeMap::new();
        for (at, line) in log.lines().enumerate() {
            if let Some((tid, text)) = writer.split(line) {
                let index = trace.thread(&mut alive, tid);
                if let Some(thread) = trace.threads.get_mut(index) {
                    thread.add(at, text);
                }
            }
        }
        for thread in &mut trace.threads {
            thread.finish();
        }
        trace
    }

    /// Whether it has every thread's end.
    pub(super) fn is_whole(&self) -> bool {
        !self.threads.is_empty() && self.threads.iter().all(|thread| thread.ended)
    }

    /// The thread that has this id now; an id whose thread has ended is that of a new one.
    fn thread(&mut self, alive: &mut BTreeMap<u64, usize>, tid: u64) -> usize {
        let known = alive.get(&tid).copied();
        let known = known.filter(|index| self.threads.get(*index).is_some_and(|it| !it.ended));
        known.unwrap_or_else(|| {
            self.threads.push(Thread {
                tid,
                ..Thread::default()
            });
            let index = self.threads.len() - 1;
            alive.insert(tid, index);
            index
        })
    }
}

impl Thread {
    fn add(&mut self, at: usize, text: &str) {
        match Line::parse(text) {
            Line::Begun(begun) => self.begun = Some(begun.to_owned()),
            Line::Resumed(name, rest) => {
                let begun = self.begun.take();
                let text =
                    begun.map_or_else(|| format!("{name}({rest}"), |begun| join(&begun, rest));
                self.call(at, text);
            }
            Line::Whole(event) => {
                self.ended |= matches!(event, Event::End(_));
                self.entries.push(Entry {
                    at,
                    text: squeeze(text),
                    event,
                });
            }
            Line::Other => {}
        }
    }

    fn call(&mut self, at: usize, text: String) {
        if let Some(call) = line::call(&text) {
            self.entries.push(Entry {
                at,
                text: squeeze(&text),
                event: Event::Call(call),
            });
        }
    }

    /// A call that never returned is its thread's last, before its end.
    fn finish(&mut self) {
        let Some(begun) = self.begun.take() else {
            return;
        };
        let text = format!("{begun} <unfinished ...>");
        let Some(call) = line::call(&text) else {
            return;
        };
        let last = self
            .entries
            .pop_if(|last| matches!(last.event, Event::End(_)));
        let at = last.as_ref().map_or(usize::MAX, |last| last.at);
        self.entries.push(Entry {
            at,
            text,
            event: Event::Call(call),
        });
        self.entries.extend(last);
    }
}

/// The halves of a call that slept.
fn join(begun: &str, rest: &str) -> String {
    let gap = if begun.ends_with(',') { " " } else { "" };
    format!("{begun}{gap}{}", rest.trim_start())
}

/// Without the blanks that align results.
fn squeeze(text: &str) -> String {
    let text = text.trim();
    let Some((call, result)) = text.rsplit_once(" = ") else {
        return text.to_owned();
    };
    format!("{} = {result}", call.trim_end())
}

impl Writer {
    /// The thread's id and the text behind it.
    fn split(self, line: &str) -> Option<(u64, &str)> {
        match self {
            Self::Strace => {
                let (tid, text) = line.trim_start().split_once(' ')?;
                Some((tid.parse().ok()?, text))
            }
            Self::Sandbox => {
                let (_, rest) = line.split_once("] [pid ")?;
                let (tid, text) = rest.split_once("] ")?;
                Some((tid.trim().parse().ok()?, without_time(text)))
            }
        }
    }
}

/// Without the time that a call took.
fn without_time(text: &str) -> &str {
    let is_time = |time: &str| {
        time.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let split = text
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once(" <"));
    match split {
        Some((call, time)) if is_time(time) => call,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{Trace, Writer};
    use crate::repro::line::Event;
    use proptest::prelude::{any, proptest};

    /// What strace 6.1 wrote of `bash -c 'sleep 0 & wait'`, shortened.
    const HOST: &str = "\
12590 clone(child_stack=NULL, flags=SIGCHLD) = 12643
12590 wait4(-1,  <unfinished ...>
12643 exit_group(0)                     = ?
12643 +++ exited with 0 +++
12590 <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 12643
12590 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=12643, si_uid=0, si_status=0, si_utime=0, si_stime=0} ---
12590 pause( <unfinished ...>
12590 +++ exited with 0 +++
12643 getpid() = 12643
strace: this is no call
";

    #[test]
    fn threads_of_strace() {
        let trace = Trace::read(Writer::Strace, HOST);
        let texts = |index: usize| -> Vec<&str> {
            let entries = &trace.threads[index].entries;
            entries.iter().map(|entry| entry.text.as_str()).collect()
        };
        assert!(!trace.is_whole());
        assert_eq!(trace.threads.len(), 3, "the id 12643 was given twice");
        assert_eq!(
            texts(0)[1],
            "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 12643"
        );
        assert_eq!(texts(0)[3], "pause( <unfinished ...>");
        assert_eq!(texts(0)[4], "+++ exited with 0 +++");
        assert_eq!(texts(1), ["exit_group(0) = ?", "+++ exited with 0 +++"]);
        assert!(
            matches!(&trace.threads[0].entries[2].event, Event::Signal(name) if name == "SIGCHLD")
        );
    }

    #[test]
    fn threads_of_the_sandbox() {
        let log = "\
I1129 11:20:00.1 7 line.rs:13] [pid     1] execve(\"sh\", [\"sh\"], /* 3 vars */) = ?
I1129 11:20:00.1 7 boot.rs:13] something else
I1129 11:20:00.1 7 line.rs:13] [pid     1] read(3, <unfinished ...>
I1129 11:20:00.1 7 line.rs:13] [pid     2] brk(NULL) = 0x1000 <0.000012>
I1129 11:20:00.1 7 line.rs:13] [pid     1] <... read resumed>\"<1>\", 5) = 3 <0.100012>
";
        let trace = Trace::read(Writer::Sandbox, log);
        assert_eq!(trace.threads.len(), 2);
        assert_eq!(trace.threads[0].entries[1].text, "read(3, \"<1>\", 5) = 3");
        assert_eq!(trace.threads[1].entries[0].text, "brk(NULL) = 0x1000");
    }

    proptest! {
        #[test]
        fn any_bytes_are_some_trace(bytes in any::<Vec<u8>>()) {
            let text = String::from_utf8_lossy(&bytes);
            Trace::read(Writer::Strace, &text);
            Trace::read(Writer::Sandbox, &text);
        }

        #[test]
        fn pieces_of_lines_in_any_order(picks in proptest::collection::vec((0_usize..9, 0_usize..120), 0..40)) {
            let lines: Vec<&str> = HOST.lines().collect();
            let piece = |(line, end): &(usize, usize)| {
                let line = lines[*line];
                line.get(..*end).unwrap_or(line).to_owned()
            };
            let text: Vec<String> = picks.iter().map(piece).collect();
            Trace::read(Writer::Strace, &text.join("\n"));
        }
    }
}
