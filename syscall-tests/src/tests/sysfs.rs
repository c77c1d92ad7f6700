//! `/sys`: what programs read there (Documentation/admin-guide/mm/transhuge.rst and hugetlbpage.rst).

use crate::case::{Failure, Outcome};
use crate::support::file::{self, cstring};
use crate::support::proc::read;

cases!(
    attributes_are_as_large_as_a_page,
    directories_are_open_to_all,
    rule_for_huge_pages_is_one_of_its_words,
    size_of_a_huge_page,
    pools_of_huge_pages_are_counted,
);

const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage";

fn attributes_are_as_large_as_a_page() -> Outcome {
    for path in [
        c"/sys/devices/system/cpu/online",
        c"/sys/kernel/mm/transparent_hugepage/enabled",
    ] {
        let stat = file::stat(path)?;
        check_eq!(
            (stat.st_size, stat.st_blksize, stat.st_blocks),
            (4096, 4096, 0)
        );
        let text = file::contents(path)?;
        check!(text.len() < 100 && text.ends_with(b"\n"), "{text:?}");
    }
    Ok(())
}

fn directories_are_open_to_all() -> Outcome {
    let mode = |path: &str| file::stat(&cstring(path)).map(|stat| stat.st_mode & 0o7777);
    check_eq!(
        (mode("/sys")?, mode("/sys/kernel/mm")?, mode(HUGE_PAGES)?),
        (0o555, 0o755, 0o755)
    );
    check_eq!(mode("/sys/devices/system/cpu/cpu0/topology")?, 0o755);
    check_eq!(file::stat(c"/sys/kernel")?.st_blksize, 4096);
    Ok(())
}

/// The word in brackets, of those there are to choose from.
fn chosen(name: &str, words: &[&str]) -> Result<String, Failure> {
    let text = read(&format!("{HUGE_PAGES}/{name}"))?;
    let plain: Vec<&str> = text
        .split_ascii_whitespace()
        .map(|word| word.trim_matches(['[', ']']))
        .collect();
    check_eq!(plain, words);
    let marked: Vec<&str> = text
        .split_ascii_whitespace()
        .filter(|word| word.starts_with('['))
        .collect();
    match marked[..] {
        [one] => Ok(one.trim_matches(['[', ']']).to_owned()),
        _ => fail!("{name} has not one rule: {text}"),
    }
}

fn rule_for_huge_pages_is_one_of_its_words() -> Outcome {
    chosen("enabled", &["always", "madvise", "never"])?;
    chosen(
        "defrag",
        &["always", "defer", "defer+madvise", "madvise", "never"],
    )?;
    chosen(
        "shmem_enabled",
        &["always", "within_size", "advise", "never", "deny", "force"],
    )?;
    let zero_page = read(&format!("{HUGE_PAGES}/use_zero_page"))?;
    check!(["0\n", "1\n"].contains(&zero_page.as_str()), "{zero_page}");
    Ok(())
}

fn size_of_a_huge_page() -> Outcome {
    check_eq!(read(&format!("{HUGE_PAGES}/hpage_pmd_size"))?, "2097152\n");
    Ok(())
}

fn pools_of_huge_pages_are_counted() -> Outcome {
    for name in [
        "free_hugepages",
        "nr_hugepages",
        "nr_overcommit_hugepages",
        "resv_hugepages",
        "surplus_hugepages",
    ] {
        let count = read(&format!("/sys/kernel/mm/hugepages/hugepages-2048kB/{name}"))?;
        check!(count.trim_end().parse::<u64>().is_ok(), "{name}: {count:?}");
    }
    Ok(())
}
