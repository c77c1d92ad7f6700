//! The requests, one per operation of [`crate::HostTree`].

use zerocopy::IntoBytes;

use super::codec::{Malformed, Reader, Wire};
use super::{RequestHeader, seal};
use crate::types::{
    Access, Detail, NewFile, NodeId, Remove, RenameMode, SetAttr, SocketKind, Step, SyncKind,
    TreeId, XattrMode,
};

macro_rules! requests {
    ($($(#[$doc:meta])* $number:literal $name:ident { $($field:ident: $ty:ty),* })*) => {
        /// What a client asks for.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) enum Request<'a> {
            $($(#[$doc])* $name { $($field: $ty),* },)*
            #[expect(dead_code, reason = "uses the lifetime whatever the list of requests holds")]
            Never(std::convert::Infallible, &'a ()),
        }

        impl<'a> Request<'a> {
            fn op(&self) -> u32 {
                match self {
                    $(Request::$name { .. } => $number,)*
                    Request::Never(never, _) => match *never {},
                }
            }

            fn put_body(&self, out: &mut Vec<u8>) {
                match self {
                    $(Request::$name { $($field),* } => { $($field.put(out);)* })*
                    Request::Never(never, _) => match *never {},
                }
            }

            /// Reads the body of operation `op`.
            pub(crate) fn decode(op: u32, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
                #[allow(unused_mut, clippy::allow_attributes, reason = "operations without fields")]
                let mut reader = Reader::new(body);
                let request = match op {
                    $($number => Request::$name { $($field: Wire::take(&mut reader)?),* },)*
                    _ => return Err(Malformed),
                };
                reader.finish()?;
                Ok(request)
            }
        }
    };
}

requests! {
    /// A further connection, donated with the answer.
    1 Connect {}
    2 Attach { tree: TreeId }
    3 Walk { from: NodeId, steps: Vec<Step<'a>> }
    4 Attributes { node: NodeId }
    5 SetAttributes { node: NodeId, change: SetAttr }
    6 Open { node: NodeId, access: Access }
    7 Create { dir: NodeId, name: &'a [u8], access: Access, new: NewFile }
    8 CreateUnnamed { dir: NodeId, access: Access, new: NewFile }
    9 MakeDir { dir: NodeId, name: &'a [u8], new: NewFile }
    10 Symlink { dir: NodeId, name: &'a [u8], target: &'a [u8], new: NewFile }
    11 MakeNode { dir: NodeId, name: &'a [u8], new: NewFile, rdev: u64 }
    12 Link { node: NodeId, dir: NodeId, name: &'a [u8] }
    13 Remove { dir: NodeId, name: &'a [u8], what: Remove, known: Option<NodeId> }
    14 Rename {
        old_dir: NodeId,
        old_name: &'a [u8],
        new_dir: NodeId,
        new_name: &'a [u8],
        mode: RenameMode,
        moved: Option<NodeId>,
        replaced: Option<NodeId>
    }
    15 ReadLink { node: NodeId }
    16 ReadDir { node: NodeId, cookie: u64, detail: Detail }
    17 StatFs { node: NodeId }
    18 Sync { node: NodeId, kind: SyncKind }
    19 GetXattr { node: NodeId, name: &'a [u8] }
    20 SetXattr { node: NodeId, name: &'a [u8], value: &'a [u8], mode: XattrMode }
    21 ListXattrs { node: NodeId }
    22 RemoveXattr { node: NodeId, name: &'a [u8] }
    23 ConnectSocket { node: NodeId, kind: SocketKind }
    /// Has no answer.
    24 Close { nodes: Vec<NodeId> }
}

impl Request<'_> {
    /// Replaces `out` by the message; fails if it is longer than the other end accepts.
    pub(crate) fn encode(&self, tag: u32, cpu: u32, out: &mut Vec<u8>) -> Result<(), Malformed> {
        out.clear();
        let header = RequestHeader {
            len: 0,
            tag,
            op: self.op(),
            cpu,
        };
        out.extend_from_slice(header.as_bytes());
        self.put_body(out);
        seal(out)
    }
}
