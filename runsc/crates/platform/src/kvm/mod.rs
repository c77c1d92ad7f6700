//! The KVM platform: application code runs in ring 3 of a virtual machine that has no kernel.
//!
//! **Mechanism.** All of ring 0 is one page of `hlt` instructions ([`ring0`]): the interrupt table
//! and `LSTAR` lead to them, so whatever the application does — a system call, a fault, any other
//! exception — ends in `KVM_RUN` returning `KVM_EXIT_HLT`, with `rip` telling which and the
//! processor's exception frame on the vCPU's own stack page. Nothing in ring 0 ever returns: the
//! next run sets the registers of ring 3 through `kvm_run` (`KVM_CAP_SYNC_REGS`) ([`vcpu`]), with
//! one `KVM_RUN` per run and no other host call.
//!
//! **Guest-physical memory** is never seen by the application. It has three parts ([`layout`]): the
//! ring-0 area; *chunks* of page tables ([`chunks`]); and *windows* ([`windows`]), 2 MiB pieces of
//! host files (the guest's memory file among them), mapped into this process inside large reserved
//! ranges that are the memory slots. A window comes and goes with a plain `mmap`; a slot is made
//! once per 128 windows, since making one costs milliseconds.
//!
//! **Page tables** ([`tables`]) are written here and only read by KVM. Taking an access away is
//! clearing the entry, then dropping the page from the window's mapping in this process
//! (`MADV_DONTNEED`): the host's MMU notifier makes KVM forget its own entries for that page and
//! waits until no vCPU uses them, so on return none can. That holds for shadow paging, where KVM
//! does not see this process write to page tables, and for nested paging, where it flushes
//! combined translations. Accessed and dirty bits are set from the start, so nobody else writes
//! entries. With shadow paging an upper table must never lead to another table than it once did:
//! tables are only ever added to a space, which gets a fresh tree when all of it is unmapped, and a
//! table's place is used again only after its chunk's slot was removed.
//!
//! The calls of a group drop their pages when the group is closed, neighbours together. Pages that are
//! about to be touched are entered in this process's page tables when they are mapped
//! (`MADV_POPULATE_WRITE`): KVM then makes eight entries of its own at one fault instead of one.
//!
//! **What an exit costs** on the development machine's nested hypervisor, measured with a probe and
//! `perf`: 29.5 µs where a trap to the outer hypervisor takes 2 µs, 110 µs where it takes 8, and nothing
//! of that is the platform's to save. Instructions that trap make up most of it: in the first case a read
//! of `DEBUGCTL` on the way into every request on a vCPU (4.6 µs, so that fetching or loading extended
//! registers is 5 µs too), `CR4` written back on the way out (5 µs) and presumably as much on the way in,
//! where no profile looks; four model-specific registers each way, those of the host's system calls (4 µs
//! on the return). The exception's frame and the emulated `hlt` are 4 µs, loading registers is 1.2 µs.
//! Guest `CR4`, `XCR0` and `CPUID` make no difference. Without an outer hypervisor none of these trap.
//!
//! There, a page's first touch is a fault that KVM serves alone, by its shadow tables, for a quarter of an
//! exit; it enters more than one page only where they are writable, populated, and the first of an aligned
//! group of eight. `cpuid` costs nearly half an exit, and the C library's start makes it 67 times. So `mmap`,
//! four touches and `munmap` are two exits and four such faults; `fork`, `execve` of a static program and
//! `wait` are 21 exits, 93 faults and those 67.
//!
//! **vCPUs** ([`pool`]) are lent to contexts, for as long as there are plenty, and per run when
//! there are not. The kick is the reserved signal plus `immediate_exit` ([`interrupt`]).
//!
//! **Quirks of hosts.** A nested hypervisor without hardware help (`kvm_pvm`) delivers `SYSCALL` to
//! `LSTAR` in ring 3, which shows as a page fault there: it is taken as the call ([`vcpu`]), so that a
//! program that jumps there makes one too. It also makes `int 0x80`, and `ldmxcsr` of reserved bits,
//! invalid opcodes, `vmcall`, `monitor` and `mwait` protection faults, and has `icebp` leave `rip`
//! before it; [`exit`] gives what a processor gives. It performs `cpuid` for `int 26`, and refuses
//! `int 23` and `int 25` with `rip` behind them: no exit tells. The nested-task flag is lost at each
//! entry. `vmmcall`, and `vmcall` on some, is answered by KVM (`rax` is `-EPERM`), as on any KVM guest,
//! and the application goes on.
//!
//! Lock order: space > windows > chunks > slots. None is held while application code runs.

mod chunks;
mod context;
mod exit;
mod interrupt;
mod layout;
mod machine;
mod pool;
mod region;
mod registers;
mod ring0;
mod slots;
mod space;
mod tables;
mod vcpu;
mod windows;

pub(crate) use context::Context;
pub(crate) use interrupt::Interrupter;
pub(crate) use machine::Machine;
pub(crate) use space::Space;
