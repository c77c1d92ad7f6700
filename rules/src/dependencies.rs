//! What the workspace depends on: licences that its own allows, one version of each crate, one registry, and crates of
//! the workspace that use each other in one direction only.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::Break;

/// Licences that go with the project's; one of those that a crate offers is enough.
const LICENCES: [&str; 9] = [
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "0BSD",
];

/// Crates that are there in more than one version, since others of them want that.
const TWICE: &[&str] = &include!("twice.list");

/// The runtime's crates, and which of each other they use.
const RUNTIME: [(&str, &[&str]); 16] = [
    ("abi", &[]),
    ("host", &["abi"]),
    ("locks", &[]),
    ("memory", &["abi", "host"]),
    ("vdso", &["abi"]),
    ("seccomp", &["abi", "host"]),
    ("platform", &["abi", "host", "memory", "seccomp"]),
    ("mm", &["abi", "locks", "memory", "platform"]),
    ("gofer", &["abi", "host", "locks"]),
    ("control", &["abi", "host"]),
    ("netstack", &["abi", "locks"]),
    (
        "sentry",
        &[
            "abi", "host", "memory", "platform", "gofer", "vdso", "locks", "mm", "netstack",
        ],
    ),
    (
        "sandbox",
        &[
            "abi", "host", "memory", "platform", "gofer", "control", "seccomp", "sentry",
        ],
    ),
    ("container", &["abi", "host", "gofer", "control", "seccomp"]),
    (
        "runsc",
        &["abi", "host", "memory", "control", "container", "sandbox"],
    ),
    ("fixtures", &[]),
];

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<Break>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        // Only what is built here, which is downloaded.
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root)
        .output()
        .context("run cargo metadata")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata: {errors}");
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    Ok(of(packages, TWICE))
}

fn of(packages: &[Value], twice: &[&str]) -> Vec<Break> {
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    let mut breaks = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        *versions.entry(name).or_default() += 1;
        match package["source"].as_str() {
            None => breaks.extend(direction(name, package)),
            Some(source) => breaks.extend(foreign(name, source, package)),
        }
    }
    for (name, count) in versions {
        let is_listed = twice.contains(&name);
        if count > 1 && !is_listed {
            breaks.push(Break::new(
                "Cargo.lock",
                format!("{name} is there {count} times"),
            ));
        }
        if count == 1 && is_listed {
            breaks.push(Break::new(
                "Cargo.lock",
                format!("{name} is listed for being there twice and is not"),
            ));
        }
    }
    breaks
}

fn foreign(name: &str, source: &str, package: &Value) -> Vec<Break> {
    let mut breaks = Vec::new();
    if !source.starts_with("registry+") {
        breaks.push(Break::new("Cargo.lock", format!("{name} is from {source}")));
    }
    let licence = package["license"].as_str().unwrap_or("none");
    let is_allowed = licence.replace('/', " OR ").split(" OR ").any(|choice| {
        choice
            .trim_matches(['(', ')', ' '])
            .split(" AND ")
            .all(|one| {
                let one = one.trim_matches(['(', ')', ' ']);
                LICENCES.contains(&one.split(" WITH ").next().unwrap_or(one))
            })
    });
    if !is_allowed {
        breaks.push(Break::new(
            "Cargo.lock",
            format!("{name} has the licence {licence}"),
        ));
    }
    breaks
}

fn direction(name: &str, package: &Value) -> Vec<Break> {
    let Some((_, allowed)) = RUNTIME.iter().find(|(known, _)| *known == name) else {
        return Vec::new();
    };
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    dependencies
        .filter(|dependency| dependency["kind"].is_null())
        .filter_map(|dependency| dependency["name"].as_str())
        .filter(|used| RUNTIME.iter().any(|(known, _)| known == used) && !allowed.contains(used))
        .map(|used| {
            let text = format!("uses {used}: dependencies point one way");
            Break::new(format!("crate {name}"), text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::of;

    const REGISTRY: &str = "registry+https://example.org/index";

    fn foreign(name: &str, licence: &str) -> Value {
        json!({"name": name, "source": REGISTRY, "license": licence, "dependencies": []})
    }

    #[test]
    fn licences_duplicates_and_directions_are_found() {
        let back = json!({"name": "abi", "source": null, "dependencies": [
            {"name": "host", "kind": null}, {"name": "memory", "kind": "dev"}, {"name": "libc", "kind": null},
        ]});
        let packages = [
            foreign("a", "MIT OR Apache-2.0"),
            foreign("b", "(MIT OR GPL-3.0) AND Unicode-3.0"),
            foreign("c", "GPL-3.0"),
            foreign("d", "MIT"),
            foreign("d", "MIT"),
            back,
        ];
        let texts: Vec<String> = of(&packages, &["a"])
            .into_iter()
            .map(|found| found.text)
            .collect();
        assert_eq!(
            texts,
            [
                "c has the licence GPL-3.0",
                "uses host: dependencies point one way",
                "a is listed for being there twice and is not",
                "d is there 2 times",
            ]
        );
    }
}
