//! The sources, parsed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::visit_mut::{VisitMut, visit_item_mod_mut};
use syn::{Attribute, Item, Meta};

/// One source file that the repository has.
pub(crate) struct Source {
    /// Its path from the workspace's root.
    pub(crate) path: String,
    /// It without its unit tests.
    pub(crate) code: syn::File,
}

impl Source {
    /// All sources of a checkout.
    ///
    /// # Errors
    /// git does not answer, or a file can't be read or parsed.
    pub(crate) fn all(root: &Path) -> anyhow::Result<Vec<Source>> {
        tracked(root, &["*.rs"])?
            .into_iter()
            .map(|path| {
                let text =
                    fs::read_to_string(root.join(&path)).with_context(|| format!("read {path}"))?;
                Source::parse(&path, &text)
            })
            .collect()
    }

    /// A source of this text.
    pub(crate) fn parse(path: &str, text: &str) -> anyhow::Result<Source> {
        let mut code = syn::parse_file(text).with_context(|| format!("parse {path}"))?;
        WithoutTests.visit_file_mut(&mut code);
        Ok(Source {
            path: path.to_owned(),
            code,
        })
    }

    /// Whether all of it is tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| {
            matches!(
                part,
                "tests" | "tests.rs" | "benches" | "conformance" | "fixtures" | "syscall-tests"
            )
        })
    }

    /// Its tokens without their grouping, with the line of each.
    pub(crate) fn tokens(&self) -> Vec<(String, usize)> {
        let mut flat = Vec::new();
        flatten(self.code.to_token_stream(), &mut flat);
        flat
    }
}

/// The files that git knows, or would take, of these patterns.
///
/// # Errors
/// git does not answer.
pub(crate) fn tracked(root: &Path, patterns: &[&str]) -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
        ])
        .args(patterns)
        .current_dir(root)
        .output()
        .context("run git")?;
    ensure!(output.status.success(), "git ls-files fails");
    let names = String::from_utf8(output.stdout)?;
    let there = names.lines().filter(|name| root.join(name).exists());
    Ok(there.map(str::to_owned).collect())
}

/// Takes the items away that only a test build has.
struct WithoutTests;

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| !is_for_tests(item));
        syn::visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| !is_for_tests(item));
        }
        visit_item_mod_mut(self, module);
    }
}

fn is_for_tests(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    };
    attributes.iter().any(|attribute| {
        matches!(&attribute.meta, Meta::List(list)
            if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

fn flatten(tokens: TokenStream, to: &mut Vec<(String, usize)>) {
    for token in tokens {
        let line = token.span().start().line;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                to.push((open.to_owned(), line));
                flatten(group.stream(), to);
                to.push((close.to_owned(), group.span_close().start().line));
            }
            other => to.push((other.to_string(), line)),
        }
    }
}
