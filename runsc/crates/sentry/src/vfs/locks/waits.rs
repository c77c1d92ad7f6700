//! Who waits for whose record lock: `EDEADLK` when a wait would close a circle.

use std::collections::HashMap;

use abi::Errno;
use locks::Mutex;

use super::LockOwner;
use crate::error::Result;

/// The waits of one kernel.
#[derive(Debug, Default)]
pub struct LockWaits {
    /// From one who waits to one who holds what it waits for.
    edges: Mutex<HashMap<LockOwner, LockOwner>>,
}

impl LockWaits {
    /// Notes that `waiter` waits for `holder`; EDEADLK if `holder` waits for `waiter` in turn. Locks of
    /// open file descriptions take no part, as on Linux.
    pub fn begin(&self, waiter: LockOwner, holder: LockOwner) -> Result<()> {
        if !matches!((waiter, holder), (LockOwner::Table(_), LockOwner::Table(_))) {
            return Ok(());
        }
        let mut edges = self.edges.lock();
        let mut next = Some(&holder);
        let mut steps = 0;
        while let Some(&owner) = next {
            steps += 1;
            if owner == waiter || steps > edges.len() + 1 {
                return Err(Errno::EDEADLK);
            }
            next = edges.get(&owner);
        }
        edges.insert(waiter, holder);
        Ok(())
    }

    /// `waiter` waits no more.
    pub fn end(&self, waiter: LockOwner) {
        self.edges.lock().remove(&waiter);
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, LockOwner, LockWaits};

    #[test]
    fn a_circle_is_edeadlk() {
        let waits = LockWaits::default();
        let [a, b, c] = [1, 2, 3].map(LockOwner::Table);
        assert_eq!(waits.begin(a, b), Ok(()));
        assert_eq!(waits.begin(b, c), Ok(()));
        assert_eq!(waits.begin(c, a), Err(Errno::EDEADLK));
        waits.end(b);
        assert_eq!(waits.begin(c, a), Ok(()));
    }
}
