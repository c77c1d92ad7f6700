//! The way back from a file to the address spaces that map it.

/// What an invalidation takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidate {
    /// The file's own pages; private copies stay (its backing has moved, pages were evicted).
    FilePages,
    /// Private copies of them too (truncation, holes), as Linux does.
    CopiesToo,
}

/// The mappings of one file.
#[derive(Debug, Default)]
pub struct MappingSet {}

impl MappingSet {
    /// Takes the pages at `offsets` (page-aligned) away from all address spaces.
    pub fn invalidate(&self, _offsets: std::ops::Range<u64>, _what: Invalidate) {}
}
