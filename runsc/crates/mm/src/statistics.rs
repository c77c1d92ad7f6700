//! How large an address space is, for `/proc/[pid]/statm`, `status` and `getrusage(2)`.

use platform::Access;

use super::address_space::AddressSpace;
use super::pages::Source;
use super::vma::VmaFlags;

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MmStatistics {
    /// Everything that is mapped (`VmSize`).
    pub total: usize,
    /// The most that was mapped (`VmPeak`).
    pub peak_total: usize,
    /// Private writable memory that is not a stack (`VmData`).
    pub data: usize,
    /// Stacks (`VmStk`).
    pub stack: usize,
    /// Executable files (`VmExe` and `VmLib`).
    pub text: usize,
    /// Locked (`VmLck`).
    pub locked: usize,
    /// Resident private memory (`RssAnon`).
    pub resident_anonymous: usize,
    /// Resident pages of files (`RssFile`).
    pub resident_file: usize,
    /// Resident shared memory (`RssShmem`).
    pub resident_shared: usize,
    /// The most that was resident when anyone looked (`VmHWM`).
    pub peak_resident: usize,
    /// Whether huge pages are not disabled (`THP_enabled`).
    pub huge_pages: bool,
}

impl MmStatistics {
    /// All that is resident (`VmRSS`).
    #[must_use]
    pub const fn resident(&self) -> usize {
        self.resident_anonymous + self.resident_file + self.resident_shared
    }

    /// What is resident and not private (`statm`'s third field).
    #[must_use]
    pub const fn shared(&self) -> usize {
        self.resident_file + self.resident_shared
    }
}

impl AddressSpace {
    /// How many areas it has, and the runs of pages in them.
    #[must_use]
    pub fn nr_areas(&self) -> usize {
        let areas = self.areas.read().vmas.iter().count();
        areas + self.active.read().pages.iter().count()
    }

    /// The sizes now.
    #[must_use]
    pub fn statistics(&self) -> MmStatistics {
        let areas = self.areas.read();
        let active = self.active.read();
        let mut statistics = MmStatistics {
            total: areas.total,
            peak_total: areas.peak_total,
            data: areas.data,
            locked: areas.locked,
            huge_pages: !self.huge_pages_disabled(),
            ..MmStatistics::default()
        };
        for (area, vma) in areas.vmas.iter() {
            if vma.flags.contains(VmaFlags::GROWS_DOWN) {
                statistics.stack += area.len();
            }
            if vma.file.is_some() && vma.access == Access::READ | Access::EXECUTE {
                statistics.text += area.len();
            }
        }
        for (run, pages) in active.pages.iter() {
            match &pages.source {
                _ if pages.owned => statistics.resident_anonymous += run.len(),
                Source::Memory(_) => statistics.resident_shared += run.len(),
                Source::Host(..) => statistics.resident_file += run.len(),
            }
        }
        statistics.peak_resident = self.note_resident(statistics.resident());
        statistics
    }
}
