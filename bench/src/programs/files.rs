//! What the programs work on, the same in every run.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use fixtures::command;

use crate::effort::Work;

/// The size of an unpacked file.
const FILE: usize = 4096;
/// How many functions the C file has.
const NR_FUNCTIONS: u32 = 40;

/// Makes `text`, `tree.tar` and `work.c` in a directory.
///
/// # Errors
/// A file operation failed.
pub(super) fn make(dir: &Path, work: &Work) -> anyhow::Result<()> {
    let text = text(usize::try_from(work.text_mib)? << 20);
    fs::write(dir.join("text"), &text)?;
    fs::write(dir.join("work.c"), c_source())?;
    archive(dir, &text, work.nr_files)
}

/// Lines of words that look like text.
fn text(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut text = Vec::with_capacity(len);
    while text.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let letters = state.to_le_bytes();
        let word = letters.iter().map(|letter| b'a' + letter % 26);
        text.extend(word);
        text.push(if state.is_multiple_of(8) { b'\n' } else { b' ' });
    }
    text.truncate(len);
    text
}

/// A C file that takes the compiler some work.
fn c_source() -> String {
    let mut source = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n".to_owned();
    for index in 0..NR_FUNCTIONS {
        // Writing to a string can't fail.
        let _ = writeln!(
            source,
            "int f{index}(const char *s, int n) {{ int i, sum = {index}; for (i = 0; i < n && s[i]; i++) \
             sum = sum * 31 + s[i]; if (sum % 7 == {index} % 7) printf(\"%d %s\\n\", sum, s); \
             return sum ^ (int)strlen(s); }}"
        );
    }
    source
}

/// An archive of a tree of files, ten in a directory.
fn archive(dir: &Path, text: &[u8], nr_files: u32) -> anyhow::Result<()> {
    let tree = tempfile::tempdir().context("make a directory")?;
    for index in 0..nr_files {
        let folder = tree.path().join(format!("tree/{}", index / 10));
        fs::create_dir_all(&folder)?;
        fs::write(
            folder.join(index.to_string()),
            text.get(..FILE).unwrap_or(text),
        )?;
    }
    let mut tar = Command::new("busybox");
    tar.args(["tar", "-cf"]).arg(dir.join("tree.tar"));
    tar.arg("-C").arg(tree.path()).arg("tree");
    command::run(&mut tar, Duration::from_secs(60))?.success()?;
    Ok(())
}
