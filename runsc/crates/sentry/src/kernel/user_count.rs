//! [`UserCount`]: how much of something each user has, where Linux limits it per user.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// How many users without anything are remembered before they are forgotten.
const SWEEP: usize = 1024;

/// Amounts by real user id.
#[derive(Debug, Default)]
pub struct UserCount {
    users: Mutex<HashMap<u32, Arc<AtomicU64>>>,
}

/// A part of a user's amount, given back when dropped.
#[derive(Debug)]
pub struct UserCharge {
    total: Arc<AtomicU64>,
    amount: u64,
}

impl UserCount {
    /// Adds `amount` to what `uid` has, whatever that comes to.
    #[must_use]
    pub fn charge(&self, uid: u32, amount: u64) -> UserCharge {
        let mut users = self.users.lock();
        if users.len() > SWEEP && !users.contains_key(&uid) {
            users.retain(|_, total| Arc::strong_count(total) > 1);
        }
        let total = users.entry(uid).or_default().clone();
        drop(users);
        total.fetch_add(amount, Ordering::Relaxed);
        UserCharge { total, amount }
    }

    /// The same if it stays within `limit`.
    #[must_use]
    pub fn charge_within(&self, uid: u32, amount: u64, limit: u64) -> Option<UserCharge> {
        Some(self.charge(uid, amount)).filter(|charge| charge.total() <= limit)
    }
}

impl UserCharge {
    /// What the user has now.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Makes the part another.
    pub fn set(&mut self, amount: u64) {
        self.total.fetch_add(amount, Ordering::Relaxed);
        self.total.fetch_sub(self.amount, Ordering::Relaxed);
        self.amount = amount;
    }

    /// The part.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }
}

impl Drop for UserCharge {
    fn drop(&mut self) {
        self.total.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::UserCount;

    #[test]
    fn parts_of_a_user_add_up_until_they_are_dropped() {
        let count = UserCount::default();
        let mut one = count.charge(1000, 5);
        let other = count.charge(1001, 7);
        assert_eq!((one.total(), other.total()), (5, 7));
        assert!(count.charge_within(1000, 6, 10).is_none());
        assert_eq!(one.total(), 5);
        let two = count.charge_within(1000, 5, 10).unwrap();
        one.set(1);
        assert_eq!((two.total(), one.amount()), (6, 1));
        drop(two);
        assert_eq!(one.total(), 1);
    }
}
