//! The kernel has no statics: everything hangs from `Kernel`, so that two kernels can live in one process. Tables that
//! nothing changes are allowed, `LazyLock` for those that are computed.

use syn::spanned::Spanned as _;
use syn::visit::{Visit, visit_item_static};

use crate::Break;
use crate::source::Source;

/// Where the rule holds.
const WHERE: [&str; 3] = [
    "runsc/crates/mm/src/",
    "runsc/crates/sentry/src/",
    "runsc/crates/sandbox/src/",
];
/// What makes a static's contents change, in its type.
const CHANGES: [&str; 8] = [
    "Atomic", "Mutex", "RwLock", "OnceLock", "OnceCell", "Cell", "RefCell", "Condvar",
];

pub(crate) fn check(sources: &[Source]) -> Vec<Break> {
    let mut finder = Finder {
        place: String::new(),
        breaks: Vec::new(),
    };
    for source in sources {
        if WHERE.iter().any(|place| source.path.starts_with(place)) && !source.is_test() {
            finder.place.clone_from(&source.path);
            finder.visit_file(&source.code);
        }
    }
    finder.breaks
}

struct Finder {
    place: String,
    breaks: Vec<Break>,
}

impl Finder {
    fn add(&mut self, line: usize, what: &str) {
        let place = format!("{}:{line}", self.place);
        let text = format!("{what}: state of the kernel hangs from Kernel");
        self.breaks.push(Break::new(place, text));
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        let ty = &item.ty;
        let ty = quote::quote!(#ty).to_string();
        let changes = CHANGES.iter().any(|name| ty.contains(name));
        if changes || matches!(item.mutability, syn::StaticMutability::Mut(_)) {
            self.add(item.span().start().line, "a static that changes");
        }
        visit_item_static(self, item);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        if called
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "thread_local")
        {
            self.add(called.span().start().line, "thread_local!");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::source::Source;

    #[test]
    fn statics_that_change_are_found() {
        let text = "static A: AtomicU64 = AtomicU64::new(0); static T: [u8; 2] = [1, 2];
            mod m { static M: Mutex<u8> = Mutex::new(0); thread_local! { static X: u8 = 0 } }
            #[cfg(test)] mod tests { static B: AtomicU64 = AtomicU64::new(0); }";
        let sources = [Source::parse("runsc/crates/sentry/src/a.rs", text).unwrap()];
        assert_eq!(check(&sources).len(), 3);
        let elsewhere = [Source::parse("runsc/crates/host/src/a.rs", text).unwrap()];
        assert_eq!(check(&elsewhere).len(), 0);
    }
}
