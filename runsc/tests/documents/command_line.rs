//! Command lines of the documents, beside the programs that they call.

use std::fs;
use std::path::{Path, PathBuf};

use crate::help::{Flags, Runsc};
use crate::markdown::scripts;

/// The programs whose flags are known.
#[derive(Debug)]
pub(crate) struct Programs<'a> {
    workspace: &'a Path,
    pub(crate) runsc: Runsc,
}

/// What a package or a script is made of.
type Sources = Vec<String>;

impl<'a> Programs<'a> {
    pub(crate) fn new(workspace: &'a Path, runsc: &str) -> Programs<'a> {
        Programs {
            workspace,
            runsc: Runsc::new(runsc),
        }
    }

    /// What is wrong with a line of commands.
    pub(crate) fn check(&self, line: &str) -> Vec<String> {
        let line = line.split(" #").next().unwrap_or(line);
        let commands = line.split(['|', ';', '&', '(', ')']);
        let wrong = commands.filter_map(|command| {
            let words: Vec<&str> = command.split_whitespace().collect();
            let what = self.check_one(without_prefix(&words))?;
            Some(format!("{what}: {}", command.trim()))
        });
        wrong.collect()
    }

    /// The same of a flag that stands alone: it is one of `runsc`, or of a script or package that its paragraph runs.
    pub(crate) fn check_alone(&self, paragraph: &str, flag: &str) -> Option<String> {
        let packages = paragraph.split(" -p ").skip(1);
        let packages = packages.filter_map(|rest| rest.split([' ', '`']).next());
        let packages = packages.map(|name| self.package(name));
        let scripts = scripts(paragraph).map(|path| self.script(path));
        let is_theirs = packages
            .chain(scripts)
            .any(|sources| unknown(&[flag], &sources).is_none());
        let is_known = is_theirs || self.runsc.has_anywhere(flag);
        (!is_known).then(|| format!("no program that is named beside it has {flag}"))
    }

    fn check_one(&self, words: &[&str]) -> Option<String> {
        let (&program, rest) = words.split_first()?;
        if program == "runsc" || program.ends_with("/runsc") {
            return self.check_runsc(rest);
        }
        if program.starts_with("scripts/") {
            return unknown(rest, &self.script(program));
        }
        if program == "cargo" && rest.first() == Some(&"run") {
            let package = rest
                .iter()
                .skip_while(|word| !matches!(**word, "-p" | "--package"))
                .nth(1);
            let mut given = rest.split(|word| *word == "--").skip(1);
            let given = given.next().unwrap_or_default();
            return match package {
                None => self.check_runsc(given),
                Some(package) => unknown(given, &self.package(package)),
            };
        }
        None
    }

    fn check_runsc(&self, words: &[&str]) -> Option<String> {
        let rest = match after_flags(words, &self.runsc.global) {
            Ok(rest) => rest,
            Err(flag) => return Some(format!("no global flag {flag}")),
        };
        let (&name, rest) = rest.split_first()?;
        if is_placeholder(name) {
            return None;
        }
        let Some(flags) = self.runsc.subcommands.get(name) else {
            return Some(format!("no subcommand {name}"));
        };
        if name == "help" {
            return None;
        }
        match after_flags(rest, flags) {
            Ok(["--", given @ ..]) if name == "install" => {
                let global = after_flags(given, &self.runsc.global);
                global.err().map(|flag| format!("no global flag {flag}"))
            }
            Ok(_) => None,
            Err(flag) => Some(format!("{name} has no flag {flag}")),
        }
    }

    /// The script and, if it runs one, the package.
    fn script(&self, path: &str) -> Sources {
        // That it is there is another test's business.
        let text = fs::read_to_string(self.workspace.join(path)).unwrap_or_default();
        let package = text
            .split("--package ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next());
        let mut sources = package.map_or_else(Vec::new, |package| self.package(package));
        sources.push(text);
        sources
    }

    fn package(&self, name: &str) -> Sources {
        let places = ["", "runsc/crates"].map(|at| self.workspace.join(at).join(name));
        let mut paths: Vec<PathBuf> = Vec::new();
        for place in places.iter().filter(|place| place.exists()) {
            crate::files(place, &mut paths);
        }
        paths.retain(|path| path.extension().is_some_and(|end| end == "rs"));
        let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap());
        texts.collect()
    }
}

/// Without `sudo`, variables, and a prompt.
fn without_prefix<'a, 'b>(words: &'a [&'b str]) -> &'a [&'b str] {
    let is_prefix = |word: &&&str| matches!(**word, "sudo" | "$" | "time") || word.contains('=');
    &words[words.iter().take_while(is_prefix).count()..]
}

/// `SUBCOMMAND`, `…`, `[global`: what stands for something.
fn is_placeholder(word: &str) -> bool {
    !word.starts_with(|c: char| c.is_ascii_lowercase())
}

/// What follows the flags.
fn after_flags<'a, 'b>(words: &'a [&'b str], flags: &Flags) -> Result<&'a [&'b str], &'b str> {
    let mut rest = words;
    while let Some((&word, more)) = rest.split_first() {
        if !word.starts_with('-') || word == "--" {
            break;
        }
        let name = word
            .split('=')
            .next()
            .unwrap_or(word)
            .trim_start_matches('-');
        let takes_value = *flags.get(name).ok_or(word)?;
        let nr_values = usize::from(takes_value && !word.contains('='));
        rest = more.get(nr_values..).unwrap_or_default();
    }
    Ok(rest)
}

/// The first flag that is nowhere in the sources: neither literally nor as a field that clap makes one of.
fn unknown(words: &[&str], sources: &Sources) -> Option<String> {
    let own = words.iter().take_while(|word| **word != "--");
    let flags = own.filter(|word| word.starts_with("--"));
    let mut names = flags.map(|word| word.split('=').next().unwrap_or(word));
    let missing = names.find(|name| {
        let field = format!(" {}:", name.trim_start_matches('-').replace('-', "_"));
        let has = |text: &String| text.contains(*name) || text.contains(&field);
        !sources.iter().any(has)
    });
    missing.map(|name| format!("no flag {name}"))
}
