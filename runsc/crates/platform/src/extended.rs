//! The extended registers as one XSAVE image in the standard format, as in a signal frame and as
//! `NT_X86_XSTATE` of `man 2 ptrace`.

use crate::Result;
use abi::Errno;

/// Bytes of the part that FXSAVE knows.
const LEGACY_LEN: usize = 512;
/// Bytes up to the end of the XSAVE header.
const HEADER_END: usize = LEGACY_LEN + 64;
/// Where MXCSR, its mask, and the x87 control word are.
const FCW_AT: usize = 0;
const MXCSR_AT: usize = 24;
const MXCSR_MASK_AT: usize = 28;
/// Where the header has the components that are present, the compaction bits, and reserved bytes.
const XSTATE_BV_AT: usize = LEGACY_LEN;
const XCOMP_BV_AT: usize = LEGACY_LEN + 8;
/// The x87 control word and MXCSR that a program starts with.
const INITIAL_FCW: u16 = 0x37f;
const INITIAL_MXCSR: u32 = 0x1f80;
/// The MXCSR bits of a processor that does not say (`man` of FXSAVE: a mask of 0 means this).
const DEFAULT_MXCSR_MASK: u32 = 0xffbf;

/// What images look like on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedLayout {
    /// Bytes in an image: at least 576.
    pub len_bytes: usize,
    /// The state components that there are (XCR0): bit 0 x87, bit 1 SSE, bit 2 AVX, …
    pub features: u64,
    /// The bits of MXCSR that may be set.
    pub mxcsr_mask: u32,
}

impl ExtendedLayout {
    /// x87 and SSE only.
    pub const LEGACY: ExtendedLayout = ExtendedLayout {
        len_bytes: HEADER_END,
        features: 3,
        mxcsr_mask: DEFAULT_MXCSR_MASK,
    };

    /// Reads the layout off an image of `len_bytes` that the kernel gave, and the components that
    /// it says exist (in the bytes reserved for software, `struct _fpx_sw_bytes`).
    #[must_use]
    pub(crate) fn of_kernel_image(image: &[u8], features: u64) -> ExtendedLayout {
        let mask = u32_at(image, MXCSR_MASK_AT);
        ExtendedLayout {
            len_bytes: image.len().max(HEADER_END),
            features: features | 3,
            mxcsr_mask: if mask == 0 { DEFAULT_MXCSR_MASK } else { mask },
        }
    }
}

/// The extended registers of one thread.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtendedState {
    layout: ExtendedLayout,
    image: Vec<u8>,
}

impl ExtendedState {
    /// The registers as they are when a program starts.
    #[must_use]
    pub fn initial(layout: ExtendedLayout) -> ExtendedState {
        let mut image = vec![0; layout.len_bytes];
        put(&mut image, FCW_AT, &INITIAL_FCW.to_le_bytes());
        put(&mut image, MXCSR_AT, &INITIAL_MXCSR.to_le_bytes());
        put(&mut image, MXCSR_MASK_AT, &layout.mxcsr_mask.to_le_bytes());
        ExtendedState { layout, image }
    }

    /// Takes an image from a source that is not trusted, such as a signal frame: as many bytes as
    /// the layout has, every component within it, nothing reserved set.
    ///
    /// # Errors
    /// `EINVAL` for an image that the processor would refuse to load.
    pub fn set(&mut self, image: &[u8]) -> Result<()> {
        let reserved = image.get(XCOMP_BV_AT..HEADER_END).ok_or(Errno::EINVAL)?;
        let valid = image.len() == self.layout.len_bytes
            && u64_at(image, XSTATE_BV_AT) & !self.layout.features == 0
            && u32_at(image, MXCSR_AT) & !self.layout.mxcsr_mask == 0
            && reserved.iter().all(|&byte| byte == 0);
        if !valid {
            return Err(Errno::EINVAL);
        }
        self.image.copy_from_slice(image);
        Ok(())
    }

    /// Takes an FXSAVE image from a source that is not trusted (a signal frame without the
    /// extended magic): x87 and SSE from it, everything else initial.
    ///
    /// # Errors
    /// `EINVAL` for one that the processor would refuse to load.
    pub fn set_legacy(&mut self, image: &[u8; LEGACY_LEN]) -> Result<()> {
        if u32_at(image, MXCSR_AT) & !self.layout.mxcsr_mask != 0 {
            return Err(Errno::EINVAL);
        }
        self.image.fill(0);
        put(&mut self.image, 0, image);
        put(&mut self.image, XSTATE_BV_AT, &3u64.to_le_bytes());
        Ok(())
    }

    /// The image: an FXSAVE area, the XSAVE header, then the components at the offsets of the
    /// standard format.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.image
    }

    /// The layout of the image.
    #[must_use]
    pub fn layout(&self) -> ExtendedLayout {
        self.layout
    }

    /// The components that are not in their initial state.
    #[must_use]
    pub fn present(&self) -> u64 {
        u64_at(&self.image, XSTATE_BV_AT)
    }

    /// Leaves out what the layout has not, and could not be loaded again: KVM tells of protection keys
    /// even where the guest has none, and an emulated processor lets programs set any bit of MXCSR.
    pub(crate) fn keep_own_features(&mut self) {
        let present = self.present() & self.layout.features;
        put(&mut self.image, XSTATE_BV_AT, &present.to_le_bytes());
        let mxcsr = u32_at(&self.image, MXCSR_AT) & self.layout.mxcsr_mask;
        put(&mut self.image, MXCSR_AT, &mxcsr.to_le_bytes());
    }

    /// Where the kernel writes the image; it gives what [`set`](ExtendedState::set) accepts.
    pub(crate) fn kernel_buffer(&mut self) -> &mut [u8] {
        &mut self.image
    }
}

impl std::fmt::Debug for ExtendedState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtendedState")
            .field("layout", &self.layout)
            .field("present", &self.present())
            .finish_non_exhaustive()
    }
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = image.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn u32_at(image: &[u8], at: usize) -> u32 {
    let bytes = image.get(at..).and_then(|rest| rest.first_chunk());
    u32::from_le_bytes(bytes.copied().unwrap_or_default())
}

fn u64_at(image: &[u8], at: usize) -> u64 {
    let bytes = image.get(at..).and_then(|rest| rest.first_chunk());
    u64::from_le_bytes(bytes.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: ExtendedLayout = ExtendedLayout {
        len_bytes: 832,
        features: 7,
        ..ExtendedLayout::LEGACY
    };

    #[test]
    fn initial_state_is_accepted() {
        let initial = ExtendedState::initial(LAYOUT);
        let mut state = initial.clone();
        assert_eq!(state.set(initial.as_bytes()), Ok(()));
    }

    #[test]
    fn hostile_images_are_refused() {
        let good = ExtendedState::initial(LAYOUT).image;
        let with = |at: usize, byte: u8| {
            let mut image = good.clone();
            image[at] = byte;
            image
        };
        let cases = [
            ("too short", good[..831].to_vec()),
            ("empty", Vec::new()),
            ("too long", [good.clone(), vec![0]].concat()),
            ("unknown component", with(XSTATE_BV_AT, 8)),
            ("compacted", with(XCOMP_BV_AT + 7, 0x80)),
            ("reserved header byte", with(HEADER_END - 1, 1)),
            ("reserved MXCSR bit", with(MXCSR_AT + 2, 1)),
        ];
        for (name, image) in cases {
            let mut state = ExtendedState::initial(LAYOUT);
            assert_eq!(state.set(&image), Err(Errno::EINVAL), "{name}");
            assert_eq!(state.image, good, "{name}");
        }
    }

    #[test]
    fn what_the_kernel_tells_can_be_loaded_again() {
        let mut told = ExtendedState::initial(LAYOUT);
        let buffer = told.kernel_buffer();
        buffer[XSTATE_BV_AT + 1] = 2;
        buffer[MXCSR_AT..MXCSR_AT + 4].fill(0xff);
        told.keep_own_features();
        let mut state = ExtendedState::initial(LAYOUT);
        assert_eq!(state.set(told.as_bytes()), Ok(()));
    }

    #[test]
    fn legacy_image_replaces_the_rest() {
        let mut state = ExtendedState::initial(LAYOUT);
        let mut legacy = [0; LEGACY_LEN];
        legacy[160] = 7; // xmm0
        assert_eq!(state.set_legacy(&legacy), Ok(()));
        assert_eq!((state.present(), state.as_bytes()[160]), (3, 7));
        legacy[MXCSR_AT + 3] = 1;
        assert_eq!(state.set_legacy(&legacy), Err(Errno::EINVAL));
    }
}
