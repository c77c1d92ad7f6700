//! How values are written to and read from a message's body.

use abi::Errno;
use zerocopy::{FromBytes, IntoBytes};

use crate::types::{
    Access, Attr, Detail, Entry, FileKind, Found, Linked, Listing, Made, NewFile, NodeId, Remove,
    RenameMode, Renamed, SetAttr, SetTime, SocketKind, StatFs, Step, SyncKind, Timestamp, TreeId,
    Walk, WalkEnd, XattrMode,
};

/// A message that does not follow the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// The unread part of a body.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Reader<'a> {
        Reader(body)
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    fn plain<T: FromBytes>(&mut self) -> Result<T> {
        T::read_from_bytes(self.bytes(size_of::<T>())?).map_err(|_| Malformed)
    }

    /// Succeeds if everything has been read.
    pub(crate) fn finish(self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// A value that can be part of a body. `'a` is the life of the message it was read from.
pub(crate) trait Wire<'a>: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(from: &mut Reader<'a>) -> Result<Self>;
}

macro_rules! plain {
    ($($ty:ty),*) => {$(
        impl Wire<'_> for $ty {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_bytes());
            }

            fn take(from: &mut Reader<'_>) -> Result<Self> {
                from.plain()
            }
        }
    )*};
}

plain!(u8, u32, u64, StatFs);

macro_rules! record {
    ($($ty:ident { $($field:ident),* })*) => {$(
        impl<'a> Wire<'a> for $ty {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn take(from: &mut Reader<'a>) -> Result<Self> {
                Ok($ty { $($field: Wire::take(from)?),* })
            }
        }
    )*};
}

record! {
    Found { node, attr }
    Made { found, dir }
    Linked { attr, dir }
    Renamed { old_dir, new_dir }
    NewFile { mode, uid, gid }
    SetAttr { mode, uid, gid, size, atime, mtime }
    Entry { name, ino, kind, cookie, attr }
    Listing { entries, end }
    Walk { found, end }
}

macro_rules! numbered {
    ($($ty:ident { $($variant:ident = $number:literal),* })*) => {$(
        impl Wire<'_> for $ty {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $($ty::$variant => $number),* });
            }

            fn take(from: &mut Reader<'_>) -> Result<Self> {
                match u8::take(from)? {
                    $($number => Ok($ty::$variant),)*
                    _ => Err(Malformed),
                }
            }
        }
    )*};
}

numbered! {
    Access { Read = 0, Write = 1, ReadWrite = 2 }
    RenameMode { Replace = 0, NoReplace = 1, Exchange = 2 }
    Remove { File = 0, Directory = 1 }
    Detail { Types = 0, Attributes = 1 }
    SyncKind { Data = 0, All = 1, FileSystem = 2 }
    XattrMode { Any = 0, Create = 1, Replace = 2 }
    SocketKind { Stream = 0, Datagram = 1, SeqPacket = 2 }
}

impl Wire<'_> for Attr {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    /// Refuses a type that Linux does not have and nanoseconds that are none.
    fn take(from: &mut Reader<'_>) -> Result<Self> {
        let attr: Attr = from.plain()?;
        let times = [attr.atime, attr.mtime, attr.ctime, attr.btime];
        let sane = times
            .iter()
            .all(|time| (0..1_000_000_000).contains(&time.nsec));
        if sane && attr.kind().is_some() {
            Ok(attr)
        } else {
            Err(Malformed)
        }
    }
}

impl Wire<'_> for () {
    fn put(&self, _out: &mut Vec<u8>) {}

    fn take(_from: &mut Reader<'_>) -> Result<Self> {
        Ok(())
    }
}

impl Wire<'_> for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut Reader<'_>) -> Result<Self> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

impl Wire<'_> for TreeId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self> {
        Ok(TreeId(u32::take(from)?))
    }
}

impl Wire<'_> for NodeId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self> {
        match u64::take(from)? {
            0 => Err(Malformed),
            id => Ok(NodeId(id)),
        }
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut Reader<'a>) -> Result<Self> {
        bool::take(from)?.then(|| T::take(from)).transpose()
    }
}

impl<'a> Wire<'a> for &'a [u8] {
    fn put(&self, out: &mut Vec<u8>) {
        put_len(self.len(), out);
        out.extend_from_slice(self);
    }

    fn take(from: &mut Reader<'a>) -> Result<Self> {
        let len = take_len(from)?;
        from.bytes(len)
    }
}

/// A string of bytes that the receiver keeps.
impl Wire<'_> for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_slice().put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self> {
        Ok(<&[u8]>::take(from)?.to_vec())
    }
}

macro_rules! list {
    ($($ty:ty),*) => {$(
        impl<'a> Wire<'a> for Vec<$ty> {
            fn put(&self, out: &mut Vec<u8>) {
                put_len(self.len(), out);
                for item in self {
                    item.put(out);
                }
            }

            // No capacity is reserved for a length that the other end merely claims.
            fn take(from: &mut Reader<'a>) -> Result<Self> {
                let len = take_len(from)?;
                (0..len).map(|_| Wire::take(from)).collect()
            }
        }
    )*};
}

list!(Found, Entry, NodeId, Step<'a>);

fn put_len(len: usize, out: &mut Vec<u8>) {
    // A message this long is refused when it is sealed.
    u32::try_from(len).unwrap_or(u32::MAX).put(out);
}

fn take_len(from: &mut Reader<'_>) -> Result<usize> {
    usize::try_from(u32::take(from)?).map_err(|_| Malformed)
}

impl<'a> Wire<'a> for Step<'a> {
    fn put(&self, out: &mut Vec<u8>) {
        self.name.put(out);
        self.known.put(out);
    }

    fn take(from: &mut Reader<'a>) -> Result<Self> {
        Ok(Step {
            name: Wire::take(from)?,
            known: Wire::take(from)?,
        })
    }
}

impl Wire<'_> for FileKind {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.dirent());
    }

    fn take(from: &mut Reader<'_>) -> Result<Self> {
        FileKind::from_dirent(u32::from(u8::take(from)?)).ok_or(Malformed)
    }
}

impl Wire<'_> for Errno {
    fn put(&self, out: &mut Vec<u8>) {
        errno_number(*self).put(out);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self> {
        number_errno(u32::take(from)?).ok_or(Malformed)
    }
}

/// An error as a number, never zero.
pub(crate) fn errno_number(error: Errno) -> u32 {
    u32::try_from(error.raw())
        .ok()
        .filter(|&number| number != 0)
        .unwrap_or(5)
}

/// The error of a number; `None` for what is outside Linux's range.
pub(crate) fn number_errno(number: u32) -> Option<Errno> {
    let number = i32::try_from(number).ok()?;
    (1..4096).contains(&number).then(|| Errno::from_raw(number))
}

impl Wire<'_> for SetTime {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            SetTime::Omit => out.push(0),
            SetTime::Now => out.push(1),
            SetTime::At(time) => {
                out.push(2);
                out.extend_from_slice(time.as_bytes());
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self> {
        Ok(match u8::take(from)? {
            0 => SetTime::Omit,
            1 => SetTime::Now,
            2 => SetTime::At(from.plain::<Timestamp>()?),
            _ => return Err(Malformed),
        })
    }
}

impl Wire<'_> for WalkEnd {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            WalkEnd::Done => out.push(0),
            WalkEnd::Missing => out.push(1),
            WalkEnd::Symlink(target) => {
                out.push(2);
                target.put(out);
            }
            WalkEnd::NotDirectory => out.push(3),
            WalkEnd::Failed(error) => {
                out.push(4);
                error.put(out);
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Result<Self> {
        Ok(match u8::take(from)? {
            0 => WalkEnd::Done,
            1 => WalkEnd::Missing,
            2 => WalkEnd::Symlink(Wire::take(from)?),
            3 => WalkEnd::NotDirectory,
            4 => WalkEnd::Failed(Wire::take(from)?),
            _ => return Err(Malformed),
        })
    }
}
