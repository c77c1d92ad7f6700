//! The table of system calls, put together from the declarations of each file.

use abi::Errno;

use crate::error::{SysError, SyscallResult};
use crate::kernel::task::Task;
use crate::strace::show::{Parameter, ShowResult};
use crate::syscalls::args::SyscallArgs;
use crate::user_log;

/// A handler.
pub type Handler = fn(&Task, &SyscallArgs) -> SyscallResult;

/// How far a call is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As Linux documents it.
    Full,
    /// What is missing.
    Partial(&'static str),
    /// Linux documents it as a hint that may be ignored.
    Hint,
    /// Refused on purpose with this error: why.
    Refused(Errno, &'static str),
}

/// One row: a call by number.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub(crate) parameters: &'static [Parameter],
    /// How its result is printed.
    pub(crate) result: ShowResult,
    /// How far it is supported.
    pub support: Support,
    /// What answers it; none for those refused.
    pub handler: Option<Handler>,
    /// The behaviour tests that make it.
    pub tests: &'static [&'static str],
}

impl Call {
    /// The names of its arguments.
    pub fn arguments(&self) -> impl Iterator<Item = &'static str> {
        self.parameters.iter().map(|parameter| parameter.name)
    }

    fn run(&self, task: &Task, args: &SyscallArgs) -> SyscallResult {
        match (self.handler, self.support) {
            (Some(handler), _) => handler(task, args),
            (None, Support::Refused(errno, _)) => {
                user_log::unsupported(task, args, Some(self));
                Err(SysError::Errno(errno))
            }
            (None, _) => Err(SysError::Errno(Errno::ENOSYS)),
        }
    }
}

/// The rows of every subject. Each file of this folder is named here.
const SUBJECTS: &[&[Call]] = &[
    super::aio::CALLS,
    super::attributes::CALLS,
    super::clock::CALLS,
    super::descriptor::CALLS,
    super::directory::CALLS,
    super::epoll::CALLS,
    super::eventfd::CALLS,
    super::fcntl::CALLS,
    super::futex::CALLS,
    super::ioctl::CALLS,
    super::inotify::CALLS,
    super::kcmp::CALLS,
    super::kill::CALLS,
    super::madvise::CALLS,
    super::mempolicy::CALLS,
    super::mlock::CALLS,
    super::memfd::CALLS,
    super::mmap::CALLS,
    super::mount::CALLS,
    super::mqueue::CALLS,
    super::names::CALLS,
    super::open::CALLS,
    super::pidfd::CALLS,
    super::pipe::CALLS,
    super::poll::CALLS,
    super::process_vm::CALLS,
    super::ptrace::CALLS,
    super::read_write::CALLS,
    super::restart::CALLS,
    super::seccomp::CALLS,
    super::select::CALLS,
    super::signal::CALLS,
    super::signalfd::CALLS,
    super::size::CALLS,
    super::sleep::CALLS,
    super::socket::CALLS,
    super::socket_message::CALLS,
    super::socket_options::CALLS,
    super::stat::CALLS,
    super::timer::CALLS,
    super::timerfd::CALLS,
    super::capability::CALLS,
    super::credential::CALLS,
    super::ids::CALLS,
    super::limit::CALLS,
    super::namespace::CALLS,
    super::prctl::CALLS,
    super::priority::CALLS,
    super::privileged::CALLS,
    super::process::CALLS,
    super::resource_usage::CALLS,
    super::scheduler::CALLS,
    super::syslog::CALLS,
    super::system::CALLS,
    super::transfer::CALLS,
    super::xattr::CALLS,
    super::sysv_msg::CALLS,
    super::sysv_sem::CALLS,
    super::sysv_shm::CALLS,
];

/// Numbers above every call of the release that `uname(2)` reports.
const NUMBERS: usize = 470;

/// The rows by number.
static TABLE: [Option<Call>; NUMBERS] = {
    let mut table = [None; NUMBERS];
    let mut subject = 0;
    while subject < SUBJECTS.len() {
        let mut row = 0;
        while row < SUBJECTS[subject].len() {
            let call = SUBJECTS[subject][row];
            assert!(
                table[call.number as usize].is_none(),
                "two handlers for one call"
            );
            assert!(
                !matches!(call.support, Support::Full) || !call.tests.is_empty(),
                "a call is full only if a behaviour test makes it"
            );
            table[call.number as usize] = Some(call);
            row += 1;
        }
        subject += 1;
    }
    table
};

static ROWS: [Option<Call>; NUMBERS] = TABLE;

/// The row of a call, none if there is no such call.
#[must_use]
pub fn lookup(number: u64) -> Option<&'static Call> {
    ROWS.get(usize::try_from(number).ok()?)?.as_ref()
}

/// All rows in order of number.
pub fn rows() -> impl Iterator<Item = &'static Call> {
    ROWS.iter().flatten()
}

/// Answers a call; ENOSYS if there is none of that number.
pub fn dispatch(task: &Task, args: &SyscallArgs) -> SyscallResult {
    let Some(call) = lookup(args.number) else {
        user_log::unsupported(task, args, None);
        return Err(SysError::Errno(Errno::ENOSYS));
    };
    call.run(task, args)
}
