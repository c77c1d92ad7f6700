//! `/sys/kernel/mm`: huge pages, which the JVM, Go and jemalloc ask for
//! (Documentation/admin-guide/mm/transhuge.rst, Documentation/admin-guide/mm/hugetlbpage.rst).
//!
//! Nothing can be written: what the host allows for the guest's memory is the rule.

use memory::{HUGE_PAGE, HugePages};

use super::{directory, line};
use crate::fs::synthetic::Entry;

pub(super) fn entries(rule: HugePages) -> Entry {
    directory([
        ("hugepages", directory([("hugepages-2048kB", empty_pool())])),
        ("transparent_hugepage", transparent(rule)),
    ])
}

fn transparent(rule: HugePages) -> Entry {
    let chosen = match rule {
        HugePages::Never => "never",
        HugePages::Advised => "madvise",
        HugePages::Always => "always",
    };
    // The first touch makes a huge page wherever there may be one; there is no other way to one.
    let defrag = choice(
        &["always", "defer", "defer+madvise", "madvise", "never"],
        chosen,
    );
    directory([
        (
            "enabled",
            line(choice(&["always", "madvise", "never"], chosen)),
        ),
        ("defrag", line(defrag)),
        ("hpage_pmd_size", line(HUGE_PAGE.to_string())),
        // Files of tmpfs and shared memory have small pages alone.
        (
            "shmem_enabled",
            line(choice(
                &["always", "within_size", "advise", "never", "deny", "force"],
                "never",
            )),
        ),
        // What is read before it is written takes small pages.
        ("use_zero_page", line("0")),
    ])
}

/// All words, the one that holds in brackets.
fn choice(words: &[&str], chosen: &str) -> String {
    let mark = |word: &&str| {
        if *word == chosen {
            format!("[{word}]")
        } else {
            (*word).to_owned()
        }
    };
    words.iter().map(mark).collect::<Vec<_>>().join(" ")
}

/// A pool of huge pages for hugetlbfs: none are set aside.
fn empty_pool() -> Entry {
    let counts = [
        "free_hugepages",
        "nr_hugepages",
        "nr_hugepages_mempolicy",
        "nr_overcommit_hugepages",
        "resv_hugepages",
        "surplus_hugepages",
    ];
    directory(counts.map(|name| (name, line("0"))))
}
