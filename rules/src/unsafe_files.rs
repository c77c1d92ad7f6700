//! `unsafe` is confined: the files that may hold it are listed here, each opts in by an attribute, and there is no other.

use crate::Break;
use crate::source::Source;

/// Files that may hold `unsafe`: those of crates that make host calls, touch the guest's memory, or are loaded by it;
/// and programs that make raw system calls in order to test them.
const FILES: &[&str] = &include!("unsafe_files.list");

pub(crate) fn check(sources: &[Source]) -> Vec<Break> {
    against(sources, FILES)
}

fn against(sources: &[Source], listed: &[&str]) -> Vec<Break> {
    let mut breaks = Vec::new();
    let holds = |source: &Source| source.tokens().iter().any(|(token, _)| token == "unsafe");
    for source in sources {
        if holds(source) && !listed.contains(&source.path.as_str()) {
            breaks.push(Break::new(
                &source.path,
                "unsafe in a file that is not listed for it",
            ));
        }
    }
    for file in listed {
        let found = sources.iter().find(|source| source.path == *file);
        if !found.is_some_and(holds) {
            breaks.push(Break::new(*file, "is listed for unsafe and holds none"));
        }
    }
    breaks
}

#[cfg(test)]
mod tests {
    use super::against;
    use crate::source::Source;

    #[test]
    fn other_files_and_needless_entries_are_found() {
        let parse = |path: &str, text: &str| Source::parse(path, text).unwrap();
        let sources = [
            parse("a.rs", "fn f() { unsafe { g() } }"),
            parse("b.rs", "fn f() {}"),
            parse("c.rs", "unsafe impl Send for X {}"),
        ];
        let places = |listed: &[&str]| -> Vec<String> {
            let breaks = against(&sources, listed).into_iter();
            breaks.map(|found| found.place).collect()
        };
        assert!(places(&["a.rs", "c.rs"]).is_empty());
        assert_eq!(places(&["a.rs", "b.rs"]), ["c.rs", "b.rs"]);
    }
}
