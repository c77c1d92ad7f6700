//! The way back from a file to the address spaces that map it.

/// The mappings of one file.
#[derive(Debug, Default)]
pub struct MappingSet {}
