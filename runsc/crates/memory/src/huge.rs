//! [`HugePages`]: whether the host backs the guest's memory with huge pages where that is asked for.
//!
//! The guest's memory is shared memory, for which the host has a rule of its own
//! (`/sys/kernel/mm/transparent_hugepage/shmem_enabled`, Documentation/admin-guide/mm/transhuge.rst). A page
//! becomes a huge one when it is first touched in a mapping that asks for them. The Sentry's own mapping
//! does not, or each small piece of the guest's memory would take 2 MiB of the host's: a second
//! mapping of the file does ([`HugeView`]), in which only what shall be huge is touched.

#![expect(unsafe_code, reason = "maps the memory file")]

use std::os::fd::OwnedFd;
use std::ptr;

use rustix::io;
use rustix::mm::{self, Advice, MapFlags, ProtFlags};

use crate::allocator::SLOT;
use crate::frame::FrameRange;

/// Bytes of a huge page.
pub const HUGE_PAGE: u64 = 2 << 20;
// So that a whole slot is one.
const _: () = assert!(SLOT == HUGE_PAGE);

/// Where the host says what it does.
const RULE: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

/// When shared memory gets huge pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Not at all.
    #[default]
    Never,
    /// Where `MADV_HUGEPAGE` asks for them.
    Advised,
    /// Wherever they fit.
    Always,
}

impl HugePages {
    /// The host's rule; [`Never`](Self::Never) where it has none.
    #[must_use]
    pub fn of_host() -> Self {
        std::fs::read_to_string(RULE).map_or(Self::Never, |text| Self::parse(&text))
    }

    /// Reads the rule: all words that there are, the one that holds in brackets.
    fn parse(text: &str) -> Self {
        let behind = text.split_once('[').map_or("", |(_, behind)| behind);
        match behind.split_once(']').map_or("", |(chosen, _)| chosen) {
            "advise" => Self::Advised,
            // The file's size, which `within_size` goes by, is far beyond all that is used.
            "always" | "within_size" | "force" => Self::Always,
            _ => Self::Never,
        }
    }
}

/// The memory file, mapped so that what is touched there first is huge.
#[derive(Debug)]
pub(crate) struct HugeView {
    rule: HugePages,
    base: usize,
    len: usize,
}

impl HugeView {
    /// Maps a file of `len` bytes on a host with this rule.
    ///
    /// # Errors
    /// What mmap(2) and madvise(2) report.
    pub(crate) fn new(rule: HugePages, file: &OwnedFd, len: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address that the kernel chooses replaces nothing.
        let base = unsafe { mm::mmap(ptr::null_mut(), len, access, flags, file, 0) }?;
        let view = Self {
            rule,
            base: base.addr(),
            len,
        };
        for advice in [
            Advice::LinuxHugepage,
            Advice::LinuxDontFork,
            Advice::LinuxDontDump,
        ] {
            // SAFETY: the advice is about the mapping made above alone, and changes no contents.
            unsafe { mm::madvise(base, len, advice) }?;
        }
        Ok(view)
    }

    /// The host's rule.
    pub(crate) fn rule(&self) -> HugePages {
        self.rule
    }

    /// Has the host make the huge page of a range that has its length and alignment. Where it has none
    /// to give, the range's pages are ordinary ones, made when they are touched.
    pub(crate) fn make(&self, range: FrameRange) {
        let aligned = range.start().is_multiple_of(HUGE_PAGE) && range.len() == HUGE_PAGE;
        let Ok(offset) = usize::try_from(range.start()) else {
            return;
        };
        if !aligned || offset >= self.len {
            return;
        }
        let page = ptr::without_provenance_mut(self.base + offset);
        // SAFETY: the page is within the mapping made in `new`, and what it holds does not change.
        let _ordinary_then =
            unsafe { mm::madvise(page, abi::PAGE_SIZE, Advice::LinuxPopulateWrite) };
    }
}

impl Drop for HugeView {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `new`, and nothing refers to what is in it.
        let _always_works = unsafe { mm::munmap(ptr::without_provenance_mut(self.base), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::HugePages;

    #[test]
    fn rule_is_the_word_in_brackets() {
        let cases = [
            (
                "always within_size advise [never] deny force\n",
                HugePages::Never,
            ),
            (
                "always within_size [advise] never deny force\n",
                HugePages::Advised,
            ),
            (
                "[always] within_size advise never deny force\n",
                HugePages::Always,
            ),
            (
                "always [within_size] advise never deny force\n",
                HugePages::Always,
            ),
            (
                "always within_size advise never [deny] force\n",
                HugePages::Never,
            ),
            (
                "always within_size advise never deny [force]\n",
                HugePages::Always,
            ),
            ("", HugePages::Never),
            ("advise", HugePages::Never),
            ("]advise[", HugePages::Never),
        ];
        for (text, rule) in cases {
            assert_eq!(HugePages::parse(text), rule, "{text:?}");
        }
    }
}
