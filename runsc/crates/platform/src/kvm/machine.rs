//! The virtual machine: one per sandbox, made before the lockdown.

use super::chunks::Chunks;
use super::layout::Layout;
use super::pool::Pool;
use super::ring0::{MOST_VCPUS, Ring0};
use super::slots::Slots;
use super::tables::Tables;
use super::vcpu::{CR4_FSGSBASE, Settings, Vcpu, errno};
use super::windows::Windows;
use crate::{ExtendedLayout, Limits, Result, SetupError};
use abi::Errno;
use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_enable_cap};
use kvm_ioctls::{Cap, Kvm, VmFd};
use rustix::process::{Resource, getrlimit};
use std::ops::Range;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;

/// The lowest address that may be mapped: Linux's default `vm.mmap_min_addr`.
const LOWEST: usize = 0x1_0000;
/// Memory slots below this are too few to be worth trying.
const FEWEST_SLOTS: usize = 32;

/// Extended state that is never offered: protection keys, which need `CR4`, and tiles, which need
/// permission.
const FEATURES_WITHHELD: u64 = 1 << 9 | 1 << 17 | 1 << 18;
/// The same in `CPUID` 7.0: ECX and EDX.
const PROTECTION_KEYS: u32 = 1 << 3 | 1 << 4;
const TILES: u32 = 1 << 22 | 1 << 24 | 1 << 25;
/// `CPUID` leaves by which a hypervisor makes itself known.
const HYPERVISOR_LEAVES: Range<u32> = 0x4000_0000..0x5000_0000;

/// `CR4`: long addresses, FXSAVE, SIMD exceptions, XSAVE.
const CR4: u64 = 1 << 5 | 1 << 9 | 1 << 10 | 1 << 18;

/// KVM must not write into the application's code when it makes a hypercall with the other vendor's
/// instruction; and removing a slot need not drop what is known of others.
const QUIRKS_OFF: u64 = 1 << 5 | 1 << 7;
const CAP_DISABLE_QUIRKS2: u32 = 213;

/// The KVM platform.
#[derive(Debug)]
pub(crate) struct Machine {
    // The order matters: vCPUs and slots go before what they are made of.
    pool: Pool,
    windows: Windows,
    chunks: Chunks,
    ring0: Arc<Ring0>,
    settings: Settings,
    extended: ExtendedLayout,
    layout: Layout,
    vm: Arc<VmFd>,
}

impl Machine {
    /// Makes the machine with an open `/dev/kvm`.
    pub(crate) fn new(device: OwnedFd) -> std::result::Result<Arc<Machine>, SetupError> {
        let failed = |step| move |errno| failure(step, errno);
        host::kick::install().map_err(failed("install the reserved signal's handler"))?;
        let kvm = kvm_of(device);
        check(&kvm)?;
        let cpuid = supported(&kvm).map_err(failed("ask what processor KVM offers"))?;
        let features = features(&cpuid);
        let vm = kvm.create_vm().map_err(errno);
        let vm = Arc::new(vm.map_err(failed("make a virtual machine"))?);
        quieten(&vm);
        let slots = Slots::new(&vm, kvm.get_nr_memslots());
        let ring0 = Ring0::new(&slots).map_err(failed("give the machine memory"))?;
        let layout = Layout::new(address_bits(&cpuid));
        let most = kvm.get_max_vcpus().min(MOST_VCPUS).min(affordable_vcpus());
        let machine = Machine {
            pool: Pool::new(most),
            windows: Windows::new(layout, &slots),
            chunks: Chunks::new(layout, &slots),
            ring0: Arc::new(ring0),
            settings: Settings {
                cpuid,
                features,
                cr4: CR4 | CR4_FSGSBASE,
            },
            extended: ExtendedLayout::LEGACY,
            layout,
            vm,
        };
        let machine = machine.begun().map_err(failed("make a vCPU"))?;
        Ok(Arc::new(machine))
    }

    /// Makes the first vCPU, whose extended registers tell what images look like.
    fn begun(mut self) -> Result<Machine> {
        let vcpu = self.new_vcpu(0)?;
        let mut image = vcpu.extended_image()?;
        image.truncate(image_len(&self.settings.cpuid, self.settings.features));
        self.extended = ExtendedLayout::of_kernel_image(&image, self.settings.features);
        self.pool.begin_with(vcpu);
        Ok(self)
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            user_range: LOWEST..crate::ptrace::USER_END,
            max_vcpus: self.pool.most(),
            rseq: false,
        }
    }

    pub(crate) fn extended_layout(&self) -> ExtendedLayout {
        self.extended
    }

    /// Whether a range is all that application code can have mapped.
    pub(super) fn is_everything(&self, range: &Range<usize>) -> bool {
        range.start <= LOWEST && range.end >= crate::ptrace::USER_END
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// See [`crate::Platform::forget_view`].
    pub(crate) fn forget_view(&self) {
        self.windows.forget_view();
    }

    /// See [`crate::Platform::make_room`].
    pub(crate) fn make_room(&self) -> bool {
        self.windows.make_room()
    }

    pub(super) fn windows(&self) -> &Windows {
        &self.windows
    }

    pub(super) fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Page tables that map nothing but ring 0.
    pub(super) fn new_tables(&self) -> Result<Tables> {
        Tables::new(&self.chunks, Ring0::upper_table())
    }

    /// Another vCPU.
    pub(super) fn new_vcpu(&self, number: usize) -> Result<Vcpu> {
        let id = u64::try_from(number).map_err(|_| Errno::EINVAL)?;
        let fd = self.vm.create_vcpu(id).map_err(errno)?;
        Vcpu::new(fd, number, &self.settings, &self.ring0)
    }
}

/// How many vCPUs there may be, each of which is a descriptor: no more than leave most descriptors to others.
fn affordable_vcpus() -> usize {
    const SHARE: u64 = 4;
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(MOST_VCPUS, |limit| {
        usize::try_from(limit / SHARE).unwrap_or(MOST_VCPUS).max(1)
    })
}

fn failure(step: &'static str, errno: Errno) -> SetupError {
    SetupError {
        platform: crate::KVM,
        step,
        errno,
    }
}

#[expect(unsafe_code, reason = "hands a descriptor over by number")]
fn kvm_of(device: OwnedFd) -> Kvm {
    // SAFETY: the descriptor is open and no longer anybody else's.
    unsafe { Kvm::from_raw_fd(device.into_raw_fd()) }
}

/// Whether KVM can do what the platform needs.
fn check(kvm: &Kvm) -> std::result::Result<(), SetupError> {
    const API_VERSION: i32 = 12;
    const REGISTERS: i32 = 3; // general and system ones
    let missing = |step| failure(step, Errno::EOPNOTSUPP);
    if kvm.get_api_version() != API_VERSION {
        return Err(missing("/dev/kvm is not KVM of version 12"));
    }
    if kvm.check_extension_int(Cap::SyncRegs) & REGISTERS != REGISTERS {
        return Err(missing("KVM lacks KVM_CAP_SYNC_REGS"));
    }
    let needed = [
        (Cap::ImmediateExit, "KVM lacks KVM_CAP_IMMEDIATE_EXIT"),
        (Cap::UserMemory, "KVM lacks KVM_CAP_USER_MEMORY"),
        (Cap::Xsave, "KVM lacks KVM_CAP_XSAVE"),
        (Cap::Xcrs, "KVM lacks KVM_CAP_XCRS"),
    ];
    for (capability, step) in needed {
        if !kvm.check_extension(capability) {
            return Err(missing(step));
        }
    }
    if kvm.get_nr_memslots() < FEWEST_SLOTS {
        return Err(missing("KVM has too few memory slots"));
    }
    Ok(())
}

/// The processor that KVM offers, without what is not to be used.
fn supported(kvm: &Kvm) -> Result<CpuId> {
    let all = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(errno)?;
    let mut entries: Vec<_> = all
        .as_slice()
        .iter()
        .filter(|entry| !HYPERVISOR_LEAVES.contains(&entry.function))
        .copied()
        .collect();
    for entry in &mut entries {
        if (entry.function, entry.index) == (7, 0) {
            entry.ecx &= !PROTECTION_KEYS;
            entry.edx &= !TILES;
        }
    }
    CpuId::from_entries(&entries).map_err(|_| Errno::ENOMEM)
}

/// The state components that there can be (`CPUID` 0xd.0).
fn features(cpuid: &CpuId) -> u64 {
    let leaf = cpuid
        .as_slice()
        .iter()
        .find(|entry| (entry.function, entry.index) == (0xd, 0));
    let all = leaf.map_or(3, |leaf| u64::from(leaf.edx) << 32 | u64::from(leaf.eax));
    all & !FEATURES_WITHHELD | 3
}

/// Bytes of an image with these components (`CPUID` 0xd.n: length and place of each).
fn image_len(cpuid: &CpuId, features: u64) -> usize {
    const LEGACY: u32 = 576;
    let ends = cpuid.as_slice().iter().filter_map(|entry| {
        let wanted = entry.function == 0xd
            && (2..64).contains(&entry.index)
            && features >> entry.index & 1 != 0;
        wanted.then(|| entry.ebx.saturating_add(entry.eax))
    });
    usize::try_from(ends.fold(LEGACY, u32::max)).unwrap_or_default()
}

/// How many bits guest-physical addresses have.
fn address_bits(cpuid: &CpuId) -> u8 {
    let leaf = cpuid
        .as_slice()
        .iter()
        .find(|entry| entry.function == 0x8000_0008);
    leaf.map_or(36, |leaf| leaf.eax.to_le_bytes()[0])
}

/// Turns quirks off, as far as the host lets one.
fn quieten(vm: &VmFd) {
    let known = vm.check_extension_raw(u64::from(CAP_DISABLE_QUIRKS2));
    let off = QUIRKS_OFF & u64::try_from(known).unwrap_or_default();
    let cap = kvm_enable_cap {
        cap: CAP_DISABLE_QUIRKS2,
        args: [off, 0, 0, 0],
        ..kvm_enable_cap::default()
    };
    if let Err(error) = vm.enable_cap(&cap) {
        tracing::debug!(%error, "KVM's quirks stay on");
    }
}
