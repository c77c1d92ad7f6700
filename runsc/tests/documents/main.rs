//! What the documents say, as far as a machine can tell: links lead somewhere, paths and scripts are there, flags are
//! those of the programs that they are given to, and counts are those of the code.

#![expect(clippy::unwrap_used, reason = "a failure is the test's failure")]

mod command_line;
mod help;
mod markdown;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use command_line::Programs;
use markdown::{Document, certain_part};

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every file of the workspace but what is built or hidden.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let is_left_out = name.starts_with('.') || name == "target" || name.ends_with("-results");
        if is_left_out {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

fn all_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(workspace(), &mut found);
    found
}

fn documents() -> Vec<Document> {
    let is_markdown = |path: &PathBuf| path.extension().is_some_and(|end| end == "md");
    let paths = all_files().into_iter().filter(is_markdown);
    paths
        .map(|path| Document::read(workspace(), &path))
        .collect()
}

/// Fails with all that is wrong, a line each.
fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn links_lead_somewhere() {
    let mut problems = Vec::new();
    for document in documents() {
        for link in document.links() {
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.path.clone(),
                path => document.directory().join(path),
            };
            let leads = target.exists()
                && (heading.is_empty()
                    || Document::read(workspace(), &target).has_heading(heading));
            if !leads {
                problems.push(format!("{}: link to {link}", document.name));
            }
        }
    }
    report(&problems);
}

#[test]
fn every_page_is_linked_from_the_readme() {
    let readme = Document::read(workspace(), &workspace().join("README.md"));
    let links = readme.links();
    let pages = fs::read_dir(workspace().join("docs")).unwrap();
    let names = pages.map(|page| format!("docs/{}", page.unwrap().file_name().display()));
    report(
        &names
            .filter(|name| !links.contains(name))
            .map(|name| format!("README.md has no link to {name}"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn paths_are_there() {
    let all = all_files();
    let is_name = |name: &str| {
        all.iter()
            .any(|path| path.file_name().is_some_and(|file| file == name))
    };
    let mut problems = Vec::new();
    for document in documents() {
        for path in document.paths() {
            let certain = certain_part(&path);
            let from = [workspace(), document.directory()];
            let is_there = from.iter().any(|from| from.join(&certain).exists())
                || !path.contains('/') && is_name(&path);
            if !is_there {
                problems.push(format!("{}: no file {path}", document.name));
            }
        }
    }
    report(&problems);
}

#[test]
fn flags_are_those_of_the_programs() {
    let programs = Programs::new(workspace(), env!("CARGO_BIN_EXE_runsc"));
    let mut problems = Vec::new();
    for document in documents() {
        let commands = document.commands();
        let wrong = commands.iter().flat_map(|line| programs.check(line));
        let flags = document.flags().into_iter();
        let unknown = flags.filter_map(|(line, flag)| programs.check_alone(line, flag));
        problems.extend(
            wrong
                .chain(unknown)
                .map(|what| format!("{}: {what}", document.name)),
        );
    }
    report(&problems);
}

/// Rows that the page has to have, word for word.
fn has_rows(page: &str, rows: &[String]) {
    let text = fs::read_to_string(workspace().join("docs").join(page)).unwrap();
    let lacks = |row: &&String| !text.lines().any(|line| line == row.as_str());
    let missing = rows.iter().filter(lacks);
    report(
        &missing
            .map(|row| format!("docs/{page} has no line {row}"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn sizes_of_filters_are_those_of_the_lists() {
    use seccomp::{gofer, oom_victim, sandbox, watcher};
    let row =
        |name, allowed: usize, refused: usize| format!("| `{name}` | {allowed} | {refused} |");
    has_rows(
        "security.md",
        &[
            row("sandbox", sandbox::ENTRIES.len(), sandbox::REFUSALS.len()),
            row("gofer", gofer::ENTRIES.len(), gofer::REFUSALS.len()),
            row("watcher", watcher::ENTRIES.len(), 0),
            row("oom_victim", oom_victim::ENTRIES.len(), 0),
        ],
    );
}

#[test]
fn counts_of_system_calls_are_those_of_the_table() {
    let table = help::ask(env!("CARGO_BIN_EXE_runsc"), &["help", "syscalls"]);
    let mut counts = BTreeMap::new();
    for line in table.lines() {
        if let Some(support) = line.split_whitespace().nth(2) {
            *counts.entry(support.trim_end_matches(':')).or_insert(0) += 1;
        }
    }
    let row = |(support, count)| format!("| `{support}` | {count} |");
    let rows: Vec<String> = counts.into_iter().map(row).collect();
    has_rows("compatibility.md", &rows);
}

#[test]
fn error_texts_are_those_of_the_code() {
    let sources = all_files().into_iter().filter(|path| {
        path.extension().is_some_and(|end| end == "rs")
            && !path.starts_with(workspace().join("runsc/tests"))
    });
    let code: String = sources
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let page = Document::read(workspace(), &workspace().join("docs/errors.md"));
    let texts = page.first_cells();
    assert!(texts.len() > 10, "{texts:?}");
    let parts = texts.iter().flat_map(|text| markdown::fixed_parts(text));
    let unknown = parts.filter(|part| !code.contains(part.as_str()));
    report(
        &unknown
            .map(|part| format!("docs/errors.md: no such text: {part:?}"))
            .collect::<Vec<_>>(),
    );
}
