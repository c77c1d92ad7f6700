//! Directories whose entries never change.

use std::collections::BTreeMap;
use std::sync::Arc;

use abi::Errno;

use super::{Directory, Entry};
use crate::error::Result;
use crate::vfs::attr::FileType;

/// A fixed set of entries.
#[derive(Debug, Default)]
pub struct StaticDirectory {
    entries: BTreeMap<Vec<u8>, Entry>,
}

impl StaticDirectory {
    /// With these entries.
    #[must_use]
    pub fn new<'a>(entries: impl IntoIterator<Item = (&'a str, Entry)>) -> Arc<StaticDirectory> {
        let entries = entries
            .into_iter()
            .map(|(name, entry)| (name.as_bytes().to_vec(), entry))
            .collect();
        Arc::new(StaticDirectory { entries })
    }
}

impl Directory for StaticDirectory {
    fn entry(&self, name: &[u8]) -> Result<Entry> {
        self.entries.get(name).cloned().ok_or(Errno::ENOENT)
    }

    fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>> {
        Ok(self
            .entries
            .iter()
            .map(|(name, entry)| (name.clone(), entry.body.file_type()))
            .collect())
    }
}
