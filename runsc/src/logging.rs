//! The log: glog's text form and JSON lines, to one or two places.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use container::clock::{self, Moment};
use control::LogConfig;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::config::{Config, LogFormat};
use crate::printable::{json_string, printable};

/// Target of the lines with which a command begins: they go to debug logs only.
pub(crate) const STARTUP: &str = "startup";

/// Target of a command's last error: said on standard error in plain words, so not logged there too.
pub(crate) const FINAL: &str = "final";

/// One place that lines go to.
#[derive(Debug)]
struct Sink {
    file: File,
    format: LogFormat,
    level: Level,
    startup: bool,
    stderr: bool,
    /// Takes events of this target alone.
    only: Option<&'static str>,
}

impl Sink {
    fn takes(&self, metadata: &Metadata<'_>) -> bool {
        let left_out = match metadata.target() {
            STARTUP => !self.startup,
            FINAL => self.stderr,
            _ => false,
        };
        let wanted = self.only.is_none_or(|target| target == metadata.target());
        *metadata.level() <= self.level && wanted && !left_out
    }
}

/// Everything a process logs goes through this.
#[derive(Debug)]
struct Emitter {
    sinks: Vec<Sink>,
    pid: u32,
}

/// One line to be written.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    level: Level,
    at: Moment,
    pid: u32,
    file: &'a str,
    line: u32,
    message: &'a str,
}

/// Sets up the log of a command.
pub(crate) fn init(config: &Config, command: &str, id: &str) -> Result<()> {
    let debug = config.settings.debug;
    let (file, quiet) = match &config.log {
        Some(path) => (open(path)?, Level::INFO),
        None => (stderr()?, Level::WARN),
    };
    let level = if debug { Level::DEBUG } else { quiet };
    let mut sinks = vec![Sink {
        file,
        format: config.log_format,
        level,
        startup: false,
        stderr: config.log.is_none(),
        only: None,
    }];
    if let Some(log) = &config.settings.debug_log {
        let file = log.open(command, id, &clock::now())?;
        sinks.push(Sink {
            file,
            format: LogFormat::Text,
            level: Level::DEBUG,
            startup: true,
            stderr: false,
            only: None,
        });
    }
    install(sinks);
    Ok(())
}

/// Sets up the log of a child process.
pub(crate) fn init_child(config: &LogConfig) {
    let level = if config.debug {
        Level::DEBUG
    } else {
        Level::INFO
    };
    let file = config.fd.and_then(|fd| duplicate(fd).ok());
    let user = config.user.and_then(|fd| duplicate(fd).ok());
    let sink = |file, only: Option<&'static str>| Sink {
        file,
        format: LogFormat::Text,
        level: only.map_or(level, |_| Level::INFO),
        startup: true,
        stderr: false,
        only,
    };
    let file = file.map(|file| sink(file, None));
    let user = user.map(|file| sink(file, Some(sandbox::USER_LOG)));
    install(file.into_iter().chain(user).collect());
}

/// The descriptor stays open under its number too: the SIGSYS handler writes to it.
fn duplicate(fd: i32) -> Result<File> {
    let fd: OwnedFd = host::spawn::take_donated(fd)?;
    let copy = fd.try_clone()?;
    let _kept_open = std::os::fd::IntoRawFd::into_raw_fd(fd);
    Ok(copy.into())
}

fn install(sinks: Vec<Sink>) {
    let emitter = Emitter {
        sinks,
        pid: std::process::id(),
    };
    // Set once per process, at its start; a second time would change nothing.
    let _ = tracing::subscriber::set_global_default(emitter);
    std::panic::set_hook(Box::new(|panic| {
        let trace = std::backtrace::Backtrace::force_capture();
        tracing::error!("panic: {panic}");
        // The filter may not let it be put into names: what is certain was said above.
        for line in trace.to_string().lines() {
            tracing::error!("{line}");
        }
        end_after_panic();
    }));
}

#[expect(
    clippy::exit,
    reason = "a panic in any thread ends the whole process, with its code"
)]
fn end_after_panic() {
    std::process::exit(i32::from(crate::cli::FAILURE));
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o644)
        .open(path)
        .with_context(|| format!("cannot open log file {}", path.display()))
}

fn stderr() -> Result<File> {
    let copy = rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 3)
        .context("standard error is closed")?;
    Ok(File::from(copy))
}

impl Subscriber for Emitter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.sinks.iter().any(|sink| sink.takes(metadata))
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        let level = self.sinks.iter().map(|sink| sink.level).max();
        Some(level.map_or(tracing::level_filters::LevelFilter::OFF, Into::into))
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut message = Message::default();
        event.record(&mut message);
        let line = Line {
            level: *metadata.level(),
            at: clock::now(),
            pid: self.pid,
            file: metadata
                .file()
                .and_then(|f| f.rsplit('/').next())
                .unwrap_or("?"),
            line: metadata.line().unwrap_or(0),
            message: &message.text,
        };
        for sink in &self.sinks {
            if sink.takes(metadata) {
                let text = line.format(sink.format);
                // There is nowhere to report that the log can't be written.
                let _ = (&sink.file).write_all(text.as_bytes());
            }
        }
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

impl Line<'_> {
    fn format(&self, format: LogFormat) -> String {
        match format {
            LogFormat::Text => self.text(),
            LogFormat::Json => self.json(),
        }
    }

    fn text(&self) -> String {
        let letter = match self.level {
            Level::ERROR => 'E',
            Level::WARN => 'W',
            Level::INFO => 'I',
            _ => 'D',
        };
        let Moment {
            month,
            day,
            hour,
            minute,
            second,
            nanosecond,
            ..
        } = self.at;
        let micro = nanosecond / 1000;
        let Line {
            pid, file, line, ..
        } = self;
        let message = printable(self.message);
        format!(
            "{letter}{month:02}{day:02} {hour:02}:{minute:02}:{second:02}.{micro:06} {pid:>7} {file}:{line}] {message}\n"
        )
    }

    fn json(&self) -> String {
        let level = match self.level {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            _ => "debug",
        };
        let (message, time) = (json_string(self.message), json_string(&self.at.rfc3339()));
        format!("{{\"level\":\"{level}\",\"msg\":{message},\"time\":{time}}}\n")
    }
}

/// Collects an event's message and fields.
#[derive(Debug, Default)]
struct Message {
    text: String,
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            let rest = std::mem::take(&mut self.text);
            write!(self.text, "{value:?}{rest}")
        } else {
            write!(self.text, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.text.insert_str(0, value);
        } else {
            let _ = write!(self.text, " {}={value}", field.name());
        }
    }
}

/// Says on standard error why the command failed, in one line.
#[expect(
    clippy::print_stderr,
    reason = "this is the line on standard error that callers read"
)]
pub(crate) fn complain(reason: &str) {
    let line = reason.replace('\n', " ");
    eprintln!("runsc: {}", printable(&line));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use container::clock::split;
    use tracing::Level;

    use super::{Line, LogFormat};

    #[test]
    fn lines_have_the_forms_that_callers_parse() {
        let line = Line {
            level: Level::ERROR,
            at: split(Duration::new(1_732_363_578, 39_272_001)),
            pid: 1016,
            file: "create.rs",
            line: 64,
            message: "a \"quoted\"\nmessage",
        };
        let info = Line {
            level: Level::INFO,
            message: "plain",
            ..line
        };
        let text = [line, info]
            .map(|l| l.format(LogFormat::Text) + &l.format(LogFormat::Json))
            .concat();
        insta::assert_snapshot!(text);
    }
}
