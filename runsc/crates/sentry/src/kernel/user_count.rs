//! [`Total`]: how much there is of something that Linux limits; [`UserCount`]: the same for each user.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use locks::Mutex;

/// How many users without anything are remembered before they are forgotten.
const SWEEP: usize = 1024;

/// An amount, of which [`Charge`]s are the parts.
#[derive(Clone, Debug, Default)]
pub struct Total(Arc<AtomicU64>);

/// A part of an amount, given back when dropped.
#[derive(Debug)]
pub struct Charge {
    total: Total,
    amount: u64,
}

/// Amounts by user id.
#[derive(Debug, Default)]
pub struct UserCount(Mutex<HashMap<u32, Total>>);

impl UserCount {
    /// What `uid` has.
    #[must_use]
    pub fn of(&self, uid: u32) -> Total {
        let mut users = self.0.lock();
        if users.len() > SWEEP && !users.contains_key(&uid) {
            users.retain(|_, total| Arc::strong_count(&total.0) > 1);
        }
        users.entry(uid).or_default().clone()
    }
}

impl Total {
    /// All of it now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds `amount`, whatever that comes to.
    #[must_use]
    pub fn charge(&self, amount: u64) -> Charge {
        self.0.fetch_add(amount, Ordering::Relaxed);
        Charge {
            total: self.clone(),
            amount,
        }
    }

    /// The same if it stays within `limit`.
    #[must_use]
    pub fn charge_within(&self, amount: u64, limit: u64) -> Option<Charge> {
        Some(self.charge(amount)).filter(|charge| charge.total() <= limit)
    }
}

impl Charge {
    /// The amount that it is a part of.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.get()
    }

    /// Makes the part another.
    pub fn set(&mut self, amount: u64) {
        self.total.0.fetch_add(amount, Ordering::Relaxed);
        self.total.0.fetch_sub(self.amount, Ordering::Relaxed);
        self.amount = amount;
    }

    /// The part.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.total.0.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::UserCount;

    #[test]
    fn parts_of_a_user_add_up_until_they_are_dropped() {
        let count = UserCount::default();
        let mut one = count.of(1000).charge(5);
        let other = count.of(1001).charge(7);
        assert_eq!((one.total(), other.total()), (5, 7));
        assert!(count.of(1000).charge_within(6, 10).is_none());
        assert_eq!(one.total(), 5);
        let two = count.of(1000).charge_within(5, 10).unwrap();
        one.set(1);
        assert_eq!((two.total(), one.amount()), (6, 1));
        drop(two);
        assert_eq!(one.total(), 1);
    }
}
