//! What is read out of a document: links, headings, code.

use std::fs;
use std::path::{Path, PathBuf};

/// A Markdown file.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its path within the workspace, for messages.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Lines outside of code blocks.
    prose: Vec<String>,
    /// Lines of code blocks in the shell's language, or of a console's input.
    shell: Vec<String>,
}

/// Endings of file names that are the repository's own.
const ENDINGS: [&str; 5] = [".rs", ".md", ".toml", ".sh", ".snap"];

impl Document {
    pub(crate) fn read(workspace: &Path, path: &Path) -> Document {
        let name = path.strip_prefix(workspace).unwrap_or(path);
        let mut document = Document {
            name: name.display().to_string(),
            path: path.to_owned(),
            prose: Vec::new(),
            shell: Vec::new(),
        };
        let mut block = None;
        for line in fs::read_to_string(path).unwrap().lines() {
            match (line.trim_start().strip_prefix("```"), block) {
                (Some(language), None) => block = Some(language == "sh" || language == "console"),
                (Some(_), Some(_)) => block = None,
                (None, Some(true)) => document.shell.push(line.to_owned()),
                (None, Some(false)) => {}
                (None, None) => document.prose.push(line.to_owned()),
            }
        }
        document
    }

    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap()
    }

    /// Targets of links that stay in the repository.
    pub(crate) fn links(&self) -> Vec<String> {
        let text = self.prose.join("\n");
        let targets = text.split("](").skip(1);
        let targets = targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
        let inside = targets.filter(|target| !target.contains("://"));
        inside.map(ToOwned::to_owned).collect()
    }

    /// Whether a heading has this anchor: in lower case, without punctuation, with `-` for blanks.
    pub(crate) fn has_heading(&self, anchor: &str) -> bool {
        let headings = self.prose.iter().filter(|line| line.starts_with('#'));
        let mut anchors = headings.map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|&c| c.is_alphanumeric() || " -_".contains(c));
            kept.map(|c| if c == ' ' { '-' } else { c })
                .collect::<String>()
        });
        anchors.any(|found| found == anchor)
    }

    /// Paths of the repository: those in backticks that look like one, and every script that is named.
    pub(crate) fn paths(&self) -> Vec<String> {
        let spans = self.prose.iter().flat_map(|line| spans(line));
        let text = self.prose.iter().chain(&self.shell);
        let scripts = text.flat_map(|line| scripts(line));
        let paths = spans.filter(|span| is_path(span)).chain(scripts);
        paths.map(ToOwned::to_owned).collect()
    }

    /// Flags that stand alone in backticks, without their values, each with its paragraph.
    pub(crate) fn flags(&self) -> Vec<(&str, &str)> {
        let is_flag = |span: &&str| span.starts_with('-') && !span.contains(' ') && *span != "--";
        let in_line = |line| spans(line).filter(is_flag).map(move |flag| (line, flag));
        self.prose.iter().flat_map(|line| in_line(line)).collect()
    }

    /// What stands in backticks in the first cells of tables.
    pub(crate) fn first_cells(&self) -> Vec<&str> {
        let cells = self
            .prose
            .iter()
            .filter_map(|line| line.strip_prefix("| `"));
        cells.filter_map(|cell| cell.split('`').next()).collect()
    }

    /// Command lines: in blocks, and in backticks.
    pub(crate) fn commands(&self) -> Vec<String> {
        let spans = self.prose.iter().flat_map(|line| spans(line));
        let spans = spans.filter(|span| span.contains(' '));
        let input = |line: &str| line.strip_prefix("$ ").unwrap_or(line).to_owned();
        let blocks = self.shell.iter().map(String::as_str);
        spans.chain(blocks).map(input).collect()
    }
}

/// What stands in backticks.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The scripts that a text names.
pub(crate) fn scripts(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let words = text.split(move |c| !is_name(c));
    words
        .filter(|word| word.starts_with("scripts/"))
        .map(|word| word.trim_end_matches('.'))
}

fn is_path(span: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let is_own = ENDINGS.iter().any(|ending| span.ends_with(ending));
    let begins = span.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
    begins && span.chars().all(plain) && (span.contains('/') || is_own) && !is_made(span)
}

/// What a build or a run makes is not there yet.
fn is_made(span: &str) -> bool {
    let first = span.split('/').next().unwrap_or(span);
    first == "target" || first.ends_with("-results")
}

/// The path up to a component that stands for something: `expectations/PLACE.txt`.
pub(crate) fn certain_part(path: &str) -> PathBuf {
    let is_capital = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    let stands = |part: &&str| *part != "README.md" && part.split(['.', '-']).any(is_capital);
    path.split('/').take_while(|part| !stands(part)).collect()
}

/// The parts of an error's text between what stands for something (`ID`, `"X"`, `…`); too short ones say nothing.
pub(crate) fn fixed_parts(text: &str) -> Vec<String> {
    const SHORTEST: usize = 8;
    let is_mark = |c: char| c.is_ascii_uppercase() || "…\"".contains(c);
    let parts = text
        .split(is_mark)
        .map(|part| part.trim_start_matches("cannot "));
    let telling = parts.filter(|part| part.len() >= SHORTEST);
    telling.map(|part| part.trim().to_owned()).collect()
}
