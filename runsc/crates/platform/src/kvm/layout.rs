//! Where things are: guest-physical addresses, and the ring-0 area's addresses.

/// Bytes of a page table, and of a page.
pub(super) const PAGE: u64 = 4096;
/// Bytes of a window: what one last-level table maps.
pub(super) const WINDOW: u64 = 2 << 20;
/// How many windows one memory slot has.
pub(super) const WINDOWS_PER_SLOT: u32 = 128;
/// Bytes of a chunk of page tables.
pub(super) const CHUNK: u64 = 16 << 20;

/// Where the ring-0 area is in every address space: in the upper half, since the nested hypervisor
/// of some hosts has no place for it below.
pub(super) const RING0: u64 = 0xffff_ffff_8000_0000;
/// Where the ring-0 area is in guest-physical memory.
pub(super) const RING0_AT: u64 = 1 << 30;
/// Bytes of the ring-0 area.
pub(super) const RING0_LEN: u64 = 4 << 20;
/// Where chunks begin.
const CHUNKS_AT: u64 = 2 << 30;

/// How guest-physical memory is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    windows_at: u64,
    end: u64,
}

impl Layout {
    /// For guest-physical addresses of this many bits (`CPUID` 0x80000008).
    pub(super) fn new(address_bits: u8) -> Layout {
        let end = 1 << address_bits.clamp(36, 52);
        Layout {
            windows_at: end / 4,
            end,
        }
    }

    /// Where the chunk of this number is.
    pub(super) fn chunk(self, number: u64) -> Option<u64> {
        let at = CHUNKS_AT.checked_add(number.checked_mul(CHUNK)?)?;
        (at.checked_add(CHUNK)? <= self.windows_at).then_some(at)
    }

    /// Where the window of this number is.
    pub(super) fn window(self, number: u32) -> Option<u64> {
        let at = self.windows_at + u64::from(number) * WINDOW;
        (at + WINDOW <= self.end).then_some(at)
    }

    /// The window that a guest-physical address is in, and the offset in it.
    pub(super) fn window_of(self, address: u64) -> Option<(u32, u64)> {
        let from = address.checked_sub(self.windows_at)?;
        let number = u32::try_from(from / WINDOW).ok()?;
        Some((number, from % WINDOW))
    }
}
