//! Pipes (`man 7 pipe`). Skeleton for its owner.

use std::sync::Arc;

/// A pipe.
#[derive(Debug, Default)]
pub struct Pipe {}

impl Pipe {
    /// An empty pipe.
    #[must_use]
    pub fn new() -> Arc<Pipe> {
        Arc::new(Pipe {})
    }
}
