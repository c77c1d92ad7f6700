//! One virtual processor.

use super::exit;
use super::interrupt::RunPage;
use super::region::Region;
use super::registers;
use super::ring0::{self, Entered, Frame, Ring0};
use crate::{ExtendedState, Result, ThreadState};
use abi::Errno;
use kvm_bindings::{kvm_dtable, kvm_segment, kvm_sregs, kvm_xsave};
use kvm_ioctls::{SyncReg, VcpuExit, VcpuFd};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

/// A vCPU, set up to run ring 3.
#[derive(Debug)]
pub(super) struct Vcpu {
    fd: VcpuFd,
    number: usize,
    page: Arc<RunPage>,
    /// The system registers as they are but for what a run sets.
    system: kvm_sregs,
    ring0: Arc<Ring0>,
}

/// Why a vCPU came back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// The application made a system call.
    Syscall,
    /// An exception: its vector, what the processor left, and the page fault address register.
    Vector(u8, Frame, u64),
    /// It was kicked, or for no reason of the application's, while in ring 3.
    Kicked,
    /// The host can't give a page that is mapped.
    NoPage,
    /// KVM could not go on with the instruction.
    NotEmulated,
    /// Something that should not be.
    Broken,
}

/// What every vCPU is set to.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) cpuid: kvm_bindings::CpuId,
    pub(super) features: u64,
    pub(super) cr4: u64,
}

/// `CR0`: protection, coprocessor, native errors, write protection, alignment mask, paging.
const CR0: u64 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 18 | 1 << 31;
/// `EFER`: system calls, long mode enabled and active, no-execute.
const EFER: u64 = 1 | 1 << 8 | 1 << 10 | 1 << 11;
/// `CR4`: instructions on the bases of FS and GS.
pub(super) const CR4_FSGSBASE: u64 = 1 << 16;

const MSR_STAR: u32 = 0xc000_0081;
const MSR_LSTAR: u32 = 0xc000_0082;
const MSR_CSTAR: u32 = 0xc000_0083;
const MSR_SFMASK: u32 = 0xc000_0084;
/// What `syscall` clears: everything but the bit that is always set.
const SYSCALL_MASK: u64 = 0x25_7fd5;

impl Vcpu {
    /// Sets a new vCPU up.
    ///
    /// # Errors
    /// KVM's.
    pub(super) fn new(
        mut fd: VcpuFd,
        number: usize,
        settings: &Settings,
        ring0: &Arc<Ring0>,
    ) -> Result<Vcpu> {
        fd.set_cpuid2(&settings.cpuid).map_err(errno)?;
        let system = set_system(&fd, number, settings)?;
        set_entry(&fd)?;
        set_clock(&fd);
        let mut xcrs = kvm_bindings::kvm_xcrs {
            nr_xcrs: 1,
            ..Default::default()
        };
        xcrs.xcrs[0].value = settings.features;
        fd.set_xcrs(&xcrs).map_err(errno)?;
        fd.set_sync_valid_reg(SyncReg::Register);
        fd.set_sync_valid_reg(SyncReg::SystemRegister);
        let page = RunPage::new(run_page(&fd)?);
        Ok(Vcpu {
            fd,
            number,
            page: Arc::new(page),
            system,
            ring0: Arc::clone(ring0),
        })
    }

    /// What it is kicked by.
    pub(super) fn page(&self) -> &Arc<RunPage> {
        &self.page
    }

    /// Makes its registers `state`'s, in the address space of `root`, for the next run.
    pub(super) fn load(&mut self, state: &ThreadState, root: u64) {
        registers::put_system(state, root, &mut self.system);
        let sync = self.fd.sync_regs_mut();
        sync.regs = registers::general(state);
        sync.sregs = self.system;
        self.fd.set_sync_dirty_reg(SyncReg::Register);
        self.fd.set_sync_dirty_reg(SyncReg::SystemRegister);
    }

    /// Runs until the application does something, or the vCPU is kicked.
    pub(super) fn run(&mut self) -> Stop {
        loop {
            let stop = match self.fd.run() {
                Ok(VcpuExit::Hlt) => Some(self.halted()),
                Ok(VcpuExit::InternalError) => Some(self.not_emulated()),
                Ok(VcpuExit::Intr | VcpuExit::IrqWindowOpen) => self.kicked(),
                Ok(other) => {
                    tracing::warn!("a vCPU stopped for an unexpected reason: {other:?}");
                    Some(Stop::Broken)
                }
                Err(error) => match error.errno() {
                    libc::EINTR | libc::EAGAIN => self.kicked(),
                    libc::EFAULT if !self.is_in_ring0() => Some(Stop::NoPage),
                    other => {
                        tracing::warn!("a vCPU can't run: {}", Errno::from_raw(other));
                        Some(Stop::Broken)
                    }
                },
            };
            if let Some(stop) = stop {
                return stop;
            }
        }
    }

    /// A kick counts only when nothing of an exception is under way: else the vCPU is run on until
    /// that has come to its end, which takes no instruction of the application's.
    fn kicked(&mut self) -> Option<Stop> {
        if self.is_in_ring0() {
            self.page.set_immediate_exit(false);
            return None;
        }
        let under_way = self
            .fd
            .get_vcpu_events()
            .is_ok_and(|events| events.exception.injected != 0 || events.exception.pending != 0);
        if under_way {
            self.page.set_immediate_exit(false);
        }
        (!under_way).then_some(Stop::Kicked)
    }

    fn is_in_ring0(&self) -> bool {
        self.fd.sync_regs().sregs.cs.dpl == 0
    }

    fn not_emulated(&self) -> Stop {
        if self.is_in_ring0() {
            Stop::Broken
        } else {
            Stop::NotEmulated
        }
    }

    fn halted(&mut self) -> Stop {
        let sync = self.fd.sync_regs_mut();
        let (rip, rsp, address) = (sync.regs.rip, sync.regs.rsp, sync.sregs.cr2);
        match Ring0::entered(rip) {
            Some(Entered::Syscall) => {
                (sync.regs.rip, sync.regs.rflags) = (sync.regs.rcx, sync.regs.r11);
                Stop::Syscall
            }
            Some(Entered::Vector(vector)) => {
                let has_error_code = exit::has_error_code(vector);
                let Some(frame) = self.ring0.frame(self.number, rsp, has_error_code) else {
                    return Stop::Broken;
                };
                (sync.regs.rip, sync.regs.rflags) = (frame.rip, frame.rflags);
                sync.regs.rsp = frame.rsp;
                if is_syscall(vector, &frame, address) {
                    (sync.regs.rip, sync.regs.rflags) = (sync.regs.rcx, sync.regs.r11);
                    return Stop::Syscall;
                }
                Stop::Vector(vector, frame, address)
            }
            None => Stop::Broken,
        }
    }

    /// The registers where the application stopped.
    pub(super) fn fetch(&self, state: &mut ThreadState) {
        let sync = self.fd.sync_regs();
        registers::take(&sync.regs, &sync.sregs, state);
    }

    /// The image of the extended registers, as long as KVM makes it.
    ///
    /// # Errors
    /// KVM's.
    pub(super) fn extended_image(&self) -> Result<Vec<u8>> {
        let xsave = self.fd.get_xsave().map_err(errno)?;
        Ok(xsave
            .region
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect())
    }

    /// Loads the extended registers.
    ///
    /// # Errors
    /// KVM's.
    pub(super) fn set_extended(&self, extended: &ExtendedState) -> Result<()> {
        let mut xsave = kvm_xsave::default();
        for (word, bytes) in xsave
            .region
            .iter_mut()
            .zip(extended.as_bytes().chunks_exact(4))
        {
            *word = u32::from_le_bytes(bytes.try_into().unwrap_or_default());
        }
        set_xsave(&self.fd, &xsave).map_err(errno)
    }

    /// Reads the extended registers.
    ///
    /// # Errors
    /// KVM's.
    pub(super) fn get_extended(&self, extended: &mut ExtendedState) -> Result<()> {
        let xsave = self.fd.get_xsave().map_err(errno)?;
        let image = extended.kernel_buffer();
        for (bytes, word) in image.chunks_exact_mut(4).zip(xsave.region) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        extended.keep_own_features();
        Ok(())
    }
}

/// Whether a page fault is how the nested hypervisor of some hosts delivers `syscall`: the
/// instruction has been performed, but for the change to ring 0. A jump there looks the same; what
/// follows is what the program's registers say, as for any call.
fn is_syscall(vector: u8, frame: &Frame, address: u64) -> bool {
    vector == exit::PAGE_FAULT
        && frame.rip == ring0::SYSCALL_ENTRY
        && address == ring0::SYSCALL_ENTRY
}

fn set_system(fd: &VcpuFd, number: usize, settings: &Settings) -> Result<kvm_sregs> {
    let mut sregs = fd.get_sregs().map_err(errno)?;
    sregs.cr0 = CR0;
    sregs.cr4 = settings.cr4;
    sregs.efer = EFER;
    sregs.cr3 = 0;
    sregs.idt = table(Ring0::idt(), ring0::IDT_LIMIT);
    sregs.gdt = table(Ring0::gdt(), ring0::GDT_LIMIT);
    sregs.tr = registers::task_segment(number);
    sregs.ldt = kvm_segment {
        unusable: 1,
        ..kvm_segment::default()
    };
    registers::put_system(
        &ThreadState::initial(0, 0),
        super::layout::RING0_AT,
        &mut sregs,
    );
    if fd.set_sregs(&sregs).is_err() {
        // Where KVM does not offer the instructions on the bases, they can't be turned on.
        sregs.cr4 &= !CR4_FSGSBASE;
        fd.set_sregs(&sregs).map_err(errno)?;
    }
    fd.get_sregs().map_err(errno)
}

fn table(base: u64, limit: u16) -> kvm_dtable {
    kvm_dtable {
        base,
        limit,
        ..kvm_dtable::default()
    }
}

fn set_entry(fd: &VcpuFd) -> Result<()> {
    let star = u64::from(ring0::CODE_SELECTOR) << 32 | 0x23 << 48;
    let entry = |index, data| kvm_bindings::kvm_msr_entry {
        index,
        data,
        ..Default::default()
    };
    let entries = [
        entry(MSR_STAR, star),
        entry(MSR_LSTAR, ring0::SYSCALL_ENTRY),
        entry(MSR_CSTAR, ring0::SYSCALL_ENTRY),
        entry(MSR_SFMASK, SYSCALL_MASK),
    ];
    let msrs = kvm_bindings::Msrs::from_entries(&entries).map_err(|_| Errno::EINVAL)?;
    let set = fd.set_msrs(&msrs).map_err(errno)?;
    (set == entries.len()).then_some(()).ok_or(Errno::EINVAL)
}

/// Makes the vCPU's time-stamp counter the host's, which the guest's vDSO reads. Where KVM has no
/// such attribute (before Linux 5.16) the counter differs.
#[expect(unsafe_code, reason = "a request that the bindings lack")]
fn set_clock(fd: &VcpuFd) {
    const KVM_SET_DEVICE_ATTR: libc::c_ulong = 0x4018_aee1;
    let offset = 0u64;
    let attribute = kvm_bindings::kvm_device_attr {
        group: kvm_bindings::KVM_VCPU_TSC_CTRL,
        attr: u64::from(kvm_bindings::KVM_VCPU_TSC_OFFSET),
        addr: (&raw const offset).expose_provenance() as u64,
        flags: 0,
    };
    // SAFETY: the request reads the attribute and the eight bytes that it names; both outlive it.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), KVM_SET_DEVICE_ATTR, &raw const attribute) };
    if result != 0 {
        tracing::debug!("a vCPU's time-stamp counter is not the host's");
    }
}

#[expect(unsafe_code, reason = "KVM reads an image of a length that it tells")]
fn set_xsave(fd: &VcpuFd, xsave: &kvm_xsave) -> std::result::Result<(), kvm_ioctls::Error> {
    // SAFETY: without dynamically enabled features, which this process never asks for, the image is
    // exactly as long as the structure.
    unsafe { fd.set_xsave(xsave) }
}

#[expect(unsafe_code, reason = "borrows the vCPU's descriptor by number")]
fn run_page(fd: &VcpuFd) -> Result<Region> {
    // SAFETY: the descriptor is open as long as `fd` is borrowed.
    let file = unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) };
    Region::of_file(file, abi::PAGE_SIZE)
}

pub(super) fn errno(error: kvm_ioctls::Error) -> Errno {
    Errno::from_raw(error.errno())
}
