//! Words are spelled as dictionaries have them, as far as codespell knows common slips.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::Break;
use crate::source::tracked;

/// Words that are no slips here: names of Linux and of programs.
const WORDS: &str = include_str!("spelling.words");

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<Break>> {
    let files = tracked(root, &["*.rs", "*.md", "*.toml", "*.sh", "scripts/*"])?;
    let mine = [file!(), "rules/src/spelling.words"];
    let files: Vec<String> = files
        .into_iter()
        .filter(|file| !mine.contains(&file.as_str()))
        .collect();
    of(root, &files)
}

fn of(root: &Path, files: &[String]) -> anyhow::Result<Vec<Break>> {
    let words: Vec<&str> = WORDS.lines().collect();
    let output = Command::new("codespell")
        .args(["--ignore-words-list", &words.join(",")])
        .args(files)
        .current_dir(root)
        .output()
        .context("run codespell (scripts/setup installs it)")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter_map(|line| {
        let (place, slip) = line.split_once(": ")?;
        Some(Break::new(place, format!("spelling: {slip}")))
    });
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn slips_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let text = "It recieves nothing.\nAll is well.\n";
        std::fs::write(directory.path().join("a.md"), text).unwrap();
        let breaks = of(directory.path(), &["a.md".to_owned()]).unwrap();
        assert_eq!(breaks.len(), 1, "{breaks:?}");
        assert_eq!(breaks[0].place, "a.md:1");
    }
}
