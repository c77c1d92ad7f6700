//! Which functions that make host calls the sources name: those of rustix, of libc and of the standard library.
//!
//! The sources are read as tokens below their `use` declarations, which say what a short name stands for. So code
//! in macros counts, and only a method's receiver stays unknown: [`calls::METHODS`] lists the names of methods that count.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::visit::Visit;
use syn::{Attribute, ImplItemFn, ItemFn, ItemMod, ItemUse, UseTree};

use crate::calls;

/// A place where a source names a function that makes host calls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    /// The source's path from the folder of the crates.
    pub(crate) file: String,
    /// The function around it, or nothing.
    pub(crate) within: String,
    /// The whole path of what is named, as `rustix::fs::fsync`, `libc::SYS_ptrace`, `.try_clone`.
    pub(crate) what: String,
}

/// The folder of the crates.
pub(crate) fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is in a folder")
        .to_owned()
}

/// The sources of a process, from `roots`: folders or files below the folder of the crates.
pub(crate) fn of(roots: &[&str]) -> Vec<(String, syn::File)> {
    let mut paths = Vec::new();
    for root in roots {
        let root = crates().join(root);
        assert!(root.exists(), "no source at {}", root.display());
        collect(&root, &mut paths);
    }
    paths.sort();
    paths.dedup();
    paths.iter().map(|path| parse(path)).collect()
}

fn parse(path: &Path) -> (String, syn::File) {
    let text = std::fs::read_to_string(path).expect("sources are text");
    let code = syn::parse_file(&text).expect("sources are Rust");
    let name = path.strip_prefix(crates()).unwrap_or(path);
    (name.to_str().expect("names are text").to_owned(), code)
}

/// The Rust files below a folder without those that are tests.
fn collect(path: &Path, paths: &mut Vec<PathBuf>) {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if path.is_dir() {
        if name != "tests" {
            for entry in std::fs::read_dir(path).expect("a folder") {
                collect(&entry.expect("an entry").path(), paths);
            }
        }
    } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
        paths.push(path.to_owned());
    }
}

/// The modules of the `host` crate that a source names.
pub(crate) fn host_modules(code: &syn::File) -> Vec<String> {
    let mut tokens = Vec::new();
    flatten(code.to_token_stream(), &mut tokens);
    let mut names = Names::default();
    names.visit_file(code);
    let imported = names.0.values().filter_map(|path| match path.as_slice() {
        [first, module, ..] if first == "host" => Some(module.clone()),
        _ => None,
    });
    let in_place = tokens.windows(4).filter_map(|window| match window {
        [first, a, b, module] if first == "host" && a == ":" && b == ":" => Some(module.clone()),
        _ => None,
    });
    let mut modules: Vec<String> = imported.chain(in_place).collect();
    modules.retain(|module| crates().join(format!("host/src/{module}.rs")).exists());
    modules.sort();
    modules.dedup();
    modules
}

/// What a source names.
pub(crate) fn uses(file: &str, code: &syn::File) -> Vec<Use> {
    let mut names = Names::default();
    names.visit_file(code);
    let mut reader = Reader {
        file,
        names: &names.0,
        within: Vec::new(),
        found: Vec::new(),
    };
    reader.visit_file(code);
    reader.found.sort();
    reader.found.dedup();
    reader.found
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.to_token_stream().to_string() == "# [cfg (test)]")
}

/// What short names stand for.
#[derive(Default)]
struct Names(BTreeMap<String, Vec<String>>);

impl Names {
    fn add(&mut self, before: &[String], tree: &UseTree) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add(&with(&path.ident), &path.tree),
            UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                self.0.insert(last, before.to_vec());
            }
            UseTree::Name(name) => {
                self.0.insert(name.ident.to_string(), with(&name.ident));
            }
            UseTree::Rename(rename) => {
                let whole = if rename.ident == "self" {
                    before.to_vec()
                } else {
                    with(&rename.ident)
                };
                self.0.insert(rename.rename.to_string(), whole);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add(before, tree)),
            UseTree::Glob(_) => {}
        }
    }
}

impl Visit<'_> for Names {
    fn visit_item_use(&mut self, item: &ItemUse) {
        self.add(&[], &item.tree);
    }

    fn visit_item_mod(&mut self, module: &ItemMod) {
        if !is_for_tests(&module.attrs) {
            syn::visit::visit_item_mod(self, module);
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    names: &'a BTreeMap<String, Vec<String>>,
    within: Vec<String>,
    found: Vec<Use>,
}

impl Reader<'_> {
    fn function(&mut self, name: &syn::Ident, attributes: &[Attribute], body: TokenStream) {
        if !is_for_tests(attributes) {
            self.within.push(name.to_string());
            self.read(body);
            self.within.pop();
        }
    }

    fn read(&mut self, tokens: TokenStream) {
        let mut flat = Vec::new();
        flatten(tokens, &mut flat);
        let mut at = 0;
        while at < flat.len() {
            let start = at;
            let mut path = Vec::new();
            while let Some(name) = flat.get(at).filter(|token| is_name(token)) {
                path.push(name.clone());
                at += 1;
                if flat.get(at).is_some_and(|t| t == ":")
                    && flat.get(at + 1).is_some_and(|t| t == ":")
                {
                    at += 2;
                } else {
                    break;
                }
            }
            if path.is_empty() {
                at += 1;
                continue;
            }
            let before = start
                .checked_sub(1)
                .and_then(|at| flat.get(at))
                .map_or("", String::as_str);
            let after = flat.get(at).map_or("", String::as_str);
            self.path(before, &path, after);
        }
    }

    fn path(&mut self, before: &str, path: &[String], after: &str) {
        let [first, rest @ ..] = path else { return };
        if before == "." {
            let method = format!(".{first}");
            let is_listed = calls::METHODS.iter().any(|(_, name, _)| *name == method);
            if after == "(" && is_listed {
                self.add(method);
            }
            return;
        }
        if before == "fn" {
            return;
        }
        let whole = match self.names.get(first) {
            Some(names) => [names.as_slice(), rest].concat(),
            None => path.to_vec(),
        };
        if OWN_NUMBERS.contains(&whole.join("::").as_str()) {
            self.add(format!("libc::{}", whole.join("::")));
        } else if counts(&whole, after) {
            self.add(whole.join("::"));
        }
    }

    fn add(&mut self, what: String) {
        self.found.push(Use {
            file: self.file.to_owned(),
            within: self.within.join("::"),
            what,
        });
    }
}

/// Constants of libc that are a call, or say which of its kind a call is.
const COMMANDS: [&str; 6] = ["SYS_", "F_OFD_", "FION", "PR_", "TC", "TIOC"];
/// The same, which the sources define themselves.
const OWN_NUMBERS: [&str; 2] = ["NR_FCHMODAT2", "KVM_SET_DEVICE_ATTR"];

/// Whether this names a function that may make a host call.
fn counts(whole: &[String], after: &str) -> bool {
    let names: Vec<&str> = whole.iter().map(String::as_str).collect();
    let is_called = after == "(" || after == ")" || after == ",";
    match names.as_slice() {
        ["libc", name] => after == "(" || COMMANDS.iter().any(|prefix| name.starts_with(prefix)),
        ["rustix", "mm", "Advice", _] | ["rustix", "fs", "FlockOperation", _] => true,
        ["rustix", .., last] => is_called && starts_lower(last),
        // Addresses are values.
        [
            "std",
            "net",
            "IpAddr" | "Ipv4Addr" | "Ipv6Addr" | "SocketAddr" | "SocketAddrV6",
            ..,
        ] => false,
        ["std", "thread" | "fs" | "process" | "net" | "env", .., last]
        | ["std", "os", "unix", "net", .., last]
        | ["std", "time", "Instant" | "SystemTime", last]
        | [
            "std",
            "io",
            last @ ("stdin" | "stdout" | "stderr" | "pipe" | "copy"),
        ] => is_called && starts_lower(last),
        _ => false,
    }
}

fn starts_lower(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
}

impl Visit<'_> for Reader<'_> {
    fn visit_item_mod(&mut self, module: &ItemMod) {
        if !is_for_tests(&module.attrs) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, item: &ItemFn) {
        self.function(&item.sig.ident, &item.attrs, item.block.to_token_stream());
    }

    fn visit_impl_item_fn(&mut self, item: &ImplItemFn) {
        self.function(&item.sig.ident, &item.attrs, item.block.to_token_stream());
    }

    fn visit_trait_item_fn(&mut self, item: &syn::TraitItemFn) {
        let body = item.default.to_token_stream();
        self.function(&item.sig.ident, &item.attrs, body);
    }

    fn visit_item_const(&mut self, item: &syn::ItemConst) {
        self.function(&item.ident, &item.attrs, item.expr.to_token_stream());
    }

    fn visit_item_static(&mut self, item: &syn::ItemStatic) {
        self.function(&item.ident, &item.attrs, item.expr.to_token_stream());
    }

    fn visit_macro(&mut self, item: &syn::Macro) {
        self.read(item.tokens.clone());
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn flatten(tokens: TokenStream, to: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::None => ("", ""),
                };
                to.push(open.to_owned());
                flatten(group.stream(), to);
                to.push(close.to_owned());
            }
            other => to.push(other.to_string()),
        }
    }
}
