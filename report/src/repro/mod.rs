//! The first call whose result differs: a program under strace(1) on the host kernel, and in the sandbox with its own
//! trace, on every platform.
//!
//! [`recording`] runs the program; [`trace`], [`line`](mod@line) and [`value`] read both kinds of trace; [`session`] pairs
//! threads, [`align`] their calls, and [`outcome`] and [`values`] compare the calls by the table of [`rules`]. [`text`]
//! shows what was found, and JSON is its serialised form.

mod align;
mod calls;
mod line;
mod outcome;
mod pairs;
mod recording;
mod rules;
mod session;
mod support;
mod text;
mod trace;
mod value;
mod values;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use clap::{Args, ValueEnum};
use fixtures::runtime::{Kind, Runtime};
use serde::Serialize;

use crate::repro::recording::{Recording, Subject};
use crate::repro::session::{Rules, Session};
use crate::repro::support::Table;

/// What varies from run to run on the host itself.
const VARIES: &str = "it differs between two runs on the host too";

/// What to run and what to write.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only on this platform; on every one that works here if not given.
    #[arg(long, value_name = "NAME")]
    platform: Vec<String>,
    /// How often to run it on the host: what differs between those runs is no fault of the sandbox.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10))]
    runs: u32,
    /// How many calls to show before and after the one that differs.
    #[arg(long, value_name = "LINES", default_value_t = 4)]
    context: usize,
    /// Only differences in these calls, with commas between.
    #[arg(long, value_name = "CALLS", value_delimiter = ',')]
    syscalls: Vec<String>,
    /// No differences in these calls.
    #[arg(long, value_name = "CALLS", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Differences that are known count too.
    #[arg(long)]
    known: bool,
    /// How long a run may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    limit: u64,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where to write it; standard output if not given.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A behaviour test, in place of a program.
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "program",
        conflicts_with = "program"
    )]
    test: Option<String>,
    /// The program and its arguments. It runs on the host for real.
    #[arg(
        value_name = "PROGRAM",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    program: Vec<String>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// The first difference with the lines around it, for people.
    Text,
    /// Everything.
    Json,
}

/// What differs in each place.
#[derive(Debug, Serialize)]
struct Report {
    places: Vec<PlaceReport>,
}

/// What differs in one place.
#[derive(Debug, Serialize)]
struct PlaceReport {
    /// The place: `runsc-ptrace`.
    name: String,
    /// The calls.
    session: Session,
    /// How it ended and what it printed, where that differs.
    ends: Vec<End>,
    /// Whether something differs that is not known.
    differs: bool,
}

/// Something else than a call that differs.
#[derive(Debug, Serialize)]
struct End {
    /// What: `exit code`.
    what: String,
    /// How: a line, or a difference line by line.
    how: String,
    /// Why it is no fault, if it is known.
    known: Option<String>,
}

/// Runs the program everywhere and writes the report; the exit code is 1 if something differs that is not known, and 2
/// if it could not run.
pub(crate) fn run(options: &Options) -> ExitCode {
    match report(options) {
        Ok(differs) => ExitCode::from(u8::from(differs)),
        Err(error) => {
            crate::say(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn report(options: &Options) -> anyhow::Result<bool> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let report = Runs::record(options, since.as_secs())?.report()?;
    let text = match options.format {
        Format::Text => text::render(&report, options.known),
        Format::Json => format!("{:#}\n", serde_json::to_value(&report)?),
    };
    crate::deliver(&text, options.output.as_deref())?;
    Ok(report.places.iter().any(|place| place.differs))
}

/// Everything that was run.
struct Runs<'a> {
    options: &'a Options,
    /// When the first run began, in seconds since 1970.
    since: u64,
    sandboxes: Vec<(Recording, Runtime)>,
    host: Recording,
    /// The other runs on the host.
    others: Vec<Recording>,
}

impl<'a> Runs<'a> {
    fn record(options: &'a Options, since: u64) -> anyhow::Result<Self> {
        let subject = match &options.test {
            Some(name) => Subject::test(name)?,
            None => Subject::Program(options.program.clone()),
        };
        let limit = Duration::from_secs(options.limit);
        // First in the sandboxes: what they write to the host's files is gone with them.
        let in_sandbox = |runtime| Ok((subject.in_sandbox(&runtime, limit)?, runtime));
        let sandboxes = runtimes(&options.platform)?.into_iter().map(in_sandbox);
        Ok(Self {
            options,
            since,
            sandboxes: sandboxes.collect::<anyhow::Result<_>>()?,
            host: subject.on_host(limit)?,
            others: (1..options.runs)
                .map(|_| subject.on_host(limit))
                .collect::<anyhow::Result<_>>()?,
        })
    }

    fn report(&self) -> anyhow::Result<Report> {
        let others = self
            .others
            .iter()
            .flat_map(|it| self.compare(it).differences);
        let varying: HashSet<usize> = others.map(|difference| difference.at).collect();
        let places = self.sandboxes.iter();
        let places = places.map(|(recording, runtime)| self.place(recording, runtime, &varying));
        Ok(Report {
            places: places.collect::<anyhow::Result<_>>()?,
        })
    }

    fn compare(&self, sandbox: &Recording) -> Session {
        let rules = Rules {
            since: self.since,
            context: self.options.context,
            only: &self.options.syscalls,
            ignored: &self.options.ignore,
            hung: self.host.code.is_some() && sandbox.code.is_none(),
        };
        session::compare(&self.host.trace, &sandbox.trace, &rules)
    }

    fn place(
        &self,
        recording: &Recording,
        runtime: &Runtime,
        varying: &HashSet<usize>,
    ) -> anyhow::Result<PlaceReport> {
        let table = Table::of(&runtime.program)?;
        let mut session = self.compare(recording);
        explain(&mut session, &table, varying);
        let ends = ends(&self.host, &self.others, recording);
        let known = session.differences.iter().map(|it| &it.known);
        let mut known = known.chain(ends.iter().map(|it| &it.known));
        Ok(PlaceReport {
            name: runtime.name(),
            differs: known.any(|known| self.options.known || known.is_none()),
            session,
            ends,
        })
    }
}

/// The runtime under test on the platforms that are asked for.
fn runtimes(platforms: &[String]) -> anyhow::Result<Vec<Runtime>> {
    let all = Runtime::matrix()?;
    if let Some(other) = all.iter().find(|runtime| runtime.kind != Kind::Runsc) {
        bail!("{} has no trace that can be compared", other.name());
    }
    let works = |name: &String| all.iter().any(|it| it.platform.as_ref() == Some(name));
    if let Some(missing) = platforms.iter().find(|name| !works(name)) {
        bail!("platform {missing:?} is not one that works here");
    }
    let is_wanted = |runtime: &Runtime| {
        let platform = runtime.platform.iter();
        platforms.is_empty() || platform.into_iter().any(|name| platforms.contains(name))
    };
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// Says of each difference what is known about it.
fn explain(session: &mut Session, table: &Table, varying: &HashSet<usize>) {
    for difference in &mut session.differences {
        let refused = difference
            .error
            .as_deref()
            .and_then(|error| table.refusal(&difference.call, error));
        let varies = varying.contains(&difference.at).then_some(VARIES);
        let known = difference.known.take();
        difference.known = known.or(refused.or(varies).map(str::to_owned));
        difference.support = table.remark(&difference.call).map(str::to_owned);
    }
}

/// Where exit codes and output differ.
fn ends(host: &Recording, others: &[Recording], sandbox: &Recording) -> Vec<End> {
    let mut ends = Vec::new();
    let mut end = |what: &str, how: String, varies: bool| {
        ends.push(End {
            what: what.to_owned(),
            how,
            known: varies.then(|| VARIES.to_owned()),
        });
    };
    if host.code != sandbox.code {
        let code =
            |code: Option<i32>| code.map_or("none in time".to_owned(), |code| code.to_string());
        let how = format!(
            "{} on the host, {} in the sandbox",
            code(host.code),
            code(sandbox.code)
        );
        end(
            "exit code",
            how,
            others.iter().any(|it| it.code != host.code),
        );
    }
    let mut output = |what: &str, of: fn(&Recording) -> &str| {
        if of(host) != of(sandbox) {
            let varies = others.iter().any(|it| of(it) != of(host));
            end(what, text::changes(of(host), of(sandbox)), varies);
        }
    };
    output("standard output", |it| &it.stdout);
    output("standard error", |it| &it.stderr);
    ends
}
