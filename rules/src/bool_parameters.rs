//! A public function has no boolean parameters: `true` at a call says nothing. A setter may take one, alone.

use syn::spanned::Spanned as _;
use syn::visit::{Visit, visit_impl_item_fn, visit_item_fn, visit_item_impl};
use syn::{FnArg, Signature, Type, Visibility};

use crate::Break;
use crate::source::Source;

/// Files and functions that do, until they are mended.
const KNOWN: &[(&str, &str)] = &include!("bool_parameters.list");

pub(crate) fn check(sources: &[Source]) -> Vec<Break> {
    against(sources, KNOWN)
}

fn against(sources: &[Source], known: &[(&str, &str)]) -> Vec<Break> {
    let mut finder = Finder::default();
    for source in sources.iter().filter(|source| !source.is_test()) {
        finder.place.clone_from(&source.path);
        finder.visit_file(&source.code);
    }
    let is_known = |file: &str, name: &str| known.contains(&(file, name));
    let found = &finder.found;
    let new = found
        .iter()
        .filter(|(file, _, name)| !is_known(file, name))
        .map(|(file, line, name)| {
            let text = format!("{name} takes a boolean: use an enum, or two functions");
            Break::new(format!("{file}:{line}"), text)
        });
    let is_found = |entry: &(&str, &str)| {
        found
            .iter()
            .any(|(file, _, name)| (file.as_str(), name.as_str()) == *entry)
    };
    let needless = known.iter().filter(|entry| !is_found(entry));
    new.chain(needless.map(|(file, name)| {
        Break::new(
            *file,
            format!("is listed for {name}, which takes no boolean"),
        )
    }))
    .collect()
}

#[derive(Default)]
struct Finder {
    place: String,
    /// Files, lines, names of functions.
    found: Vec<(String, usize, String)>,
}

impl Finder {
    fn look(&mut self, visibility: &Visibility, signature: &Signature) {
        let is_public = !matches!(visibility, Visibility::Inherited);
        let parameters: Vec<&Type> = signature
            .inputs
            .iter()
            .filter_map(|input| match input {
                FnArg::Typed(typed) => Some(&*typed.ty),
                FnArg::Receiver(_) => None,
            })
            .collect();
        let is_bool = |ty: &&Type| matches!(ty, Type::Path(path) if path.path.is_ident("bool"));
        let is_alone = parameters.len() == 1;
        if is_public && !is_alone && parameters.iter().any(is_bool) {
            let line = signature.span().start().line;
            let name = signature.ident.to_string();
            self.found.push((self.place.clone(), line, name));
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.look(&item.vis, &item.sig);
        visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        // What a trait says is not this file's choice.
        if item.trait_.is_none() {
            visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.look(&item.vis, &item.sig);
        visit_impl_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::against;
    use crate::source::Source;

    #[test]
    fn public_functions_with_booleans_are_found() {
        let text = "pub fn a(x: u8, y: bool) {} fn b(x: u8, y: bool) {}
            impl X { pub(crate) fn c(&self, y: bool, z: bool) {} pub fn set(&self, y: bool) {} }
            impl T for X { fn d(&self, y: bool, z: u8) {} }";
        let sources = [Source::parse("a.rs", text).unwrap()];
        let names = |known: &[(&str, &str)]| -> Vec<String> {
            let breaks = against(&sources, known).into_iter();
            breaks.map(|found| found.text[..13].to_owned()).collect()
        };
        assert_eq!(names(&[]), ["a takes a boo", "c takes a boo"]);
        assert_eq!(
            names(&[("a.rs", "a"), ("a.rs", "b")]),
            ["c takes a boo", "is listed for"]
        );
    }
}
