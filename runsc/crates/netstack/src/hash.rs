//! Hashes that nobody outside can foretell: for tables of connections, sequence numbers, ports and cookies.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher as _};

use crate::Embedder;

/// The secret of a stack. What it makes depends on the secret and on what is hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret([u64; 2]);

impl Secret {
    pub(crate) fn new(embedder: &dyn Embedder) -> Secret {
        Secret([embedder.random_u64(), embedder.random_u64()])
    }

    /// The hash of `value` for `purpose`.
    pub(crate) fn hash(&self, purpose: Purpose, value: impl Hash) -> u64 {
        let mut hasher = self.build_hasher();
        purpose.hash(&mut hasher);
        value.hash(&mut hasher);
        hasher.finish()
    }
}

/// What a hash is for, so that one does not betray another.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum Purpose {
    Sequence,
    Timestamp,
    Port,
    Cookie,
    Balance,
    Identification,
}

impl BuildHasher for Secret {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher
    }
}
