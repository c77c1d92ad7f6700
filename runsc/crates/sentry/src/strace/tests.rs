//! Whole lines from calls, with memory that is an array.

use abi::Errno;
use abi::raw::general as nr;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest};
use zerocopy::IntoBytes as _;

use crate::error::{Restart, SysError, SyscallResult};
use crate::strace::memory::Memory;
use crate::strace::printer::Printer;
use crate::strace::{Settings, result, show};
use crate::syscalls::table;

/// Bytes from this address on.
struct Bytes(usize, Vec<u8>);

impl Memory for Bytes {
    fn read(&self, address: usize, buffer: &mut [u8]) -> usize {
        let Some(rest) = address
            .checked_sub(self.0)
            .and_then(|offset| self.1.get(offset..))
        else {
            return 0;
        };
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        len
    }
}

const AT: usize = 0x1000;

fn line(number: u32, args: [u64; 6], memory: &[u8], result: SyscallResult) -> String {
    let memory = Bytes(AT, memory.to_vec());
    let mut printer = Printer::new(&memory, args, 8);
    let before = before(&mut printer, u64::from(number));
    result::call(&mut printer, u64::from(number), before, None, &result, || 0)
}

fn before(printer: &mut Printer<'_>, number: u64) -> Vec<Option<String>> {
    let parameters = show::parameters(number).iter().enumerate();
    let text = |(n, parameter): (usize, &show::Parameter)| parameter.before(printer, n);
    parameters.map(text).collect()
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn files() {
    let cwd = u64::from(u32::MAX) - 99;
    let openat = |memory: &[u8], result| {
        line(
            nr::__NR_openat,
            [cwd, 0x1000, 0o2_000_101, 0o644, 0, 0],
            memory,
            result,
        )
    };
    assert_eq!(
        openat(b"/etc/x\0", Ok(3)),
        "openat(AT_FDCWD, \"/etc/x\", O_WRONLY|O_CREAT|O_CLOEXEC, 0644) = 3"
    );
    assert_eq!(
        openat(b"no end", Err(SysError::Errno(Errno::EFAULT))),
        "openat(AT_FDCWD, 0x1000, O_WRONLY|O_CREAT|O_CLOEXEC, 0644) = -1 EFAULT (Bad address)"
    );
    let read = |result| {
        line(
            nr::__NR_read,
            [0, 0x1000, 100, 0, 0, 0],
            b"a\n\"\x01\x012345678",
            result,
        )
    };
    assert_eq!(read(Ok(3)), "read(0, \"a\\n\\\"\", 100) = 3");
    assert_eq!(
        read(Ok(12)),
        "read(0, \"a\\n\\\"\\1\\001234\"..., 100) = 12"
    );
    assert_eq!(
        read(Err(SysError::Restart(Restart::Sys))),
        "read(0, 0x1000, 100) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)"
    );
    assert_eq!(
        line(nr::__NR_fcntl, [3, 3, 0, 0, 0, 0], b"", Ok(0o2)),
        "fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)"
    );
}

#[test]
fn attributes_of_files_are_whole() {
    let stat = abi::fs::Stat {
        dev: 0xfe00,
        ino: 7,
        nlink: 1,
        mode: 0o100_644,
        uid: 5,
        gid: 6,
        size: 9,
        blksize: 4096,
        blocks: 8,
        mtime: 10,
        mtime_nsec: 11,
        ..abi::fs::Stat::default()
    };
    assert_eq!(
        line(
            nr::__NR_fstat,
            [3, 0x1000, 0, 0, 0, 0],
            stat.as_bytes(),
            Ok(0)
        ),
        "fstat(3, {st_dev=makedev(0xfe, 0), st_ino=7, st_mode=S_IFREG|0644, st_nlink=1, st_uid=5, st_gid=6, \
         st_blksize=4096, st_blocks=8, st_size=9, st_mtime=10, st_mtime_nsec=11, ...}) = 0"
    );
}

#[test]
fn directory_entries_have_names() {
    let entry = |ino: u64, kind: u8, name: &[u8; 5]| {
        let mut bytes = words(&[ino, ino + 1]);
        bytes.extend([24, 0, kind]);
        bytes.extend(name);
        bytes
    };
    let memory = [entry(1, 4, b".\0\0\0\0"), entry(2, 8, b"a\x01\0\0\0")].concat();
    let getdents = |memory: &[u8], result| {
        let args = [3, 0x1000, 32768, 0, 0, 0];
        line(nr::__NR_getdents64, args, memory, result)
    };
    assert_eq!(
        getdents(&memory, Ok(48)),
        "getdents64(3, [{d_ino=1, d_off=2, d_reclen=24, d_type=DT_DIR, d_name=\".\"}, \
         {d_ino=2, d_off=3, d_reclen=24, d_type=DT_REG, d_name=\"a\\1\"}], 32768) = 48"
    );
    assert_eq!(getdents(&[0; 64], Ok(48)), "getdents64(3, [], 32768) = 48");
}

#[test]
fn permissions_have_three_digits() {
    let umask = |old| line(nr::__NR_umask, [0o22, 0, 0, 0, 0, 0], b"", Ok(old));
    assert_eq!(umask(0), "umask(022) = 000");
    assert_eq!(umask(0o644), "umask(022) = 0644");
}

#[test]
fn memory_and_signals() {
    assert_eq!(
        line(
            nr::__NR_mmap,
            [0, 4096, 3, 0x22, u64::from(u32::MAX), 0],
            b"",
            Ok(0x7000)
        ),
        "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7000"
    );
    assert_eq!(
        line(
            nr::__NR_rt_sigprocmask,
            [0, 0x1000, 0, 8, 0, 0],
            &words(&[0x1_0002]),
            Ok(0)
        ),
        "rt_sigprocmask(SIG_BLOCK, [INT CHLD], NULL, 8) = 0"
    );
    assert_eq!(
        line(
            nr::__NR_rt_sigaction,
            [2, 0x1000, 0, 8, 0, 0],
            &words(&[1, 0x1000_0000, 0, !0]),
            Ok(0)
        ),
        "rt_sigaction(SIGINT, {sa_handler=SIG_IGN, sa_mask=~[], sa_flags=SA_RESTART}, NULL, 8) = 0"
    );
    assert_eq!(
        line(nr::__NR_kill, [1, 9, 0, 0, 0, 0], b"", Ok(0)),
        "kill(1, SIGKILL) = 0"
    );
}

/// As strace 6.1 prints them.
#[test]
fn real_time_signals() {
    let mask = |bits: u64| {
        let args = [0, 0x1000, 0, 8, 0, 0];
        line(nr::__NR_rt_sigprocmask, args, &words(&[bits]), Ok(0))
    };
    assert_eq!(
        mask(7 << 31),
        "rt_sigprocmask(SIG_BLOCK, [RTMIN RT_1 RT_2], NULL, 8) = 0"
    );
    assert_eq!(
        mask(!(1 << 31 | 1 << 63)),
        "rt_sigprocmask(SIG_BLOCK, ~[RTMIN RT_32], NULL, 8) = 0"
    );
    for (number, name) in [(32, "SIGRTMIN"), (33, "SIGRT_1"), (64, "SIGRT_32")] {
        let tgkill = line(nr::__NR_tgkill, [1, 1, number, 0, 0, 0], b"", Ok(0));
        assert_eq!(tgkill, format!("tgkill(1, 1, {name}) = 0"));
    }
}

#[test]
fn processes() {
    assert_eq!(
        line(
            nr::__NR_wait4,
            [u64::MAX, 0x1000, 0, 0, 0, 0],
            &[0, 7, 0, 0],
            Ok(5)
        ),
        "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 7}], 0, NULL) = 5"
    );
    assert_eq!(
        line(nr::__NR_clone, [0x120_0011, 0, 0, 0x5000, 0, 0], b"", Ok(2)),
        "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, \
         child_tidptr=0x5000) = 2"
    );
    let wait = [0x1000, 128, 2, 0, 0, 0];
    assert_eq!(
        line(
            nr::__NR_futex,
            wait,
            b"",
            Err(SysError::Errno(Errno::EAGAIN))
        ),
        "futex(0x1000, FUTEX_WAIT_PRIVATE, 2, NULL) = -1 EAGAIN (Resource temporarily unavailable)"
    );
    let execve = [0x1030, 0x1000, 0x1018, 0, 0, 0];
    let mut memory = words(&[0x1030, 0x1035, 0, 0x1030, 0, 0]);
    memory.extend(b"/b/x\0-l\0");
    assert_eq!(
        line(nr::__NR_execve, execve, &memory, Err(SysError::NoReturn)),
        "execve(\"/b/x\", [\"/b/x\", \"-l\"], 0x1018 /* 1 var */) = 0"
    );
    assert_eq!(
        line(
            nr::__NR_exit_group,
            [7, 0, 0, 0, 0, 0],
            b"",
            Err(SysError::NoReturn)
        ),
        "exit_group(7) = ?"
    );
}

#[test]
fn sockets_and_events() {
    let mut memory = b"\x01\0/s".to_vec();
    assert_eq!(
        line(nr::__NR_connect, [3, 0x1000, 4, 0, 0, 0], &memory, Ok(0)),
        "connect(3, {sa_family=AF_UNIX, sun_path=\"/s\"}, 4) = 0"
    );
    memory = words(&[0x0001_0000_0000_0003]);
    memory[4] = 1;
    memory[6] = 1;
    assert_eq!(
        line(
            nr::__NR_poll,
            [0x1000, 1, u64::MAX, 0, 0, 0],
            &memory,
            Ok(1)
        ),
        "poll([{fd=3, events=POLLIN}], 1, -1) = 1 ([{fd=3, revents=POLLIN}])"
    );
    assert_eq!(
        line(nr::__NR_socket, [1, 0o2_000_001, 0, 0, 0, 0], b"", Ok(3)),
        "socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 3"
    );
}

#[test]
fn hostile_lengths_print_something() {
    for number in 0..470 {
        for value in [0, 1, 0x1000, 0x7fff_ffff, u64::MAX] {
            for memory in [vec![], vec![0; 256], vec![0xff; 4096]] {
                for result in [Ok(value), Err(SysError::Errno(Errno::EPERM))] {
                    assert!(!line(number, [value; 6], &memory, result).is_empty());
                }
            }
        }
    }
}

#[test]
fn calls_without_a_name() {
    assert_eq!(
        line(
            467 + 400,
            [1, 2, 3, 4, 5, 6],
            b"",
            Err(SysError::Errno(Errno::ENOSYS))
        ),
        "syscall_0x363(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS (Function not implemented)"
    );
}

#[test]
fn calls_have_the_names_of_their_numbers() {
    for call in table::rows() {
        assert_eq!(abi::syscall_names::name(call.number), Some(call.name));
    }
}

#[test]
fn chosen_calls() {
    let settings = Settings {
        enabled: true,
        calls: vec!["read".to_owned(), "reed".to_owned()],
        max_string: 8,
    };
    assert!(settings.wants(0));
    assert!(!settings.wants(1));
    assert!(!settings.wants(1000));
    assert_eq!(settings.unknown_calls().collect::<Vec<_>>(), ["reed"]);
}

#[test]
fn a_call_that_sleeps_has_two_lines() {
    let memory = Bytes(AT, Vec::new());
    let mut printer = Printer::new(&memory, [3, 0, 5, 0, 0, 0], 32);
    let number = u64::from(nr::__NR_read);
    let before = vec![Some("3".to_owned()), None, Some("5".to_owned())];
    let (text, shown) = result::begun(number, &before);
    assert_eq!(text, "read(3, <unfinished ...>");
    let text = result::call(&mut printer, number, before, Some(shown), &Ok(0), || 0);
    assert_eq!(text, "<... read resumed>NULL, 5) = 0");
    let (text, _) = result::begun(u64::from(nr::__NR_fsync), &[Some("3".to_owned())]);
    assert_eq!(text, "fsync(3 <unfinished ...>");
    let (text, _) = result::begun(u64::from(nr::__NR_pause), &[]);
    assert_eq!(text, "pause(<unfinished ...>");
}

/// Memory that holds something at every address below a limit, as a hostile program may have filled it.
struct Hostile {
    bytes: Vec<u8>,
    end: usize,
}

impl Memory for Hostile {
    fn read(&self, address: usize, buffer: &mut [u8]) -> usize {
        let len = self.end.saturating_sub(address).min(buffer.len());
        for (index, byte) in buffer[..len].iter_mut().enumerate() {
            *byte = self.bytes[(address % 8191 + index) % self.bytes.len()];
        }
        len
    }
}

/// Numbers at the edges of everything.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..64_u64,
        Just(u64::MAX),
        Just(1 << 63),
        Just(u64::from(u32::MAX)),
        0x1000..0x9000_u64,
        (0..64_u32).prop_map(|bit| 1 << bit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_is_a_line_whatever_its_memory_holds(
        args in proptest::array::uniform6(word()),
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..600),
            proptest::collection::vec(word(), 1..80).prop_map(|numbers| words(&numbers)),
        ],
        end in prop_oneof![Just(0), Just(0x2001_usize), Just(0x9000_usize), Just(usize::MAX)],
        returned in word(),
        max_string in prop_oneof![Just(0_usize), Just(32), Just(5000)],
    ) {
        let memory = Hostile { bytes, end };
        for number in 0..480 {
            for result in [Ok(returned), Err(SysError::Errno(Errno::EFAULT))] {
                let mut printer = Printer::new(&memory, args, max_string);
                printer.set_stack(args[0]);
                let before = before(&mut printer, number);
                let line = result::call(&mut printer, number, before, None, &result, || returned);
                prop_assert!(line.contains(") = "));
            }
        }
    }
}
