//! The behaviour tests that have to do with files, on each kind of files of the host: they reach the gofer, under the
//! filter that it has in use.
//!
//! `expectations/files.txt` lists what differs there from the sandbox's own tmpfs, on which all tests run.

use fixtures::behaviour::Place;
use fixtures::build::{self, Linkage};
use fixtures::files::Files;
use fixtures::runtime::Runtime;

/// The families whose tests work on files.
const FAMILIES: [&str; 15] = [
    "aio::",
    "dup::",
    "execve::",
    "fault::",
    "link::",
    "lock::",
    "mapped_files::",
    "mmap::",
    "openat::",
    "path::",
    "pipe::",
    "read::",
    "stat::",
    "truncate::",
    "unix::",
];

/// The first platform will do: no platform has a part in it.
fn check(files: Files) {
    let program = build::guest("syscall-tests", Linkage::StaticPie).unwrap();
    let filter = crate::Filter::from_environment();
    let wanted =
        |name: &str| FAMILIES.iter().any(|family| name.starts_with(family)) && filter.selects(name);
    let place = Place::Runtime(Runtime::under_test().unwrap(), files);
    let results = place.run(&program, &wanted).unwrap();
    let name = format!("{} on {files:?}", place.name());
    crate::judge(&name, "files", &results, false);
}

#[test]
fn on_a_plain_root() {
    check(Files::Plain);
}

#[test]
fn on_an_overlayfs() {
    check(Files::Overlay);
}

#[test]
fn on_an_overlayfs_across_file_systems() {
    check(Files::OverlayAcross);
}

#[test]
fn on_a_bind_mount() {
    check(Files::Bind);
}

#[test]
fn on_a_tmpfs_of_the_host() {
    check(Files::HostTmpfs);
}

#[test]
fn on_a_read_only_root() {
    check(Files::ReadOnly);
}
