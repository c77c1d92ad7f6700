//! Which modules of the kernel may use which: the folders of `sentry/src` have an order, and what runs against it is
//! listed, file by file, until it is mended. `mm`, a crate of its own, has its place in that order.

use crate::Break;
use crate::source::Source;

const KERNEL: &str = "runsc/crates/sentry/src/";

/// Modules, and what each must not use.
const NOT: [(&str, &[&str]); 7] = [
    ("kernel", &["syscalls"]),
    ("loader", &["fs", "socket", "syscalls", "strace"]),
    ("vfs", &["loader", "syscalls", "strace"]),
    ("fs", &["loader", "syscalls", "strace"]),
    ("socket", &["mm", "loader", "syscalls", "strace"]),
    ("strace", &["loader", "socket", "vfs", "fs", "time"]),
    (
        "time",
        &["loader", "vfs", "fs", "socket", "syscalls", "strace"],
    ),
];

/// Files that do, and what they use.
const KNOWN: &[(&str, &str)] = &include!("directions.list");

pub(crate) fn check(sources: &[Source]) -> Vec<Break> {
    against(sources, KNOWN)
}

fn against(sources: &[Source], known: &[(&str, &str)]) -> Vec<Break> {
    let mut left: Vec<_> = known.to_vec();
    let mut breaks = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let Some(path) = source.path.strip_prefix(KERNEL) else {
            continue;
        };
        let module = path.split(['/', '.']).next().unwrap_or_default();
        let Some((_, forbidden)) = NOT.iter().find(|(name, _)| *name == module) else {
            continue;
        };
        let mut seen = Vec::new();
        for (used, line) in used(source) {
            if !forbidden.contains(&used.as_str()) || seen.contains(&used) {
                continue;
            }
            let entry = (path, used.as_str());
            left.retain(|known| *known != entry);
            if !known.contains(&entry) {
                let text = format!("{module} uses {used}: the kernel's folders have an order");
                breaks.push(Break::new(format!("{}:{line}", source.path), text));
            }
            seen.push(used);
        }
    }
    for (path, used) in left {
        let text = format!("is listed for using {used} and does not");
        breaks.push(Break::new(format!("{KERNEL}{path}"), text));
    }
    breaks
}

/// The modules that a file names behind `crate::`, and the crate `mm` if it names that, with lines.
fn used(source: &Source) -> Vec<(String, usize)> {
    let tokens = source.tokens();
    let mut found = Vec::new();
    for (at, (token, line)) in tokens.iter().enumerate() {
        if token == "mm" && begins_path(&tokens, at) {
            found.push((token.clone(), *line));
        }
        let is_root = token == "crate" && tokens.get(at + 1).is_some_and(|(next, _)| next == ":");
        if !is_root {
            continue;
        }
        match tokens.get(at + 3) {
            Some((open, _)) if open == "{" => found.extend(first_of_each(&tokens[at + 4..])),
            Some((name, _)) => found.push((name.clone(), *line)),
            None => {}
        }
    }
    found
}

/// Whether the token there is the first of a path with several parts.
fn begins_path(tokens: &[(String, usize)], at: usize) -> bool {
    let are_colons =
        |two: &[(String, usize)]| two.len() == 2 && two.iter().all(|(text, _)| text == ":");
    let before = &tokens[at.saturating_sub(2)..at];
    let after = tokens.get(at + 1..at + 3).unwrap_or_default();
    are_colons(after) && !are_colons(before)
}

/// The first word of each part of a group, up to its end.
fn first_of_each(tokens: &[(String, usize)]) -> Vec<(String, usize)> {
    let (mut depth, mut is_first, mut found) = (0, true, Vec::new());
    for (token, line) in tokens {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," if depth == 0 => is_first = true,
            name if is_first && depth == 0 => {
                found.push((name.to_owned(), *line));
                is_first = false;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::against;
    use crate::source::Source;

    #[test]
    fn uses_against_the_order_are_found() {
        let text = "use crate::{error::Result, syscalls::{a, b}}; fn f() { crate::strace::g() }";
        let sources = [Source::parse("runsc/crates/sentry/src/fs/a.rs", text).unwrap()];
        assert_eq!(against(&sources, &[]).len(), 2);
        let known = [("fs/a.rs", "syscalls"), ("fs/a.rs", "strace")];
        assert_eq!(against(&sources, &known), []);
        let needless = [known[0], known[1], ("fs/b.rs", "syscalls")];
        assert_eq!(against(&sources, &needless).len(), 1);
    }

    #[test]
    fn uses_of_the_crate_are_found() {
        let found = |text| {
            let sources = [Source::parse("runsc/crates/sentry/src/socket/a.rs", text).unwrap()];
            against(&sources, &[]).len()
        };
        assert_eq!(found("use mm::AddressSpace;"), 1);
        assert_eq!(found("fn f(mm: mm::AddressSpace) {}"), 1);
        assert_eq!(found("fn f(mm: crate::fs::mm::A) { mm(mm) }"), 0);
    }
}
