//! The value of `security.capability` (`man 7 capabilities`, *File capabilities* and *Namespaced file capabilities*).
//!
//! Version 2 is for the root of the file system's user namespace, version 3 names a root. Whoever asks sees version 2
//! if that root is one of its own, else version 3 with its own name of it.

use std::iter::successors;
use std::sync::Arc;

use abi::Errno;

use crate::error::Result;
use crate::kernel::credentials::{Capability, CapabilitySet, Credentials};
use crate::kernel::user_namespace::UserNamespace;

/// `VFS_CAP_REVISION_2`
const VERSION_2: u32 = 0x0200_0000;
/// `VFS_CAP_REVISION_3`
const VERSION_3: u32 = 0x0300_0000;
/// `VFS_CAP_FLAGS_EFFECTIVE`
const EFFECTIVE: u32 = 1;

/// Capabilities of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileCapabilities {
    pub(crate) permitted: CapabilitySet,
    pub(crate) inheritable: CapabilitySet,
    pub(crate) effective: bool,
}

/// A value as it is stored. Which capabilities there are is the reader's to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    effective: u32,
    /// Permitted and inheritable, the low words before the high ones.
    sets: [u32; 4],
    /// Version 3 names one.
    root: Option<u32>,
}

impl Value {
    /// EINVAL for a value of another form.
    fn parse(bytes: &[u8]) -> Result<Value> {
        let (words, rest) = bytes.as_chunks::<4>();
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let (magic, sets, root) = match *words.as_slice() {
            [magic, a, b, c, d] if magic & !EFFECTIVE == VERSION_2 => (magic, [a, b, c, d], None),
            [magic, a, b, c, d, root] if magic & !EFFECTIVE == VERSION_3 => {
                (magic, [a, b, c, d], Some(root))
            }
            _ => return Err(Errno::EINVAL),
        };
        if !rest.is_empty() {
            return Err(Errno::EINVAL);
        }
        Ok(Value {
            effective: magic & EFFECTIVE,
            sets,
            root,
        })
    }

    /// The same for another root.
    fn with_root(self, root: Option<u32>) -> Vec<u8> {
        let version = root.map_or(VERSION_2, |_| VERSION_3);
        let words = [version | self.effective].into_iter().chain(self.sets);
        words.chain(root).flat_map(u32::to_le_bytes).collect()
    }

    /// For whom it is, in terms of the outermost namespace, if `namespace` is the one that its root is named in.
    fn root_in(&self, namespace: &UserNamespace) -> Option<u32> {
        namespace.user_outward(self.root.unwrap_or(0))
    }
}

/// What is stored in a file system of `owner` when these credentials set `value`: EINVAL for another form, and for a
/// root that one of the two namespaces has no name for.
pub(crate) fn stored(
    credentials: &Credentials,
    owner: &Arc<UserNamespace>,
    value: &[u8],
) -> Result<Vec<u8>> {
    let parsed = Value::parse(value)?;
    if parsed.root.is_none() && credentials.has_in(owner, Capability::Setfcap) {
        return Ok(value.to_vec());
    }
    let root = parsed
        .root_in(&credentials.user_ns)
        .and_then(|root| owner.maps().users.inward(root));
    root.map(|root| parsed.with_root(Some(root)))
        .ok_or(Errno::EINVAL)
}

/// What `reader` sees of a stored value: EOVERFLOW if the root is neither its own nor known to it.
pub(crate) fn shown(
    reader: &Arc<UserNamespace>,
    owner: &UserNamespace,
    stored: &[u8],
) -> Result<Vec<u8>> {
    let value = Value::parse(stored)?;
    let root = value.root_in(owner).ok_or(Errno::EOVERFLOW)?;
    match reader.maps().users.inward(root) {
        Some(name) if name != 0 => Ok(value.with_root(Some(name))),
        _ if is_root_of(root, reader) => Ok(value.with_root(None)),
        _ => Err(Errno::EOVERFLOW),
    }
}

/// What a program of `namespace` gets by a stored value; nothing if it is for others, or of another form.
pub(crate) fn granted(
    namespace: &Arc<UserNamespace>,
    owner: &UserNamespace,
    stored: &[u8],
) -> Option<FileCapabilities> {
    let value = Value::parse(stored).ok()?;
    let root = value.root_in(owner)?;
    let [permitted, inheritable, permitted_high, inheritable_high] = value.sets;
    let set = |low: u32, high: u32| {
        CapabilitySet((u64::from(low) | u64::from(high) << 32) & CapabilitySet::FULL.0)
    };
    is_root_of(root, namespace).then(|| FileCapabilities {
        permitted: set(permitted, permitted_high),
        inheritable: set(inheritable, inheritable_high),
        effective: value.effective != 0,
    })
}

/// Whether user `id` is root of the namespace, or of one that it is in.
fn is_root_of(id: u32, namespace: &Arc<UserNamespace>) -> bool {
    successors(Some(namespace), |namespace| namespace.parent.as_ref())
        .any(|namespace| namespace.maps().users.inward(id) == Some(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Value, shown};
    use crate::kernel::user_namespace::UserNamespace;

    proptest! {
        #[test]
        fn any_bytes_are_a_value_or_einval(bytes in proptest::collection::vec(any::<u8>(), 0..32), version in 1u8..5) {
            let outermost = UserNamespace::root(1, Vec::new(), Vec::new());
            let mut bytes = bytes;
            if let Some(byte) = bytes.get_mut(3) {
                *byte = version;
            }
            if let Ok(value) = Value::parse(&bytes) {
                assert_eq!(value.with_root(value.root), bytes);
            }
            let _ = shown(&outermost, &outermost, &bytes);
        }
    }
}
