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
//! **vCPUs** ([`pool`]) are lent to contexts, for as long as there are plenty, and per run when
//! there are not. The kick is the reserved signal plus `immediate_exit` ([`interrupt`]).
//!
//! **Quirks of hosts.** A nested hypervisor without hardware help (`kvm_pvm`) delivers `SYSCALL` to
//! `LSTAR` in ring 3, which shows as a page fault there: it is taken as the call ([`vcpu`]), so that a
//! program that jumps there makes one too. It also makes `int 0x80`, and `ldmxcsr` of reserved bits,
//! invalid opcodes, `vmcall` a protection fault, and has `icebp` leave `rip` before it; [`exit`] gives
//! what a processor gives. `vmmcall` is answered by KVM (`rax` is `-EPERM`), as on any KVM guest, and
//! the application goes on.
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
