//! The flags of `runsc`, as its help tells them.

use std::collections::BTreeMap;
use std::process::Command;

/// Flags by name without dashes, and whether a value follows.
pub(crate) type Flags = BTreeMap<String, bool>;

/// All that `runsc` takes.
#[derive(Debug)]
pub(crate) struct Runsc {
    pub(crate) global: Flags,
    pub(crate) subcommands: BTreeMap<String, Flags>,
}

/// What the program prints.
pub(crate) fn ask(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Runsc {
    pub(crate) fn new(program: &str) -> Runsc {
        let overview = ask(program, &["help"]);
        let indented = overview.lines().filter_map(|line| line.strip_prefix("  "));
        let names = indented.filter_map(|line| line.split(' ').next().filter(|n| !n.is_empty()));
        let names = names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase()));
        let flags = |name: &str| (name.to_owned(), flags(&ask(program, &["help", name])));
        Runsc {
            global: self::flags(&ask(program, &["flags"])),
            subcommands: names.map(flags).collect(),
        }
    }

    /// Whether it is a global flag or one of any subcommand.
    pub(crate) fn has_anywhere(&self, flag: &str) -> bool {
        let name = flag
            .split('=')
            .next()
            .unwrap_or(flag)
            .trim_start_matches('-');
        let mut all = self.subcommands.values().chain([&self.global]);
        all.any(|flags| flags.contains_key(name))
    }
}

fn flags(text: &str) -> Flags {
    let mut flags = Flags::new();
    for line in text
        .lines()
        .filter(|line| line.trim_start().starts_with('-'))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let names = words.iter().take_while(|word| word.starts_with('-'));
        let value = words.iter().find(|word| !word.starts_with('-'));
        let takes_value = value.is_some_and(|word| is_value(word));
        for name in names {
            let name = name.split('[').next().unwrap_or(name);
            let name = name.trim_matches(['-', ',']);
            flags.insert(name.to_owned(), takes_value);
        }
    }
    flags
}

/// A kind or a placeholder, and not the beginning of a description.
fn is_value(word: &str) -> bool {
    word == "value" || word.starts_with(['<', '[']) || word.chars().all(|c| c.is_ascii_uppercase())
}
