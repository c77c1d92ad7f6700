//! The OOM killer: ends a process when the guest's memory is used up.
//!
//! An allocation that does not fit (the container's limit, or what the host can give) fails, its maker
//! drops its locks and asks for room. One process is then chosen as Linux does (`man 5 proc`,
//! *`/proc/pid/oom_score`*): the one whose resident memory, in pages, plus `oom_score_adj` thousandths of all memory
//! is most; −1000 is never chosen. What a process makes the kernel hold ([`holdings`]) counts with its memory. It and whoever shares its memory get SIGKILL, the kernel log says so,
//! and those who wait try again once its memory is back.
//!
//! Lock order: the killer's own lock is held over looks at tasks and address spaces, and never by one
//! who holds any of theirs.

pub(crate) mod holdings;
mod killed;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use abi::Errno;
use locks::Mutex;
use memory::{Reserved, Shortage};
use mm::{AddressSpace, MmStatistics};

use self::killed::Killed;
use crate::error::Result;
use crate::kernel::Kernel;
use crate::kernel::log::Level;
use crate::kernel::signal::{Signal, SignalInfo, send};
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::time::NANOS_PER_SEC;

/// `OOM_SCORE_ADJ_MIN`: never chosen.
const NEVER: i32 = -1000;
/// How long a victim may give nothing back before another is chosen.
const PATIENCE_NS: u64 = 2 * NANOS_PER_SEC;
/// How much less in use shows that a victim does give something back.
const PROGRESS_BYTES: u64 = 64 << 10;
/// How long the host may take to count as free what a victim has given back.
const SETTLE_NS: u64 = NANOS_PER_SEC / 5;
/// How often those who wait look.
const POLL: Duration = Duration::from_millis(2);
/// How often memory that others take at once is fought for.
const MOST_ATTEMPTS: usize = 100;
const PAGE: u64 = 4096;

/// Told before a process is killed.
#[derive(Clone)]
pub struct OomNotice(pub Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for OomNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OomNotice")
    }
}

/// Chooses and ends processes.
#[derive(Debug)]
pub struct OomKiller {
    chosen: Mutex<Chosen>,
    kills: AtomicU64,
    notice: Option<OomNotice>,
}

/// Who has been chosen so far.
#[derive(Debug, Default)]
struct Chosen {
    current: Option<Victim>,
    killed: Killed<AddressSpace>,
}

/// The process that is on its way out.
#[derive(Clone, Debug)]
struct Victim {
    /// [`AddressSpace::id`]
    id: u64,
    group: Weak<ThreadGroup>,
    /// When it was killed, or last seen to give something back.
    progress_ns: u64,
    /// What was in use then, in bytes.
    in_use: u64,
    /// When it was first seen without memory.
    gone_ns: Option<u64>,
}

impl Victim {
    /// Whether it still has its memory, or what it had may not have reached the host yet.
    fn is_leaving(&mut self, kernel: &Kernel) -> bool {
        let now_ns = kernel.clock().monotonic_ns();
        if let Some(gone_ns) = self.gone_ns {
            return now_ns.saturating_sub(gone_ns) < SETTLE_NS;
        }
        let in_use = in_use(kernel);
        if in_use + PROGRESS_BYTES <= self.in_use {
            (self.progress_ns, self.in_use) = (now_ns, in_use);
        }
        if now_ns.saturating_sub(self.progress_ns) >= PATIENCE_NS {
            return false;
        }
        // Its files go after its memory, and hold more than that at times.
        let has_memory = self.group.upgrade().is_some_and(|group| {
            let mut tasks = group.tasks().into_iter();
            !group.is_zombie() || tasks.any(|task| is_of(&task, self.id))
        });
        if !has_memory {
            self.gone_ns = Some(now_ns);
        }
        true
    }
}

/// The guest's memory and the kernel's own.
fn in_use(kernel: &Kernel) -> u64 {
    let memory = kernel.memory();
    memory.usage().total() + memory.kernel().held()
}

fn is_of(task: &Task, space: u64) -> bool {
    task.mm_if_alive().is_some_and(|mm| mm.id() == space)
}

/// A process that could be killed.
struct Candidate {
    pid: u32,
    task: Arc<Task>,
    space: Arc<AddressSpace>,
    statistics: MmStatistics,
    adjustment: i32,
    badness: i64,
}

impl OomKiller {
    pub(super) fn new(notice: Option<OomNotice>) -> OomKiller {
        OomKiller {
            chosen: Mutex::default(),
            kills: AtomicU64::new(0),
            notice,
        }
    }

    /// How many processes it has killed.
    #[must_use]
    pub fn kills(&self) -> u64 {
        self.kills.load(Ordering::Acquire)
    }

    fn count(&self) {
        self.kills.fetch_add(1, Ordering::Release);
    }
}

/// Has the kernel's memory ask it when there is none left.
pub(super) fn attach(kernel: &Arc<Kernel>) {
    let weak = Arc::downgrade(kernel);
    let make_room = move |shortage| {
        weak.upgrade()
            .is_some_and(|kernel| make_room(&kernel, shortage))
    };
    kernel.memory().set_make_room(Arc::new(make_room));
}

/// Does what needs memory of no address space (a tmpfs), again and again as long as there is none and
/// room can be made for it.
///
/// # Errors
/// Those of `attempt`; ENOMEM where no room could be made.
pub fn with_room<T>(task: &Task, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let shortage = Shortage {
        space: task.mm_if_alive().map_or(0, |mm| mm.id()),
        bytes: PAGE,
    };
    let mut outcome = attempt();
    for _ in 0..MOST_ATTEMPTS {
        let short = matches!(outcome, Err(Errno::ENOMEM));
        if !short || task.is_exiting() || !task.kernel().memory().make_room(shortage) {
            break;
        }
        outcome = attempt();
    }
    outcome
}

/// Less than this a call may allocate without asking.
const UNASKED_BYTES: u64 = 256 << 10;

/// Keeps room for what a call is about to allocate for the kernel, all at once; room is made if there is none.
/// No lock may be held.
///
/// # Errors
/// ENOMEM if there is none.
pub(crate) fn reserve(task: &Task, bytes: u64) -> Result<Option<Reserved<'_>>> {
    if bytes < UNASKED_BYTES {
        return Ok(None);
    }
    let memory = task.kernel().memory();
    let shortage = Shortage {
        space: task.mm_if_alive().map_or(0, |mm| mm.id()),
        bytes,
    };
    for _ in 0..MOST_ATTEMPTS {
        if let Some(reserved) = memory.reserve(bytes) {
            return Ok(Some(reserved));
        }
        if task.is_exiting() || bytes > memory.capacity() / 2 || !memory.make_room(shortage) {
            break;
        }
    }
    Err(Errno::ENOMEM)
}

/// To be called between a call and the application code after it, with no lock held: when what the kernel
/// itself holds has grown, compares it with the limit, and has room made if there is none.
#[inline]
pub(super) fn look_after_kernel_memory(task: &Task) {
    if task.kernel().memory().is_look_due() {
        look(task);
    }
}

#[cold]
fn look(task: &Task) {
    let memory = task.kernel().memory();
    if task.is_exiting() || memory.look_after_heap() {
        return;
    }
    let shortage = Shortage {
        space: task.mm_if_alive().map_or(0, |mm| mm.id()),
        bytes: PAGE,
    };
    // Nobody could be killed, or the task itself is to go: nothing more can be done here.
    let _ = memory.make_room(shortage);
}

/// Whether there is or will be room. No lock may be held.
fn make_room(kernel: &Kernel, shortage: Shortage) -> bool {
    while !kernel.memory().has_room(shortage.bytes) {
        let Some(victim) = current_victim(kernel, shortage) else {
            return false;
        };
        if victim.id == shortage.space && victim.gone_ns.is_none() {
            // The asker itself is to go: waiting for that would keep it.
            return false;
        }
        wait_for(kernel, victim, shortage.bytes);
    }
    true
}

fn wait_for(kernel: &Kernel, mut victim: Victim, bytes: u64) {
    while victim.is_leaving(kernel) && !kernel.memory().has_room(bytes) {
        std::thread::park_timeout(POLL);
    }
}

/// The process that is leaving, or one that is chosen now.
fn current_victim(kernel: &Kernel, shortage: Shortage) -> Option<Victim> {
    let mut slot = kernel.oom.chosen.lock();
    if let Some(victim) = slot.current.as_mut()
        && victim.is_leaving(kernel)
    {
        return Some(victim.clone());
    }
    slot.current = None;
    let candidates = candidates(kernel, &slot.killed);
    let chosen = candidates.iter().max_by_key(|candidate| candidate.badness);
    report(kernel, shortage, &candidates, chosen);
    let chosen = chosen?;
    let victim = Victim {
        id: chosen.space.id(),
        group: Arc::downgrade(chosen.task.group()),
        progress_ns: kernel.clock().monotonic_ns(),
        in_use: in_use(kernel),
        gone_ns: None,
    };
    if let Some(OomNotice(notice)) = &kernel.oom.notice {
        notice();
    }
    slot.current = Some(victim.clone());
    slot.killed.add(&chosen.space);
    kill(kernel, &victim);
    drop(slot);
    kernel.oom.count();
    Some(victim)
}

/// All processes that may be killed, but for those that were and did not go.
fn candidates(kernel: &Kernel, killed: &Killed<AddressSpace>) -> Vec<Candidate> {
    let total_pages = i64::try_from(kernel.memory().capacity() / PAGE).unwrap_or(i64::MAX);
    let groups = kernel.root_pid_ns().groups();
    let candidates = groups.into_iter().filter_map(|(pid, group)| {
        let mut tasks = group.tasks().into_iter();
        let (task, space) = tasks.find_map(|task| {
            let space = task.mm_if_alive()?;
            Some((task, space))
        })?;
        let adjustment = group.oom_score_adj.load(Ordering::Relaxed);
        if killed.has(&space) || adjustment <= NEVER {
            return None;
        }
        let statistics = space.statistics();
        let held = holdings::of_group(&group, space.nr_areas());
        let pages = (statistics.resident() as u64 + page_tables(&statistics) + held) / PAGE;
        let badness = i64::try_from(pages)
            .unwrap_or(i64::MAX)
            .saturating_add(total_pages / 1000 * i64::from(adjustment));
        Some(Candidate {
            pid,
            task,
            space,
            statistics,
            adjustment,
            badness,
        })
    });
    candidates.collect()
}

/// About what the page tables of so much memory take, in bytes: a page for each 2 MiB, three above.
fn page_tables(statistics: &MmStatistics) -> u64 {
    (statistics.resident() as u64).div_ceil(512 * PAGE) * PAGE + 3 * PAGE
}

/// SIGKILL for all who use the victim's memory.
fn kill(kernel: &Kernel, victim: &Victim) {
    for (_, group) in kernel.root_pid_ns().groups() {
        if group.tasks().iter().any(|task| is_of(task, victim.id)) {
            send::send_to_group(&group, SignalInfo::kernel(Signal::SIGKILL));
        }
    }
}

/// What Linux writes to the log.
fn report(
    kernel: &Kernel,
    shortage: Shortage,
    candidates: &[Candidate],
    chosen: Option<&Candidate>,
) {
    let say = |level, text: &str| kernel.log.say(kernel.clock(), level, text);
    let memory = kernel.memory();
    let limited = memory.limit() != u64::MAX;
    let asker = candidates
        .iter()
        .find(|candidate| candidate.space.id() == shortage.space);
    if let Some(asker) = asker {
        let name = name(&asker.task);
        let adjustment = asker.adjustment;
        say(
            Level::Warning,
            &format!(
                "{name} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, \
                 oom_score_adj={adjustment}"
            ),
        );
    }
    let kernel_memory = memory.kernel().held();
    let used = (memory.usage().total() + kernel_memory) / 1024;
    if limited {
        let (limit, failures) = (memory.limit() / 1024, memory.failures());
        say(
            Level::Info,
            &format!("memory: usage {used}kB, limit {limit}kB, failcnt {failures}"),
        );
        let kernel_memory = kernel_memory / 1024;
        say(
            Level::Info,
            &format!("kmem: usage {kernel_memory}kB, limit 9007199254740988kB, failcnt 0"),
        );
    }
    say(Level::Info, "Tasks state (memory values in pages):");
    say(
        Level::Info,
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
    );
    for candidate in candidates {
        say(Level::Info, &row(candidate));
    }
    let Some(chosen) = chosen else {
        say(Level::Warning, "Out of memory and no killable processes...");
        return;
    };
    say(Level::Info, &verdict(chosen, limited));
    let who = if limited {
        "Memory cgroup out of memory"
    } else {
        "Out of memory"
    };
    say(Level::Error, &format!("{who}: {}", obituary(chosen)));
    tracing::warn!(target: crate::user_log::TARGET, "{who}: {}", obituary(chosen));
}

fn name(task: &Task) -> String {
    String::from_utf8_lossy(&task.own.lock().name).into_owned()
}

fn row(candidate: &Candidate) -> String {
    format!(
        "[{pid:7}] {uid:5} {pid:5} {total:8} {rss:8} {tables:8} {swap:8} {adjustment:13} {name}",
        pid = candidate.pid,
        uid = candidate.task.credentials().uid,
        total = candidate.statistics.total / 4096,
        rss = candidate.statistics.resident() / 4096,
        tables = page_tables(&candidate.statistics),
        swap = 0,
        adjustment = candidate.adjustment,
        name = name(&candidate.task),
    )
}

fn verdict(chosen: &Candidate, limited: bool) -> String {
    let constraint = if limited {
        "CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/,task_memcg=/"
    } else {
        "CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/"
    };
    format!(
        "oom-kill:constraint={constraint},task={},pid={},uid={}",
        name(&chosen.task),
        chosen.pid,
        chosen.task.credentials().uid
    )
}

fn obituary(chosen: &Candidate) -> String {
    let statistics = &chosen.statistics;
    format!(
        "Killed process {} ({}) total-vm:{}kB, anon-rss:{}kB, file-rss:{}kB, shmem-rss:{}kB, UID:{} \
         pgtables:{}kB oom_score_adj:{}",
        chosen.pid,
        name(&chosen.task),
        statistics.total / 1024,
        statistics.resident_anonymous / 1024,
        statistics.resident_file / 1024,
        statistics.resident_shared / 1024,
        chosen.task.credentials().uid,
        page_tables(statistics) / 1024,
        chosen.adjustment
    )
}
