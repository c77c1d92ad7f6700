//! Resource limits (`man 2 getrlimit`).

/// `RLIM_INFINITY`
pub const INFINITY: u64 = u64::MAX;

/// A soft and a hard limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What counts.
    pub soft: u64,
    /// What the soft limit may be raised to.
    pub hard: u64,
}

/// The resources, with Linux's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "RLIMIT_ and the name")]
pub enum Resource {
    Cpu = 0,
    FileSize = 1,
    Data = 2,
    Stack = 3,
    Core = 4,
    ResidentSet = 5,
    Processes = 6,
    OpenFiles = 7,
    LockedMemory = 8,
    AddressSpace = 9,
    FileLocks = 10,
    PendingSignals = 11,
    MessageQueues = 12,
    Nice = 13,
    RealtimePriority = 14,
    RealtimeTime = 15,
}

/// How many resources there are.
pub const RESOURCES: usize = 16;

/// All limits of a thread group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits(pub [Limit; RESOURCES]);

impl Limits {
    /// One limit.
    #[must_use]
    pub fn get(&self, resource: Resource) -> Limit {
        self.0[resource as usize]
    }
}

impl Default for Limits {
    /// What Linux gives its first process (`include/asm-generic/resource.h`), with the file limits that
    /// container engines expect.
    fn default() -> Limits {
        let mut limits = [Limit {
            soft: INFINITY,
            hard: INFINITY,
        }; RESOURCES];
        let mut set =
            |resource: Resource, soft, hard| limits[resource as usize] = Limit { soft, hard };
        set(Resource::Stack, 8 << 20, INFINITY);
        set(Resource::Core, 0, INFINITY);
        set(Resource::OpenFiles, 1024, 1 << 20);
        set(Resource::LockedMemory, 8 << 20, 8 << 20);
        set(Resource::MessageQueues, 819_200, 819_200);
        set(Resource::Nice, 0, 0);
        set(Resource::RealtimePriority, 0, 0);
        set(Resource::PendingSignals, 96_000, 96_000);
        set(Resource::Processes, 96_000, 96_000);
        Limits(limits)
    }
}
