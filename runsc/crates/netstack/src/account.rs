//! Memory that a socket holds, counted against the container in large steps.

use std::sync::Arc;

use crate::Embedder;

/// Memory is charged and released in multiples of this.
const STEP: usize = 16 << 10;

/// What one socket holds.
#[derive(Debug)]
pub(crate) struct Account {
    embedder: Arc<dyn Embedder>,
    charged: usize,
    used: usize,
}

impl Account {
    pub(crate) fn new(embedder: Arc<dyn Embedder>) -> Account {
        Account {
            embedder,
            charged: 0,
            used: 0,
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Takes `bytes` more; false, and nothing is taken, if the container has no more.
    #[must_use]
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let used = self.used.saturating_add(bytes);
        if used > self.charged {
            let more = (used - self.charged).next_multiple_of(STEP);
            if !self.embedder.charge(more) {
                return false;
            }
            self.charged += more;
        }
        self.used = used;
        true
    }

    pub(crate) fn give(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
        let spare = self.charged - self.used;
        if spare > 8 * STEP || (self.used == 0 && spare > 0) {
            let less = if self.used == 0 { spare } else { spare - STEP };
            self.embedder.release(less);
            self.charged -= less;
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.charged > 0 {
            self.embedder.release(self.charged);
        }
    }
}
