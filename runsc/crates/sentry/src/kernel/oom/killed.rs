//! [`Killed`]: whose end was asked for and may not have come: such a one is not chosen again, as Linux passes over what
//! has `MMF_OOM_SKIP` (`mm/oom_kill.c`), however many there are.

use std::sync::{Arc, Weak};

/// All that were killed and are still there.
#[derive(Debug)]
pub(super) struct Killed<T>(Vec<Weak<T>>);

impl<T> Default for Killed<T> {
    fn default() -> Killed<T> {
        Killed(Vec::new())
    }
}

impl<T> Killed<T> {
    /// Whether it was killed.
    pub(super) fn has(&self, one: &Arc<T>) -> bool {
        self.0.iter().any(|weak| weak.as_ptr() == Arc::as_ptr(one))
    }

    /// Notes that it was killed; those that are gone by now are forgotten.
    pub(super) fn add(&mut self, one: &Arc<T>) {
        self.0.retain(|weak| weak.strong_count() > 0);
        self.0.push(Arc::downgrade(one));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Killed;

    #[test]
    fn each_is_chosen_once_though_none_of_them_goes() {
        let candidates: Vec<Arc<u32>> = (0..5).map(Arc::new).collect();
        let mut killed = Killed::default();
        let mut order = Vec::new();
        for _ in 0..10 {
            let left = candidates.iter().filter(|one| !killed.has(one));
            if let Some(worst) = left.max() {
                killed.add(worst);
                order.push(**worst);
            }
        }
        assert_eq!(order, [4, 3, 2, 1, 0]);
    }

    #[test]
    fn those_that_are_gone_are_forgotten() {
        let mut killed = Killed::default();
        for number in 0..100 {
            killed.add(&Arc::new(number));
        }
        assert_eq!(killed.0.len(), 1);
    }
}
