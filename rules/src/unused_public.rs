//! A public item is used somewhere, by something else than its own unit tests.

use std::collections::HashMap;

use syn::visit::{Visit, visit_item_impl, visit_item_mod};
use syn::{Ident, Visibility};

use crate::Break;
use crate::source::Source;

/// Linux's numbers are there because Linux has them.
const DATA: &str = "runsc/crates/abi/";

pub(crate) fn check(sources: &[Source]) -> Vec<Break> {
    let mut finder = Finder::default();
    for source in sources {
        if !source.is_test() && !source.path.starts_with(DATA) {
            finder.place.clone_from(&source.path);
            finder.visit_file(&source.code);
        }
    }
    let mut uses: HashMap<String, usize> = HashMap::new();
    for (token, _) in sources.iter().flat_map(Source::tokens) {
        *uses.entry(token).or_default() += 1;
    }
    let mut definitions: HashMap<&str, usize> = HashMap::new();
    for (name, _) in &finder.found {
        *definitions.entry(name).or_default() += 1;
    }
    let is_unused = |name: &str| {
        uses.get(name).copied().unwrap_or(0) <= definitions.get(name).copied().unwrap_or(0)
    };
    let unused = finder.found.iter().filter(|(name, _)| is_unused(name));
    unused
        .map(|(name, place)| Break::new(place, format!("{name} is public and nobody uses it")))
        .collect()
}

#[derive(Default)]
struct Finder {
    place: String,
    /// Names and places.
    found: Vec<(String, String)>,
}

impl Finder {
    fn look(&mut self, visibility: &Visibility, name: &Ident) {
        if !matches!(visibility, Visibility::Inherited) {
            let place = format!("{}:{}", self.place, name.span().start().line);
            self.found.push((name.to_string(), place));
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            syn::Item::Const(item) => self.look(&item.vis, &item.ident),
            syn::Item::Enum(item) => self.look(&item.vis, &item.ident),
            syn::Item::Fn(item) => self.look(&item.vis, &item.sig.ident),
            syn::Item::Struct(item) => self.look(&item.vis, &item.ident),
            syn::Item::Trait(item) => self.look(&item.vis, &item.ident),
            syn::Item::Type(item) => self.look(&item.vis, &item.ident),
            syn::Item::Impl(item) if item.trait_.is_none() => visit_item_impl(self, item),
            syn::Item::Mod(item) => visit_item_mod(self, item),
            _ => {}
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.look(&item.vis, &item.sig.ident);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.look(&item.vis, &item.ident);
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::source::Source;

    #[test]
    fn items_that_only_their_tests_use_are_found() {
        let text = "pub struct S; impl S { pub fn used(&self) {} pub fn tested(&self) {} }
            #[cfg(test)] mod tests { fn t() { super::S.tested() } }";
        let user = "fn f(s: S) { s.used() }";
        let sources = [
            Source::parse("a.rs", text).unwrap(),
            Source::parse("b.rs", user).unwrap(),
        ];
        let breaks = check(&sources);
        assert_eq!(breaks.len(), 1, "{breaks:?}");
        assert!(breaks[0].text.starts_with("tested"));
    }
}
