//! Making a context leave its vCPU: `immediate_exit`, and the reserved signal in case it is inside.

use super::region::Region;
use crate::run_flag::RunFlag;
use host::kick::Thread;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where `immediate_exit` is in `struct kvm_run`.
const IMMEDIATE_EXIT_AT: usize = 1;

/// What a vCPU and those who kick it share: `struct kvm_run`'s first page.
#[derive(Debug)]
pub(super) struct RunPage(Region);

impl RunPage {
    pub(super) fn new(page: Region) -> RunPage {
        RunPage(page)
    }

    /// Whether the vCPU is to come back as soon as it is run.
    pub(super) fn set_immediate_exit(&self, wanted: bool) {
        if let Some(byte) = self.0.byte(IMMEDIATE_EXIT_AT) {
            byte.store(u8::from(wanted), Ordering::SeqCst);
        }
    }
}

/// Shared by a context, its interrupters, and the space that it is in.
#[derive(Debug, Default)]
pub(super) struct Flag {
    pub(super) run: RunFlag,
    /// Odd while the vCPU may be using the page tables that it was last given.
    laps: AtomicU64,
    target: Mutex<Option<Target>>,
}

/// Who is kicked: the vCPU that the context has now, and the thread that runs it.
#[derive(Clone, Debug)]
struct Target {
    page: Arc<RunPage>,
    thread: Thread,
}

impl Flag {
    /// Sets what is kicked; `None` when the context has no vCPU.
    pub(super) fn set_target(&self, target: Option<(&Arc<RunPage>, Thread)>) {
        *self.target.lock() = target.map(|(page, thread)| Target {
            page: Arc::clone(page),
            thread,
        });
    }

    /// Notes that the vCPU is about to be given page tables.
    pub(super) fn enter(&self) {
        self.laps.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that it no longer uses them.
    pub(super) fn leave(&self) {
        self.laps.fetch_add(1, Ordering::SeqCst);
    }

    fn kick(&self) {
        let target = self.target.lock();
        if let Some(target) = &*target {
            target.page.set_immediate_exit(true);
            target.thread.kick();
        }
    }

    /// Waits until the vCPU has let go of the page tables that it may be using.
    pub(super) fn wait_for_lap(&self) {
        const PAUSE: std::time::Duration = std::time::Duration::from_micros(50);
        let lap = self.laps.load(Ordering::SeqCst);
        if lap.is_multiple_of(2) {
            return;
        }
        while self.laps.load(Ordering::SeqCst) == lap {
            self.kick();
            std::thread::sleep(PAUSE);
        }
    }
}

/// Makes a context of the KVM platform return from its run.
#[derive(Clone, Debug)]
pub(crate) struct Interrupter(Arc<Flag>);

impl Interrupter {
    pub(super) fn new(flag: &Arc<Flag>) -> Interrupter {
        Interrupter(Arc::clone(flag))
    }

    pub(crate) fn interrupt(&self) {
        if self.0.run.interrupt() {
            self.0.kick();
        }
    }
}
