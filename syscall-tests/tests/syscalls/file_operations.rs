//! Random file operations come out the same in the sandbox as on the host, on the same files, however few of them the
//! gofer and the Sentry keep open.
//!
//! `FILE_OPERATIONS` says how many (3,000 in ordinary runs), `FILE_OPERATIONS_SEED` which.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fixtures::build::{self, Linkage};
use fixtures::bundle::Bundle;
use fixtures::command::{self, Output};
use fixtures::container::Container;
use fixtures::files::Files;
use fixtures::runtime::Runtime;

const GUEST: &str = "syscall-tests";
/// Runs the runtime with few descriptors: the gofer keeps 153 files open out of the soft limit, the Sentry an eighth of the
/// hard one, and both keep what the guest holds besides, so that the others are given up all the time.
const FEW_DESCRIPTORS: &str = r#"ulimit -S -n 256 && ulimit -H -n 512 && exec "$@""#;
/// For 200,000 operations with a debug build on a busy machine.
const LIMIT: Duration = Duration::from_secs(3600);

fn from_environment(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(otherwise, |text| text.parse().unwrap())
}

fn same_as_on_the_host(files: Files) {
    let program = build::guest("syscall-tests", Linkage::StaticPie).unwrap();
    let runtime = Runtime::under_test().unwrap();
    let (host, sandbox) = (
        on_host(files, &program),
        in_sandbox(files, &program, runtime),
    );
    assert!(host.code == 0, "{host:?}");
    assert!(
        sandbox.code == 0,
        "{files:?}: {} {}\n{}",
        sandbox.code,
        sandbox.stderr,
        last_lines(&sandbox.stdout)
    );
    let differences = differences(&host.stdout, &sandbox.stdout);
    assert!(differences.is_empty(), "{files:?}:\n{differences}");
}

fn arguments(dir: &str) -> Vec<String> {
    let count = from_environment("FILE_OPERATIONS", 3000);
    let seed = from_environment("FILE_OPERATIONS_SEED", 1);
    let words = ["helper", "files", &seed.to_string(), &count.to_string()];
    let words = words.into_iter().chain([dir, "log"]);
    words.map(str::to_owned).collect()
}

fn on_host(files: Files, program: &Path) -> Output {
    let bundle = bundle(files, program);
    let dir = files.tmp_on_host(&bundle).unwrap();
    let mut helper = Command::new(program);
    helper.args(arguments(&dir.display().to_string()));
    command::run(&mut helper, LIMIT).unwrap()
}

fn in_sandbox(files: Files, program: &Path, runtime: Runtime) -> Output {
    let guest = format!("/{GUEST}");
    let words = arguments("/tmp");
    let args: Vec<&str> = [guest.as_str()]
        .into_iter()
        .chain(words.iter().map(String::as_str))
        .collect();
    let container = Container::of(runtime, bundle(files, program).args(&args)).unwrap();
    let run = container.run_command(&[]);
    let mut few = Command::new("sh");
    few.args(["-c", FEW_DESCRIPTORS, "sh"])
        .arg(run.get_program())
        .args(run.get_args());
    command::run(&mut few, LIMIT).unwrap()
}

/// A bundle whose files are prepared: in the lower layer, if there are layers, so that they are copied up when they are
/// changed.
fn bundle(files: Files, program: &Path) -> Bundle {
    let bundle = files
        .bundle(|root| {
            build::install(program, root, GUEST)?;
            prepare(&root.join("tmp"));
            Ok(())
        })
        .unwrap();
    let dir = files.tmp_on_host(&bundle).unwrap();
    if !dir.join("p0").exists() {
        prepare(&dir);
    }
    bundle
}

/// A directory for each process, with the directories that it works in, and a few files, links and symbolic links in each.
fn prepare(dir: &Path) {
    for process in 0..4 {
        let root = dir.join(format!("p{process}"));
        for outer in 0..4 {
            for inner in 0..2 {
                let inner = root.join(format!("d{outer}/s{inner}"));
                fs::create_dir_all(&inner).unwrap();
                fill(&inner, outer);
            }
            fill(&root.join(format!("d{outer}")), outer);
        }
        fill(&root, 4);
        let (from, to) = ("d0/n0", "d1/s0/n6");
        fs::hard_link(root.join(from), root.join(to)).unwrap();
    }
}

fn fill(dir: &Path, salt: usize) {
    for number in 0..3_usize {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(number * 3000 + salt).collect();
        fs::write(dir.join(format!("n{number}")), bytes).unwrap();
    }
    fs::hard_link(dir.join("n2"), dir.join("n3")).unwrap();
    fs::hard_link(dir.join("n2"), dir.join("n4")).unwrap();
    symlink("n1", dir.join("n5")).unwrap();
}

/// The first difference of each process, with the lines before it.
fn differences(host: &str, sandbox: &str) -> String {
    let (host, sandbox) = (by_process(host), by_process(sandbox));
    let mut text = String::new();
    for (process, lines) in &host {
        let others = sandbox.get(process).map_or(&[][..], Vec::as_slice);
        let at = lines.iter().zip(others).position(|(a, b)| a != b);
        let at = at.unwrap_or_else(|| lines.len().min(others.len()));
        if at < lines.len() || at < others.len() {
            let before = lines[at.saturating_sub(12)..at].join("\n  ");
            let (here, there) = (lines.get(at), others.get(at));
            text += &format!("  {before}\n  host:    {here:?}\n  sandbox: {there:?}\n");
        }
    }
    if host.is_empty() {
        text += "no process printed anything";
    }
    text
}

/// The lines of each process, in order; a line begins with the process's name.
fn by_process(output: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut processes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in output.lines() {
        let (process, _) = line.split_once(' ').unwrap_or((line, ""));
        processes.entry(process).or_default().push(line);
    }
    processes
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[test]
fn on_a_plain_root() {
    same_as_on_the_host(Files::Plain);
}

#[test]
fn on_an_overlayfs() {
    same_as_on_the_host(Files::Overlay);
}

#[test]
fn on_an_overlayfs_across_file_systems() {
    same_as_on_the_host(Files::OverlayAcross);
}

#[test]
fn on_a_tmpfs_of_the_host() {
    same_as_on_the_host(Files::HostTmpfs);
}
