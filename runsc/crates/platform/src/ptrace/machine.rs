//! The platform's own state: the master, the keeper, and the pool of empty stubs.

use super::USER_END;
use super::affinity;
use super::batch::{CommandFile, Commands};
use super::code::{self, Entry};
use super::keeper::Keeper;
use super::stub::Stub;
use super::tracee::Tracee;
use crate::{ExtendedLayout, Limits, Result, SetupError};
use abi::Errno;
use parking_lot::Mutex;
use rustix::thread::CpuSet;
use std::ops::Range;
use std::sync::Arc;

/// The lowest address that may be mapped where the host does not tell (`vm.mmap_min_addr`).
const DEFAULT_LOWEST: usize = 0x1_0000;

/// What can be chosen about the ptrace platform.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many empty stub processes are kept for the next `fork` or `execve`.
    pub pool_size: usize,
    /// What is added to the process's own `oom_score_adj` for stubs, so that the host's OOM killer
    /// takes them before the sandbox.
    pub oom_score_step: i32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            pool_size: 8,
            oom_score_step: 200,
        }
    }
}

/// The ptrace platform.
#[derive(Debug)]
pub(crate) struct Machine {
    config: Config,
    master: Arc<Stub>,
    keeper: Keeper,
    commands: Arc<CommandFile>,
    pool: Mutex<Vec<Arc<Stub>>>,
    layout: ExtendedLayout,
    lowest: usize,
    /// The processors that this process may use.
    anywhere: CpuSet,
}

impl Machine {
    pub(crate) fn new(config: Config) -> std::result::Result<Arc<Machine>, SetupError> {
        let failed = |step| {
            move |errno| SetupError {
                platform: crate::PTRACE,
                step,
                errno,
            }
        };
        host::kick::silence_child_stops().map_err(failed("silence SIGCHLD for stops"))?;
        host::kick::install().map_err(failed("install the reserved signal's handler"))?;
        let commands = CommandFile::new().map_err(failed("make the file of stubs' calls"))?;
        let (keeper, master) = Keeper::start(config.oom_score_step)?;
        Ok(Arc::new(Machine {
            config,
            master: master.stub,
            keeper,
            commands,
            pool: Mutex::default(),
            layout: master.layout,
            lowest: lowest_address(),
            anywhere: affinity::anywhere(),
        }))
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            user_range: self.lowest..USER_END,
            max_vcpus: usize::MAX,
            rseq: false,
        }
    }

    pub(crate) fn extended_layout(&self) -> ExtendedLayout {
        self.layout
    }

    /// Whether a range is all that application code can have mapped.
    pub(super) fn is_everything(&self, range: &Range<usize>) -> bool {
        range.start <= self.lowest && range.end >= USER_END
    }

    pub(super) fn anywhere(&self) -> CpuSet {
        self.anywhere
    }

    pub(super) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// An empty stub, from the pool or new.
    pub(super) fn take_stub(&self) -> Result<Arc<Stub>> {
        // The lock may not be held for the length of the loop's body.
        let pop = || self.pool.lock().pop();
        while let Some(stub) = pop() {
            if !stub.is_lost() {
                return Ok(stub);
            }
            self.end_stub(&stub);
        }
        self.new_stub().map_err(|error| {
            tracing::warn!(%error, "the host gives no new stub");
            match error {
                Errno::ENOMEM => Errno::ENOMEM,
                _ => Errno::EAGAIN,
            }
        })
    }

    fn new_stub(&self) -> Result<Arc<Stub>> {
        let fork = |master: &Tracee| master.clone_at(Entry::Fork, code::CLONE_PROCESS);
        let pid = self.master.with_helper(fork)?;
        let stub = Stub::with_new_helper(pid, Commands::new(&self.commands));
        if stub.is_err() {
            // Dead or alive, the process is nobody else's.
            let _dead = host::ptrace::kill_process(pid);
            self.keeper.reap(pid);
        }
        stub
    }

    /// Empties a stub and keeps it for another space, or ends it.
    pub(super) fn give_back_stub(&self, stub: &Arc<Stub>) {
        let usable = !stub.is_lost() && !stub.is_named();
        let wanted = usable && self.pool.lock().len() < self.config.pool_size;
        let emptied = wanted && stub.unmap_all().is_ok();
        if emptied {
            self.pool.lock().push(Arc::clone(stub));
        } else {
            self.end_stub(stub);
        }
    }

    fn end_stub(&self, stub: &Stub) {
        stub.kill();
        self.keeper.reap(stub.pid());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let pool = std::mem::take(self.pool.get_mut());
        for stub in pool.iter().chain([&self.master]) {
            self.end_stub(stub);
        }
    }
}

fn lowest_address() -> usize {
    let lowest = std::fs::read_to_string("/proc/sys/vm/mmap_min_addr")
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok())
        .unwrap_or(DEFAULT_LOWEST);
    lowest.next_multiple_of(abi::PAGE_SIZE).max(abi::PAGE_SIZE)
}
