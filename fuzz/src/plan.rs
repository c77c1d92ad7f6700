//! What a session is, decided by its seed.

use std::fmt;

use crate::dice::Dice;

/// Where the root file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// A directory.
    Plain,
    /// The host's overlayfs, as engines give it.
    Overlay,
    /// A directory beneath the runtime's own overlay in memory.
    OwnOverlay,
}

/// What a standard stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Nothing at all.
    Closed,
    /// `/dev/null`.
    Null,
    /// A file.
    File,
    /// A pipe that is read.
    Pipe,
    /// A pipe that nobody reads or writes.
    IdlePipe,
    /// A unix socket.
    Socket,
    /// A terminal.
    Terminal,
}

const STREAMS: [Stream; 7] = [
    Stream::Closed,
    Stream::Null,
    Stream::File,
    Stream::Pipe,
    Stream::IdlePipe,
    Stream::Socket,
    Stream::Terminal,
];

/// One session.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What decided it.
    pub(crate) seed: u64,
    /// Its root.
    pub(crate) root: Root,
    /// The user.
    pub(crate) uid: u32,
    /// Whether it has the capabilities of `--privileged`.
    pub(crate) privileged: bool,
    /// The memory limit.
    pub(crate) memory_mib: u64,
    /// The limit of tasks.
    pub(crate) nr_tasks: u64,
    /// Standard input, output and error.
    pub(crate) streams: [Stream; 3],
    /// Whether it is killed amid the calls, and not when all is quiet.
    pub(crate) killed_amid: bool,
}

impl Plan {
    /// The session of a seed.
    pub(crate) fn new(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let streams = [(); 3].map(|()| dice.pick(&STREAMS));
        Plan {
            seed,
            root: dice.pick(&[Root::Plain, Root::Overlay, Root::OwnOverlay]),
            uid: dice.pick(&[1000, 0, 0]),
            privileged: dice.roll(2) == 0,
            memory_mib: dice.pick(&[128, 256, 512]),
            nr_tasks: dice.pick(&[40, 150, 1000]),
            streams,
            killed_amid: dice.roll(2) == 0,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {:?} root, uid {}{}, {} MiB, {} tasks, stdio {:?}, killed {}",
            self.seed,
            self.root,
            self.uid,
            if self.privileged { " privileged" } else { "" },
            self.memory_mib,
            self.nr_tasks,
            self.streams,
            if self.killed_amid { "amid" } else { "quiet" },
        )
    }
}
