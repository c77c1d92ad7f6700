//! All sources are formatted: `cargo fmt` sees only the modules that a `mod` declares, not those that a macro does.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::Break;
use crate::source::Source;

/// How many files one call of rustfmt gets.
const BATCH: usize = 200;

pub(crate) fn check(root: &Path, sources: &[Source]) -> anyhow::Result<Vec<Break>> {
    let mut breaks = Vec::new();
    for batch in sources.chunks(BATCH) {
        let output = Command::new("rustfmt")
            .args(["--edition", "2024", "--check", "--files-with-diff"])
            .args(batch.iter().map(|source| &source.path))
            .current_dir(root)
            .output()
            .context("run rustfmt")?;
        let mut names: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        breaks.extend(names.into_iter().map(|name| {
            let short = Path::new(&name)
                .strip_prefix(root)
                .map(|path| path.display().to_string());
            Break::new(
                short.unwrap_or(name),
                "is not formatted: rustfmt --edition 2024 FILE",
            )
        }));
        if !output.status.success() && breaks.is_empty() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            breaks.push(Break::new("rustfmt", text));
        }
    }
    Ok(breaks)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::source::Source;

    #[test]
    fn files_out_of_form_are_found() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [("good.rs", "fn f() {}\n"), ("bad.rs", "fn  f( ){}\n")] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let sources = ["good.rs", "bad.rs"].map(|name| Source::parse(name, "").unwrap());
        let breaks = check(directory.path(), &sources).unwrap();
        let places: Vec<&str> = breaks.iter().map(|found| found.place.as_str()).collect();
        assert_eq!(places, ["bad.rs"]);
    }
}
