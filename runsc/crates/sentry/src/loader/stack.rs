//! The initial stack: strings, pointers to them, the auxiliary vector (System V ABI for x86-64, 3.4.1).

use std::ops::Range;

use abi::elf::{ProgramHeader, auxv};
use abi::{Errno, PAGE_SIZE};
use mm::AddressSpace;
use mm::address_space::{Backing, MapAt, MapRequest, MmLimits};
use platform::Access;
use zerocopy::IntoBytes;

use super::elf::Mapped;
use super::{Arguments, Identity, Loader};
use crate::error::Result;
use crate::kernel::version;

/// The longest argument or environment string with its NUL (`MAX_ARG_STRLEN`, `man 2 execve`).
pub(super) const MAX_STRING: usize = 32 * PAGE_SIZE;
/// The least that arguments and environment may take in all, whatever `RLIMIT_STACK` says (`ARG_MAX`).
const MIN_ARGUMENTS: u64 = 128 * 1024;
/// The most that they may take (three quarters of 8 MiB).
const MAX_ARGUMENTS: u64 = 6 * 1024 * 1024;
/// Mapped below what the strings need; more comes with faults.
const HEADROOM: usize = 128 * 1024;

/// What was built.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) pointer: usize,
    pub(super) args: Range<usize>,
    pub(super) env: Range<usize>,
    pub(super) auxv: Vec<u8>,
}

/// Maps a stack and fills it.
pub(super) fn build(
    mm: &AddressSpace,
    loader: &Loader<'_>,
    arguments: &Arguments,
    program: &Mapped,
    vdso: Option<usize>,
    identity: Identity,
    limits: &MmLimits,
) -> Result<Stack> {
    let total = check_size(arguments, limits.stack)?;
    let top = stack_top(loader);
    let pointers = (arguments.argv.len() + arguments.envp.len() + 64) * 8;
    let len = round_up(total + pointers + HEADROOM);
    let mut access = Access::READ | Access::WRITE;
    access.set(Access::EXECUTE, program.executable_stack);
    let request = MapRequest {
        at: MapAt::Fixed(top - len),
        len,
        access,
        max_access: Access::all(),
        private: true,
        backing: Backing::Anonymous,
        grows_down: true,
        locked: false,
        no_reserve: false,
        populate: false,
        stack: true,
    };
    mm.map(&request, limits)?;

    // From the top down: a null word, the file name, environment and argument strings.
    let mut strings = Strings::below(top - 8, total);
    let filename = strings.push(&arguments.filename);
    let env: Vec<usize> = strings.push_all(&arguments.envp);
    let env_range = strings.range_of(&env, &arguments.envp);
    let argv: Vec<usize> = strings.push_all(&arguments.argv);
    let args_range = strings.range_of(&argv, &arguments.argv);
    let platform = strings.push(version::MACHINE.as_bytes());
    let random = strings.push_raw(&super::random::<16>(), 16);
    let string_start = strings.at;
    mm.write_bytes(string_start, &strings.into_bytes())?;

    let auxv = auxiliary(program, vdso, identity, [random, platform, filename]);
    let mut words: Vec<u64> = vec![arguments.argv.len() as u64];
    words.extend(argv.iter().map(|address| *address as u64));
    words.push(0);
    words.extend(env.iter().map(|address| *address as u64));
    words.push(0);
    words.extend(auxv.iter().flat_map(|(key, value)| [*key, *value]));
    let pointer = (string_start - words.len() * 8) & !15;
    mm.write_bytes(pointer, words.as_bytes())?;
    let auxv = auxv
        .iter()
        .flat_map(|(key, value)| [*key, *value])
        .flat_map(u64::to_le_bytes)
        .collect();
    Ok(Stack {
        pointer,
        args: args_range,
        env: env_range,
        auxv,
    })
}

/// The most that all strings may take, with a pointer to each.
pub(super) fn most_bytes(stack_limit: u64) -> u64 {
    (stack_limit / 4).clamp(MIN_ARGUMENTS, MAX_ARGUMENTS)
}

/// Bytes of all strings; E2BIG as `man 2 execve` says (*Limits on size of arguments and environment*).
fn check_size(arguments: &Arguments, stack_limit: u64) -> Result<usize> {
    let mut total = 0;
    for string in arguments.argv.iter().chain(&arguments.envp) {
        if string.len() >= MAX_STRING {
            return Err(Errno::E2BIG);
        }
        total += string.len() + 1 + size_of::<u64>();
    }
    if total as u64 > most_bytes(stack_limit) {
        Err(Errno::E2BIG)
    } else {
        Ok(total + arguments.filename.len() + 64)
    }
}

/// The top of the address space less up to 16 GiB at random, as Linux places the stack.
fn stack_top(loader: &Loader<'_>) -> usize {
    let random = u32::from_le_bytes(super::random()) & 0x3f_ffff;
    loader.platform.limits().user_range.end
        - PAGE_SIZE
        - usize::try_from(random).unwrap_or(0) * PAGE_SIZE
}

fn round_up(len: usize) -> usize {
    (len + PAGE_SIZE - 1) & !(PAGE_SIZE - 1)
}

/// Strings laid out downwards from an address, gathered to be written at once.
struct Strings {
    at: usize,
    /// What lies from `at` up, in reverse.
    reversed: Vec<u8>,
}

impl Strings {
    /// Room for about `len` bytes is made at once.
    fn below(top: usize, len: usize) -> Strings {
        Strings {
            at: top,
            reversed: Vec::with_capacity(len),
        }
    }

    /// Puts a string with its NUL below what is there.
    fn push(&mut self, string: &[u8]) -> usize {
        self.reversed.push(0);
        self.reversed.extend(string.iter().rev());
        self.at -= string.len() + 1;
        self.at
    }

    /// Puts bytes at an address that is a multiple of `align`.
    fn push_raw(&mut self, bytes: &[u8], align: usize) -> usize {
        let at = (self.at - bytes.len()) & !(align - 1);
        self.reversed
            .resize(self.reversed.len() + self.at - bytes.len() - at, 0);
        self.reversed.extend(bytes.iter().rev());
        self.at = at;
        at
    }

    /// Puts strings so that the first has the lowest address.
    fn push_all(&mut self, strings: &[Vec<u8>]) -> Vec<usize> {
        let mut addresses: Vec<usize> = strings
            .iter()
            .rev()
            .map(|string| self.push(string))
            .collect();
        addresses.reverse();
        addresses
    }

    fn range_of(&self, addresses: &[usize], strings: &[Vec<u8>]) -> Range<usize> {
        match (addresses.first(), addresses.last(), strings.last()) {
            (Some(first), Some(last), Some(string)) => *first..last + string.len() + 1,
            _ => self.at..self.at,
        }
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.reversed.reverse();
        self.reversed
    }
}

/// The auxiliary vector. `strings` are the addresses of the random bytes, the platform's name, the file's.
fn auxiliary(
    program: &Mapped,
    vdso: Option<usize>,
    identity: Identity,
    strings: [usize; 3],
) -> Vec<(u64, u64)> {
    let hardware = host::cpu::hardware_capabilities();
    let [uid, euid, gid, egid] = identity.ids.map(u64::from);
    let [random, platform, filename] = strings.map(|address| address as u64);
    let mut entries = Vec::with_capacity(24);
    entries.extend(vdso.map(|base| (auxv::SYSINFO_EHDR, base as u64)));
    entries.extend([
        (auxv::MINSIGSTKSZ, hardware.min_signal_stack),
        (auxv::HWCAP, hardware.hwcap),
        (auxv::PAGESZ, PAGE_SIZE as u64),
        (auxv::CLKTCK, 100),
        (auxv::PHDR, program.headers as u64),
        (auxv::PHENT, size_of::<ProgramHeader>() as u64),
        (auxv::PHNUM, program.header_count as u64),
        (auxv::BASE, program.base as u64),
        (auxv::FLAGS, 0),
        (auxv::ENTRY, program.entry as u64),
        (auxv::UID, uid),
        (auxv::EUID, euid),
        (auxv::GID, gid),
        (auxv::EGID, egid),
        (auxv::SECURE, u64::from(identity.secure)),
        (auxv::RANDOM, random),
        (auxv::HWCAP2, hardware.hwcap2),
        (auxv::EXECFN, filename),
        (auxv::PLATFORM, platform),
        (auxv::NULL, 0),
    ]);
    entries
}
