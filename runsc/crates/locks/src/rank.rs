//! The order of the kernel's locks, a type for each place in it.
//!
//! Files and memory: [`Rename`] > [`Dentry`] > [`Metadata`] > [`Offset`] > [`Listing`] > [`Mappings`] > [`Active`] >
//! [`Content`] > [`HostFile`].
//! Processes: [`TaskSet`] > [`Group`] > [`GroupSignals`] > [`TaskSignals`] > [`Queue`].
//!
//! The first five of files and the last two are sleeping locks: what they protect is read and written through the gofer.

use std::fmt;

/// A lock's place in the order.
pub trait Rank {
    /// What the checks know of it.
    const PLACE: Place;
}

/// Locks that are ordered with respect to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chain {
    Files,
    Processes,
    /// Ordered with nothing.
    None,
}

/// What the checks know of a rank.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(debug_assertions),
    expect(dead_code, reason = "builds without the checks do not read it")
)]
pub struct Place {
    name: &'static str,
    pub(crate) chain: Chain,
    pub(crate) level: u8,
    pub(crate) kind: Kind,
}

/// What may be done while a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Gofer requests.
    Sleeping,
    /// Neither these nor access to user memory, whose faults take it.
    Fault,
    /// None of the former.
    Plain,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! ranks {
    ($($(#[$doc:meta])* $name:ident: $chain:ident $level:literal $kind:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Rank for $name {
            const PLACE: Place = Place {
                name: stringify!($name),
                chain: Chain::$chain,
                level: $level,
                kind: Kind::$kind,
            };
        }
    )*};
}

ranks! {
    /// The one lock of a file system's renames.
    Rename: Files 0 Sleeping;
    /// Changes of a directory's entries.
    Dentry: Files 1 Sleeping;
    /// Attributes of an inode; the layers of an overlay.
    Metadata: Files 2 Sleeping;
    /// The offset of an open file description.
    Offset: Files 3 Sleeping;
    /// What was read of a directory.
    Listing: Files 4 Sleeping;
    /// The areas of an address space.
    Mappings: Files 5 Fault;
    /// The pages of an address space that are present.
    Active: Files 6 Fault;
    /// An overlay's own copy of a file, which faults look at. It is made before.
    Content: Files 7 Sleeping;
    /// An inode's descriptor of the host, which faults look at. It is opened before.
    HostFile: Files 8 Sleeping;
    /// The tree of processes.
    TaskSet: Processes 0 Plain;
    /// The links of a thread group.
    Group: Processes 1 Plain;
    /// Signals of a thread group.
    GroupSignals: Processes 2 Plain;
    /// Signals of a task.
    TaskSignals: Processes 3 Plain;
    /// The entries of a wait queue.
    Queue: Processes 4 Plain;
    /// A lock that is ordered with nothing: what it protects calls nobody.
    Unranked: None 0 Plain;
}
