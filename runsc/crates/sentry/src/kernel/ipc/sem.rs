//! Semaphore sets (`man 2 semop`, `man 2 semctl`).

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use abi::Errno;
use locks::Mutex;

use super::permission::{Permission, READ, WRITE};
use super::table::{self, Lookup};
use super::{Encoder, count, limits, now, of};
use crate::error::{Result, SysError};
use crate::kernel::blocking::Unslept;
use crate::kernel::task::Task;
use crate::kernel::thread_group::ThreadGroup;
use crate::kernel::wait_queue::{Events, WaitQueue};
use crate::time::Deadline;

/// `SEMMAP` and `SEMMNU`, which nothing enforces.
const MAPS: u32 = 1_024_000_000;
/// `SEMUME`, which nothing enforces.
const UNDO_ENTRIES: u32 = 500;
/// Largest value (`SEMVMX`).
pub const MAX_VALUE: i32 = 32_767;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which semaphore.
    pub number: u16,
    /// What is added; 0: wait until it is 0.
    pub change: i16,
    /// `IPC_NOWAIT`
    pub nowait: bool,
    /// `SEM_UNDO`
    pub undo: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Semaphore {
    value: i32,
    pid: u32,
}

/// What a process's end gives back.
#[derive(Debug)]
struct Adjustments {
    group: Weak<ThreadGroup>,
    by_number: HashMap<u16, i32>,
}

/// A set.
#[derive(Debug)]
pub struct Set {
    state: Mutex<State>,
    changed: WaitQueue,
}

#[derive(Debug)]
struct State {
    permission: Permission,
    semaphores: Vec<Semaphore>,
    adjustments: Vec<Adjustments>,
    /// Those who sleep, by what they wait for.
    waiting: HashMap<(u16, Waiting), u32>,
    operated: i64,
    changed: i64,
    removed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Waiting {
    /// For a larger value (GETNCNT).
    Increase,
    /// For zero (GETZCNT).
    Zero,
}

/// Why operations can't be done.
enum Obstacle {
    Error(Errno),
    /// This semaphore is in the way, and this operation may (or may not) wait.
    Wait(u16, Waiting, bool),
}

/// `semget(2)`
pub fn get(task: &Task, key: i32, nr_semaphores: i32, flags: u32) -> Result<i32> {
    let len = usize::try_from(nr_semaphores).map_err(|_| Errno::EINVAL)?;
    if len > limits::semaphores_per_set(task) {
        return Err(Errno::EINVAL);
    }
    let limits = table::Limits {
        objects: limits::semaphore_sets(task),
        parts: limits::semaphores(task),
    };
    let namespace = of(task);
    let credentials = task.credentials();
    let mut sets = namespace.semaphores.lock();
    match sets.look_up(key, flags)? {
        Lookup::Found(id, set) => {
            let state = set.state.lock();
            state.permission.check(&credentials, flags)?;
            if len > state.semaphores.len() {
                return Err(Errno::EINVAL);
            }
            Ok(id)
        }
        Lookup::Missing if len == 0 => Err(Errno::EINVAL),
        Lookup::Missing => sets.add(key, len as u64, limits, |sequence, _| {
            task.kernel().memory().check_lasting(Errno::ENOMEM)?;
            let mut permission = Permission::new(&credentials, key, flags);
            permission.sequence = sequence;
            Ok(Arc::new(Set {
                state: Mutex::new(State {
                    permission,
                    semaphores: vec![Semaphore::default(); len],
                    adjustments: Vec::new(),
                    waiting: HashMap::new(),
                    operated: 0,
                    changed: now(task),
                    removed: false,
                }),
                changed: WaitQueue::new(),
            }))
        }),
    }
}

/// The set of an identifier.
pub fn find(task: &Task, id: i32) -> Result<Arc<Set>> {
    of(task).semaphores.lock().get(id)
}

/// `IPC_RMID`: those who wait find it gone.
pub fn remove(task: &Task, id: i32) -> Result<()> {
    let set = find(task, id)?;
    {
        let mut state = set.state.lock();
        state.permission.check_owner(&task.credentials())?;
        state.removed = true;
    }
    of(task).semaphores.lock().remove(id);
    set.changed.wake(Events::all());
    Ok(())
}

impl State {
    /// Does all operations or none.
    fn operate(
        &mut self,
        task: &Task,
        operations: &[Operation],
    ) -> core::result::Result<(), Obstacle> {
        let mut values: Vec<i32> = self.semaphores.iter().map(|one| one.value).collect();
        for operation in operations {
            let value = values.get_mut(usize::from(operation.number));
            let value = value.ok_or(Obstacle::Error(Errno::EFBIG))?;
            let change = i32::from(operation.change);
            if change == 0 && *value != 0 {
                let (number, nowait) = (operation.number, operation.nowait);
                return Err(Obstacle::Wait(number, Waiting::Zero, !nowait));
            }
            if *value + change < 0 {
                let (number, nowait) = (operation.number, operation.nowait);
                return Err(Obstacle::Wait(number, Waiting::Increase, !nowait));
            }
            *value += change;
            if *value > MAX_VALUE {
                return Err(Obstacle::Error(Errno::ERANGE));
            }
        }
        let pid = task.group().pid();
        for operation in operations {
            if let Some(semaphore) = self.semaphores.get_mut(usize::from(operation.number)) {
                semaphore.pid = pid;
            }
        }
        for (semaphore, value) in self.semaphores.iter_mut().zip(values) {
            semaphore.value = value;
        }
        for operation in operations.iter().filter(|operation| operation.undo) {
            self.remember(task.group(), *operation);
        }
        self.operated = now(task);
        Ok(())
    }

    fn remember(&mut self, group: &Arc<ThreadGroup>, operation: Operation) {
        let known = Arc::downgrade(group);
        let adjustments = &mut self.adjustments;
        let at = adjustments.iter().position(|one| one.group.ptr_eq(&known));
        let at = at.unwrap_or_else(|| {
            adjustments.push(Adjustments {
                group: known,
                by_number: HashMap::new(),
            });
            adjustments.len() - 1
        });
        let entry = adjustments[at]
            .by_number
            .entry(operation.number)
            .or_default();
        *entry = entry.saturating_sub(i32::from(operation.change));
    }

    fn wait_count(&mut self, key: (u16, Waiting), change: i32) {
        let waiting = self.waiting.entry(key).or_default();
        *waiting = waiting.saturating_add_signed(change);
    }
}

impl Set {
    /// Its line in `/proc/sysvipc/sem`.
    pub(crate) fn line(&self, id: i32) -> String {
        let state = self.state.lock();
        let owner = &state.permission;
        format!(
            "{:10} {id:10}  {:4o} {:10} {:5} {:5} {:5} {:5} {:10} {:10}\n",
            owner.key,
            owner.mode,
            state.semaphores.len(),
            owner.uid,
            owner.gid,
            owner.creator_uid,
            owner.creator_gid,
            state.operated,
            state.changed,
        )
    }

    /// `semtimedop(2)`. EAGAIN after the deadline, EIDRM, EINTR (never restarted, `man 7 signal`).
    pub fn operate(
        &self,
        task: &Task,
        operations: &[Operation],
        deadline: Option<Deadline>,
    ) -> core::result::Result<(), SysError> {
        let alters = operations.iter().any(|operation| operation.change != 0);
        let wanted = if alters { WRITE } else { READ };
        {
            let state = self.state.lock();
            if state.removed {
                return Err(Errno::EIDRM.into());
            }
            let len = state.semaphores.len();
            if operations.iter().any(|one| usize::from(one.number) >= len) {
                return Err(Errno::EFBIG.into());
            }
            state.permission.check(&task.credentials(), wanted)?;
        }
        let mut counted = None;
        let mut attempt = || {
            let mut state = self.state.lock();
            if let Some(key) = counted.take() {
                state.wait_count(key, -1);
            }
            if state.removed {
                return Some(Err(Errno::EIDRM));
            }
            match state.operate(task, operations) {
                Ok(()) => Some(Ok(())),
                Err(Obstacle::Error(errno)) => Some(Err(errno)),
                Err(Obstacle::Wait(_, _, false)) => Some(Err(Errno::EAGAIN)),
                Err(Obstacle::Wait(number, what, true)) => {
                    state.wait_count((number, what), 1);
                    counted = Some((number, what));
                    None
                }
            }
        };
        let outcome = match attempt() {
            Some(outcome) => Ok(outcome),
            None => task.wait_for(&[(&self.changed, Events::all())], deadline, attempt),
        };
        if let Some(key) = counted {
            self.state.lock().wait_count(key, -1);
        }
        match outcome {
            Ok(outcome) => outcome?,
            Err(Unslept::TimedOut) => return Err(Errno::EAGAIN.into()),
            Err(Unslept::Interrupted) => return Err(Errno::EINTR.into()),
        }
        if alters {
            self.changed.wake(Events::IN);
        }
        Ok(())
    }

    /// A process ended.
    pub(super) fn undo(&self, group: &Arc<ThreadGroup>) {
        let mut state = self.state.lock();
        let known = Arc::downgrade(group);
        let at = state
            .adjustments
            .iter()
            .position(|one| one.group.ptr_eq(&known));
        let Some(at) = at else {
            return;
        };
        let adjustments = state.adjustments.swap_remove(at);
        let pid = group.pid();
        for (number, change) in adjustments.by_number {
            if let Some(semaphore) = state.semaphores.get_mut(usize::from(number)) {
                let value = semaphore.value.saturating_add(change);
                semaphore.value = value.clamp(0, MAX_VALUE);
                semaphore.pid = pid;
            }
        }
        drop(state);
        self.changed.wake(Events::IN);
    }

    fn with<T>(
        &self,
        task: &Task,
        wanted: u32,
        look: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.state.lock();
        if state.removed {
            return Err(Errno::EIDRM);
        }
        state.permission.check(&task.credentials(), wanted)?;
        look(&mut state)
    }

    fn one<T>(
        &self,
        task: &Task,
        number: i32,
        look: impl FnOnce(&mut State, u16) -> Result<T>,
    ) -> Result<T> {
        self.with(task, READ, |state| {
            let number = u16::try_from(number).map_err(|_| Errno::EINVAL)?;
            if usize::from(number) >= state.semaphores.len() {
                return Err(Errno::EINVAL);
            }
            look(state, number)
        })
    }

    /// How many semaphores it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().semaphores.len()
    }

    /// Whether it has none; no set is made without.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// GETVAL
    pub fn value(&self, task: &Task, number: i32) -> Result<i32> {
        self.one(task, number, |state, number| {
            Ok(state.semaphores[usize::from(number)].value)
        })
    }

    /// GETPID
    pub fn last_pid(&self, task: &Task, number: i32) -> Result<u32> {
        self.one(task, number, |state, number| {
            Ok(state.semaphores[usize::from(number)].pid)
        })
    }

    /// GETNCNT, or GETZCNT.
    pub fn waiting(&self, task: &Task, number: i32, for_zero: bool) -> Result<u32> {
        let what = if for_zero {
            Waiting::Zero
        } else {
            Waiting::Increase
        };
        self.one(task, number, |state, number| {
            Ok(state.waiting.get(&(number, what)).copied().unwrap_or(0))
        })
    }

    /// GETALL
    pub fn values(&self, task: &Task) -> Result<Vec<u16>> {
        self.with(task, READ, |state| {
            let values = state.semaphores.iter();
            Ok(values
                .map(|one| u16::try_from(one.value).unwrap_or(0))
                .collect())
        })
    }

    /// SETVAL: ERANGE. Adjustments of that semaphore are forgotten.
    pub fn set_value(&self, task: &Task, number: i32, value: i32) -> Result<()> {
        if !(0..=MAX_VALUE).contains(&value) {
            return Err(Errno::ERANGE);
        }
        self.with(task, WRITE, |state| {
            let number = u16::try_from(number).map_err(|_| Errno::EINVAL)?;
            let semaphore = state.semaphores.get_mut(usize::from(number));
            let semaphore = semaphore.ok_or(Errno::EINVAL)?;
            semaphore.value = value;
            semaphore.pid = task.group().pid();
            for adjustments in &mut state.adjustments {
                adjustments.by_number.remove(&number);
            }
            state.changed = now(task);
            Ok(())
        })?;
        self.changed.wake(Events::IN);
        Ok(())
    }

    /// SETALL
    pub fn set_values(&self, task: &Task, values: &[u16]) -> Result<()> {
        if values.iter().any(|value| i32::from(*value) > MAX_VALUE) {
            return Err(Errno::ERANGE);
        }
        self.with(task, WRITE, |state| {
            for (semaphore, value) in state.semaphores.iter_mut().zip(values) {
                semaphore.value = i32::from(*value);
                semaphore.pid = task.group().pid();
            }
            state.adjustments.clear();
            state.changed = now(task);
            Ok(())
        })?;
        self.changed.wake(Events::IN);
        Ok(())
    }

    /// `IPC_STAT`: a `struct semid64_ds`.
    pub fn stat(&self, task: &Task, wanted: u32) -> Result<Vec<u8>> {
        self.with(task, wanted, |state| {
            Ok(state
                .permission
                .encode()
                .signed(state.operated)
                .word(0)
                .signed(state.changed)
                .word(0)
                .word(state.semaphores.len() as u64)
                .word(0)
                .word(0)
                .finish())
        })
    }

    /// `IPC_SET`
    pub fn set(&self, task: &Task, owner: (u32, u32), mode: u32) -> Result<()> {
        let mut state = self.state.lock();
        state.permission.set_by(&task.credentials(), owner, mode)?;
        state.changed = now(task);
        Ok(())
    }
}

/// `IPC_INFO` and `SEM_INFO`: a `struct seminfo`, and the highest slot in use.
#[must_use]
pub fn info(task: &Task, used: bool) -> (Vec<u8>, u64) {
    let namespace = of(task);
    let sets = namespace.semaphores.lock();
    let total: usize = sets.all().iter().map(|(_, set)| set.len()).sum();
    let (usz, aem) = if used {
        (count(sets.count()), count(total))
    } else {
        (20, MAX_VALUE.unsigned_abs())
    };
    let bytes = Encoder::default()
        .half(MAPS)
        .half(count(limits::semaphore_sets(task)))
        .half(u32::try_from(limits::semaphores(task)).unwrap_or(u32::MAX))
        .half(MAPS)
        .half(count(limits::semaphores_per_set(task)))
        .half(count(limits::semaphore_operations(task)))
        .half(UNDO_ENTRIES)
        .half(usz)
        .half(MAX_VALUE.unsigned_abs())
        .half(aem)
        .finish();
    (bytes, sets.highest())
}
