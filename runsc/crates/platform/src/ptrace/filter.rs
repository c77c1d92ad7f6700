//! The stubs' seccomp filter: what a stub thread may call when it is not under `PTRACE_SYSEMU`.
//!
//! Application code never runs otherwise, so nothing here is reached by it, with one exception: a
//! call into the vsyscall page, which the kernel performs by itself, without a system call stop,
//! but not without asking the filter. It is turned into a SIGSYS that the tracer sees.

use super::code::{self, CLONE_PROCESS, CLONE_THREAD};
use std::ffi::c_long;

/// The page that x86-64 Linux answers itself (`man 7 vdso`, "vsyscall").
pub(super) const VSYSCALL_PAGE: u64 = 0xffff_ffff_ff60_0000;

/// One allowed call: its number, what its arguments must be, and why.
struct Allow {
    number: c_long,
    arguments: &'static [Argument],
    #[expect(dead_code, reason = "the list is also documentation")]
    reason: &'static str,
}

/// An argument's index and the values that it may have.
struct Argument {
    index: u32,
    values: &'static [u64],
}

const MAP: u64 = (libc::MAP_SHARED | libc::MAP_FIXED).cast_unsigned() as u64;
const MAP_POPULATED: u64 = MAP | libc::MAP_POPULATE.cast_unsigned() as u64;

const ALLOWED: &[Allow] = &[
    Allow {
        number: libc::SYS_mmap,
        arguments: &[Argument {
            index: 3,
            values: &[MAP, MAP_POPULATED],
        }],
        reason: "map a host file, shared, at a given place",
    },
    Allow {
        number: libc::SYS_munmap,
        arguments: &[],
        reason: "unmap",
    },
    Allow {
        number: libc::SYS_mprotect,
        arguments: &[Argument {
            index: 2,
            values: &[0, 1, 2, 3, 4, 5, 6, 7],
        }],
        reason: "take access away",
    },
    Allow {
        number: libc::SYS_clone,
        arguments: &[Argument {
            index: 0,
            values: &[CLONE_PROCESS, CLONE_THREAD],
        }],
        reason: "make the next stub process or thread",
    },
    Allow {
        number: libc::SYS_pause,
        arguments: &[],
        reason: "sleep until wanted",
    },
    Allow {
        number: libc::SYS_exit,
        arguments: &[],
        reason: "retire a thread",
    },
    // What a mix of the two would do, nobody minds: EINVAL or EFAULT.
    Allow {
        number: libc::SYS_prctl,
        arguments: &[
            Argument {
                index: 0,
                values: &[
                    libc::PR_SET_PDEATHSIG.cast_unsigned() as u64,
                    libc::PR_SET_NAME.cast_unsigned() as u64,
                ],
            },
            Argument {
                index: 1,
                values: &[libc::SIGKILL.cast_unsigned() as u64, code::COMMANDS as u64],
            },
        ],
        reason: "a new stub process dies with the keeper; it is named like its program",
    },
];

// Classic BPF, `linux/bpf_common.h` and `linux/seccomp.h`.
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
const RETURN_ALLOW: u32 = 0x7fff_0000;
const RETURN_TRAP: u32 = 0x0003_0000;
const RETURN_KILL_PROCESS: u32 = 0x8000_0000;
// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
const POINTER_LOW_AT: u32 = 8;
const POINTER_HIGH_AT: u32 = 12;
const ARGUMENTS_AT: u32 = 16;

/// The filter as an array of `struct sock_filter`, in bytes.
pub(super) fn program() -> Vec<u8> {
    let mut filter = Assembler::default();
    vsyscall_traps(&mut filter);
    filter.op(LOAD_WORD, ARCH_AT);
    filter.skip_if_equal(host::ptrace::ARCH_X86_64, 1);
    filter.op(RETURN, RETURN_KILL_PROCESS);
    for rule in ALLOWED {
        allow(&mut filter, rule);
    }
    filter.op(RETURN, RETURN_KILL_PROCESS);
    filter.bytes
}

fn vsyscall_traps(filter: &mut Assembler) {
    let (high, low) = halves(VSYSCALL_PAGE);
    filter.op(LOAD_WORD, POINTER_HIGH_AT);
    filter.skip_unless_equal(high, 4);
    filter.op(LOAD_WORD, POINTER_LOW_AT);
    filter.op(AND, !0xfff);
    filter.skip_unless_equal(low, 1);
    filter.op(RETURN, RETURN_TRAP);
}

fn allow(filter: &mut Assembler, rule: &Allow) {
    let mut checks = Assembler::default();
    for argument in rule.arguments {
        argument_is_one_of(&mut checks, argument);
    }
    checks.op(RETURN, RETURN_ALLOW);
    filter.op(LOAD_WORD, NUMBER_AT);
    filter.skip_unless_equal(u32::try_from(rule.number).unwrap_or(u32::MAX), checks.len());
    filter.bytes.extend(checks.bytes);
}

fn argument_is_one_of(filter: &mut Assembler, argument: &Argument) {
    const PER_VALUE: usize = 4;
    let at = ARGUMENTS_AT + 8 * argument.index;
    for (index, &value) in argument.values.iter().enumerate() {
        let (high, low) = halves(value);
        let rest = (argument.values.len() - index - 1) * PER_VALUE;
        filter.op(LOAD_WORD, at + 4);
        filter.skip_unless_equal(high, 2);
        filter.op(LOAD_WORD, at);
        filter.skip_if_equal(low, rest + 1);
    }
    filter.op(RETURN, RETURN_KILL_PROCESS);
}

fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (
        u32::from_le_bytes([e, f, g, h]),
        u32::from_le_bytes([a, b, c, d]),
    )
}

/// Collects instructions.
#[derive(Default)]
struct Assembler {
    bytes: Vec<u8>,
}

impl Assembler {
    fn op(&mut self, code: u16, operand: u32) {
        self.jump(code, 0, 0, operand);
    }

    fn skip_if_equal(&mut self, operand: u32, nr_instructions: usize) {
        let skip = u8::try_from(nr_instructions).expect("rules are short");
        self.jump(JUMP_IF_EQUAL, skip, 0, operand);
    }

    fn skip_unless_equal(&mut self, operand: u32, nr_instructions: usize) {
        let skip = u8::try_from(nr_instructions).expect("rules are short");
        self.jump(JUMP_IF_EQUAL, 0, skip, operand);
    }

    fn jump(&mut self, code: u16, if_true: u8, if_false: u8, operand: u32) {
        self.bytes.extend(code.to_ne_bytes());
        self.bytes.extend([if_true, if_false]);
        self.bytes.extend(operand.to_ne_bytes());
    }

    fn len(&self) -> usize {
        self.bytes.len() / 8
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Machine};
    use super::*;
    use abi::Errno;

    /// `ENOSYS` of a call that the filter lets through would show as itself, a kill as `ESRCH`.
    #[test]
    fn calls_outside_the_list_end_the_stub() {
        let private = (libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_ANONYMOUS) as u64;
        let vfork = (libc::CLONE_VFORK | libc::CLONE_VM) as u64;
        let dumpable = libc::PR_SET_DUMPABLE as u64;
        let name = libc::PR_SET_NAME as u64;
        let cases = [
            ("getpid", (libc::SYS_getpid, [0; 6])),
            ("write", (libc::SYS_write, [1, 0, 0, 0, 0, 0])),
            ("execve", (libc::SYS_execve, [0; 6])),
            ("exit_group", (libc::SYS_exit_group, [0; 6])),
            ("clone3", (libc::SYS_clone3, [0; 6])),
            (
                "private mmap",
                (libc::SYS_mmap, [0x1000, 0x1000, 3, private, 0, 0]),
            ),
            (
                "mmap, high flags",
                (libc::SYS_mmap, [0x1000, 0x1000, 3, MAP | 1 << 32, 0, 0]),
            ),
            (
                "mprotect, growing",
                (libc::SYS_mprotect, [0x1000, 0x1000, 0x0100_0001, 0, 0, 0]),
            ),
            ("vfork", (libc::SYS_clone, [vfork, 0, 0, 0, 0, 0])),
            (
                "another prctl",
                (libc::SYS_prctl, [dumpable, 9, 0, 0, 0, 0]),
            ),
            (
                "a name from elsewhere",
                (libc::SYS_prctl, [name, 0x1000, 0, 0, 0, 0]),
            ),
        ];
        let machine = Machine::new(Config::default()).unwrap();
        for (name, call) in cases {
            let stub = machine.take_stub().unwrap();
            let result = stub.with_helper(|helper| helper.call(call));
            assert_eq!(result, Err(Errno::ESRCH), "{name}");
            machine.give_back_stub(&stub);
        }
    }

    #[test]
    fn calls_on_the_list_are_the_hosts() {
        let machine = Machine::new(Config::default()).unwrap();
        let stub = machine.take_stub().unwrap();
        let at = 0x1_0000;
        let result = stub.with_helper(|helper| {
            helper.call((libc::SYS_munmap, [at, 0x1000, 0, 0, 0, 0]))?;
            let not_mapped = helper.call((libc::SYS_mprotect, [at, 0x1000, 7, 0, 0, 0]));
            assert_eq!(not_mapped, Err(Errno::ENOMEM));
            let no_file = helper.call((libc::SYS_mmap, [at, 0x1000, 7, MAP, u64::MAX, 0]));
            assert_eq!(no_file, Err(Errno::EBADF));
            Ok(())
        });
        assert_eq!(result, Ok(()));
        machine.give_back_stub(&stub);
    }
}
