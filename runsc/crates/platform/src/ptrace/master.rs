//! Making the master: a fork of the sandbox that is emptied, stripped and filtered, by calls that
//! the keeper has it perform.

use super::affinity::follow;
use super::code::{self, Entry, data};
use super::stub::Stub;
use super::title;
use super::tracee::{Call, Tracee};
use crate::{ExtendedLayout, SetupError};
use abi::{Errno, PAGE_SIZE};
use host::stub::StubImage;
use rustix::fs::{MemfdFlags, memfd_create};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Room for any XSAVE image (with AMX they have 11 KiB).
const LARGEST_XSTATE: usize = 64 << 10;
/// Where the kernel notes, in the part of the legacy area that is reserved for software, which
/// state components there are (`struct _fpx_sw_bytes`, as ptrace gives it).
const XSTATE_FEATURES_AT: usize = 464;

/// The master, asleep, and what was learnt from it.
#[derive(Debug)]
pub(super) struct Master {
    pub(super) stub: Arc<Stub>,
    pub(super) layout: ExtendedLayout,
}

type Setup<T> = Result<T, SetupError>;

fn step<T>(step: &'static str, result: Result<T, Errno>) -> Setup<T> {
    result.map_err(|errno| SetupError {
        platform: crate::PTRACE,
        step,
        errno,
    })
}

/// Makes the master, as a child of the calling OS thread.
pub(super) fn make(oom_score_step: i32) -> Setup<Master> {
    let file = step("write the stub's code", code_file())?;
    let image = StubImage {
        file: file.as_fd(),
        address: code::BASE,
        len: PAGE_SIZE,
        entry: Entry::Idle.address(),
    };
    let pid = step("clone the master stub", host::stub::spawn(image))?;
    let made = set_up(pid, oom_score_step);
    if made.is_err() {
        // Dead or alive, it is this thread's child: end it and take its status.
        let _dead = host::ptrace::kill_process(pid);
        let _reaped = host::wait::reap(pid);
    }
    made
}

fn code_file() -> Result<OwnedFd, Errno> {
    let file = memfd_create("runsc-stub", MemfdFlags::CLOEXEC).map_err(host::errno)?;
    let page = code::page();
    let mut rest = page.as_slice();
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest).map_err(host::errno)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(file)
}

fn set_up(pid: i32, oom_score_step: i32) -> Setup<Master> {
    raise_oom_score(pid, oom_score_step);
    follow(pid, &mut None);
    let tracee = step("trace the master stub", Tracee::attach(pid, pid))?;
    step("start the master stub", tracee.settle(code::is_idle))?;
    let call = |name, call: Call| step(name, tracee.call(call));
    if let Some(unregister) = rseq_call(pid) {
        call("unregister the stub's restartable sequences", unregister)?;
    }
    step(
        "unblock the stub's signals",
        host::ptrace::unblock_signals(pid),
    )?;
    for (name, arguments) in STRIPPING {
        call(name, *arguments)?;
    }
    if let Err(error) = title::keep(&tracee) {
        tracing::debug!(%error, "the host lists stubs without command lines");
    }
    call("filter the stub's system calls", FILTERING)?;
    let layout = step("read the stub's extended registers", learn_layout(pid))?;
    step("let the master stub sleep", tracee.release())?;
    Ok(Master {
        stub: Stub::of_one_thread(pid),
        layout,
    })
}

const fn prctl(option: i32, argument: u64, pointer: u64) -> Call {
    (
        libc::SYS_prctl,
        [option.cast_unsigned() as u64, argument, pointer, 0, 0, 0],
    )
}

const SECCOMP_MODE_FILTER: u64 = 2;

/// What the master does to itself first, in this order; children inherit all of it.
const STRIPPING: &[(&str, Call)] = &[
    ("give the stub a session", (libc::SYS_setsid, [0; 6])),
    (
        "tie the stub's life to the keeper's",
        prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0),
    ),
    (
        "name the stub",
        prctl(libc::PR_SET_NAME, data::NAME as u64, 0),
    ),
    (
        "forbid the stub core dumps",
        (
            libc::SYS_prlimit64,
            [0, libc::RLIMIT_CORE as u64, data::ZEROES as u64, 0, 0, 0],
        ),
    ),
    (
        "take the stub's capabilities",
        (
            libc::SYS_capset,
            [data::CAP_HEADER as u64, data::ZEROES as u64, 0, 0, 0, 0],
        ),
    ),
    ("let the stub be traced", prctl(libc::PR_SET_DUMPABLE, 1, 0)),
    (
        "forbid the stub new privileges",
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0),
    ),
    (
        "empty the stub",
        (libc::SYS_munmap, [0, code::BASE as u64, 0, 0, 0, 0]),
    ),
    (
        "empty the stub's end",
        (
            libc::SYS_munmap,
            [
                (code::BASE + PAGE_SIZE) as u64,
                (code::USER_SPACE_END - code::BASE - PAGE_SIZE) as u64,
                0,
                0,
                0,
                0,
            ],
        ),
    ),
];

/// The last of them.
const FILTERING: Call = prctl(
    libc::PR_SET_SECCOMP,
    SECCOMP_MODE_FILTER,
    data::FILTER_PROGRAM as u64,
);

/// The call that undoes the registration that the fork inherited: the kernel would write to its
/// address, which is about to be unmapped, at every preemption.
fn rseq_call(pid: i32) -> Option<Call> {
    const UNREGISTER: u64 = 1;
    let rseq = host::ptrace::rseq_configuration(pid).ok()?;
    let (len, signature) = (u64::from(rseq.len_bytes), u64::from(rseq.signature));
    (rseq.pointer != 0).then_some((
        libc::SYS_rseq,
        [rseq.pointer, len, UNREGISTER, signature, 0, 0],
    ))
}

fn learn_layout(pid: i32) -> Result<ExtendedLayout, Errno> {
    let mut image = vec![0; LARGEST_XSTATE];
    let len = host::ptrace::get_xstate(pid, &mut image)?;
    image.truncate(len);
    let features = image
        .get(XSTATE_FEATURES_AT..)
        .and_then(|rest| rest.first_chunk());
    let features = u64::from_le_bytes(features.copied().unwrap_or_default());
    Ok(ExtendedLayout::of_kernel_image(&image, features))
}

/// Makes stubs the first to go when the host runs out of memory. Not possible without /proc, which
/// changes nothing else.
fn raise_oom_score(pid: i32, by: i32) {
    let raise = || -> std::io::Result<()> {
        let own = std::fs::read_to_string("/proc/self/oom_score_adj")?;
        let own: i32 = own.trim().parse().unwrap_or_default();
        let score = own.saturating_add(by).clamp(-1000, 1000);
        std::fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string())
    };
    if let Err(error) = raise() {
        tracing::debug!(%error, "stubs keep the sandbox's oom_score_adj");
    }
}
