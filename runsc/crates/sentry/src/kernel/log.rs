//! [`KernelLog`]: what the kernel says (`man 2 syslog`), read with `dmesg`.

use std::collections::VecDeque;
use std::fmt::Write as _;

use locks::Mutex;

use crate::kernel::KernelConfig;
use crate::kernel::version;
use crate::time::Clock;

/// How much is kept, in bytes: what Linux keeps by default on small machines (`LOG_BUF_SHIFT` 17).
const CAPACITY: usize = 128 << 10;

/// Levels of messages, as `man 2 syslog` numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `KERN_ERR`
    Error = 3,
    /// `KERN_WARNING`
    Warning = 4,
    /// `KERN_INFO`
    Info = 6,
}

/// The newest lines, each with its level and time.
#[derive(Debug, Default)]
pub struct KernelLog {
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<String>,
    /// Bytes of all of them.
    len: usize,
}

impl KernelLog {
    /// Adds a line; the oldest ones go if there are too many.
    pub fn say(&self, clock: &Clock, level: Level, text: &str) {
        self.add(clock.monotonic_ns(), level, text);
    }

    fn add(&self, now_ns: u64, level: Level, text: &str) {
        let (seconds, micros) = (now_ns / 1_000_000_000, now_ns / 1000 % 1_000_000);
        let line = format!("<{}>[{seconds:5}.{micros:06}] {text}\n", level as u8);
        let mut lines = self.lines.lock();
        lines.len += line.len();
        lines.lines.push_back(line);
        while lines.len > CAPACITY {
            let Some(oldest) = lines.lines.pop_front() else {
                break;
            };
            lines.len -= oldest.len();
        }
    }

    /// All of it, as `syslog(2)` hands it out.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let lines = self.lines.lock();
        let mut text = String::with_capacity(lines.len);
        for line in &lines.lines {
            let _ = write!(text, "{line}");
        }
        text.into_bytes()
    }
}

/// What a kernel says at its start.
pub(super) fn greet(log: &KernelLog, config: &KernelConfig) {
    for line in [
        version::line(),
        format!("Memory: {}K available", config.total_memory / 1024),
        format!("smp: Brought up 1 node, {} CPUs", config.processors.max(1)),
        format!("platform: {}", config.platform.name()),
    ] {
        log.add(0, Level::Info, &line);
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, KernelLog, Level};

    #[test]
    fn lines_have_level_and_time() {
        let log = KernelLog::default();
        log.add(12_345_678_901, Level::Error, "out of memory");
        assert_eq!(log.text(), b"<3>[   12.345678] out of memory\n");
    }

    #[test]
    fn the_oldest_lines_go_first() {
        let log = KernelLog::default();
        for number in 0..10_000 {
            log.add(0, Level::Info, &format!("line {number}"));
        }
        let text = String::from_utf8(log.text()).unwrap();
        assert!(text.len() <= CAPACITY);
        assert!(!text.contains("line 1\n"));
        assert!(text.ends_with("line 9999\n"));
    }
}
