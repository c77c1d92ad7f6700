//! What the processes of one sandbox say to each other: JSON messages over a unix seqpacket socket
//! with descriptor passing.
//!
//! [`Request`] and [`Reply`] are the messages between the command line and the sandbox's control
//! server; [`BootConfig`] is what the sandbox process is started with, [`GoferConfig`] the gofer;
//! [`Report`] is how both say that they are ready, or why they can't be. [`Connection`] moves them.
//! Everything here is plain data: both ends treat the other's messages as hostile.

mod address;
mod boot;
mod connection;
mod container;
mod message;

pub use address::{Endpoint, socket_name};
pub use boot::{
    BootConfig, BootFds, DeniedLog, GoferConfig, GoferTree, LogConfig, NOTIFY_SOCKET, Network,
    Report, StraceConfig, read_config,
};
pub use connection::{Connection, ConnectionError, MAX_BODY_BYTES, MAX_DESCRIPTORS, Received};
pub use container::{
    Capabilities, Container, CpuLimits, Device, DeviceKind, IdentityMap, Mount, MountFlags,
    MountKind, Overlay, Process, Propagation, PropagationKind, Rlimit, Root, SeccompProfile, User,
};
pub use message::{
    ExecSpec, FailureKind, Limits, ProcessInfo, Reply, Request, StartHook, Target, Usage,
};
