//! Crates whose public items others read all have documentation: the lint is on there.

use syn::{Attribute, Meta};

use crate::Break;
use crate::source::Source;

const CRATES: [&str; 6] = ["abi", "host", "memory", "mm", "platform", "gofer"];

pub(crate) fn check(sources: &[Source]) -> Vec<Break> {
    let mut breaks = Vec::new();
    for name in CRATES {
        let path = format!("runsc/crates/{name}/src/lib.rs");
        let source = sources.iter().find(|source| source.path == path);
        if !source.is_some_and(|source| source.code.attrs.iter().any(is_on)) {
            breaks.push(Break::new(path, "the lint missing_docs is not on"));
        }
    }
    breaks
}

fn is_on(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::List(list)
        if (list.path.is_ident("warn") || list.path.is_ident("deny"))
            && list.tokens.to_string().contains("missing_docs"))
}

#[cfg(test)]
mod tests {
    use super::{CRATES, check};
    use crate::source::Source;

    #[test]
    fn crates_without_the_lint_are_found() {
        let path = |name| format!("runsc/crates/{name}/src/lib.rs");
        let with = CRATES.map(|name| Source::parse(&path(name), "#![warn(missing_docs)]").unwrap());
        assert!(check(&with).is_empty());
        let without = CRATES.map(|name| Source::parse(&path(name), "").unwrap());
        assert_eq!(check(&without).len(), CRATES.len());
    }
}
