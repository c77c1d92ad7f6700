//! Host files for the Sentry.
//!
//! [`HostTree`] is the set of operations. [`LocalTree`] does them with host calls; [`Server`] lets
//! another process ask for them over a socket, and [`RemoteTree`] asks. The gofer process runs a
//! `Server` over a `LocalTree`; a sandbox with direct access runs a `LocalTree` itself.
//!
//! Both ends distrust what they receive: the server takes the Sentry for compromised, so that a node
//! it does not know, a name that is no component, or a malformed message is an error and never more.

#![warn(missing_docs)]

pub mod file;
mod local;
pub mod name;
mod remote;
mod server;
mod tree;
mod types;
mod wire;

pub use local::{LocalTree, Policy, Root};
pub use remote::RemoteTree;
pub use server::Server;
pub use tree::HostTree;
pub use types::{
    Access, Attr, Created, Detail, Entry, FileKind, Found, Linked, Listing, Made, NewFile, NodeId,
    Opened, Remove, Rename, RenameMode, Renamed, Result, S_IFMT, SetAttr, SetTime, SocketKind,
    StatFs, Step, SyncKind, Timestamp, TreeId, Walk, WalkEnd, XattrMode,
};
