//! Which locks the thread holds, as long as debug assertions are on.

use std::panic::Location;

use crate::rank::{Kind, Place};

/// A lock that is held; noted until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    #[cfg(debug_assertions)]
    note: Note,
}

/// How a lock is taken, as far as that changes what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Waiting for it.
    Alone,
    /// Waiting for it, with another of its rank held, in an order that the caller knows.
    Nested,
    /// Not waiting, so that no order can be broken.
    Trying,
}

impl Held {
    /// Notes a lock at an address, and checks that it may be taken now: before that is done.
    #[track_caller]
    pub(crate) fn new(place: &Place, address: usize, how: How) -> Held {
        #[cfg(debug_assertions)]
        return Held {
            note: Note::add(place, address, how, Location::caller()),
        };
        #[cfg(not(debug_assertions))]
        {
            let _ = (place, address, how, Location::caller);
            Held {}
        }
    }

    /// Calls `f`, during which the lock is given back.
    pub(crate) fn suspended<T>(&mut self, f: impl FnOnce() -> T) -> T {
        #[cfg(debug_assertions)]
        let entry = self.note.take();
        let result = f();
        #[cfg(debug_assertions)]
        self.note.put_back(entry);
        result
    }
}

/// Panics, with debug assertions, if the thread holds a lock that must not be held across a request to the gofer.
#[track_caller]
pub fn assert_may_sleep() {
    check("a call that may sleep", |place| {
        place.kind == Kind::Sleeping
    });
}

/// Panics, with debug assertions, if the thread holds any lock: it is about to wait for something that only others can
/// bring about.
#[track_caller]
pub fn assert_none_held() {
    check("a wait that a signal can end", |_| false);
}

/// Panics, with debug assertions, if the thread holds a lock that a page fault takes: it is about to touch user memory.
#[track_caller]
pub fn assert_may_fault() {
    check("an access to user memory", |place| {
        place.kind != Kind::Fault
    });
}

#[track_caller]
fn check(what: &str, may_be_held: impl Fn(&Place) -> bool) {
    #[cfg(debug_assertions)]
    note::check(what, may_be_held, Location::caller());
    #[cfg(not(debug_assertions))]
    let _ = (what, may_be_held, Location::caller);
}

#[cfg(debug_assertions)]
use note::Note;

#[cfg(debug_assertions)]
mod note {
    use std::cell::{Cell, RefCell};
    use std::panic::Location;

    use super::How;
    use crate::rank::{Chain, Place};

    thread_local! {
        static HELD: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
        static LAST: Cell<u64> = const { Cell::new(0) };
    }

    #[derive(Clone, Copy, Debug)]
    pub(super) struct Entry {
        id: u64,
        place: Place,
        address: usize,
        at: &'static Location<'static>,
    }

    #[derive(Debug)]
    pub(super) struct Note {
        id: u64,
    }

    impl Note {
        #[track_caller]
        pub(super) fn add(
            place: &Place,
            address: usize,
            how: How,
            at: &'static Location<'static>,
        ) -> Note {
            let id = LAST.get() + 1;
            LAST.set(id);
            let entry = Entry {
                id,
                place: *place,
                address,
                at,
            };
            if how != How::Trying {
                HELD.with_borrow(|held| held.iter().for_each(|other| in_order(other, &entry, how)));
            }
            HELD.with_borrow_mut(|held| held.push(entry));
            Note { id }
        }

        pub(super) fn take(&self) -> Option<Entry> {
            // The thread may be about to end, without its list.
            HELD.try_with(|held| {
                let mut held = held.borrow_mut();
                let at = held.iter().rposition(|entry| entry.id == self.id)?;
                Some(held.remove(at))
            })
            .ok()
            .flatten()
        }

        pub(super) fn put_back(&mut self, entry: Option<Entry>) {
            HELD.with_borrow_mut(|held| held.extend(entry));
        }
    }

    impl Drop for Note {
        fn drop(&mut self) {
            let _ = self.take();
        }
    }

    fn in_order(held: &Entry, new: &Entry, how: How) {
        assert!(
            held.address != new.address,
            "{} is locked at {} and again at {}",
            new.place,
            held.at,
            new.at
        );
        let is_ordered = held.place.chain == new.place.chain && new.place.chain != Chain::None;
        let is_after = match how {
            How::Nested => held.place.level <= new.place.level,
            _ => held.place.level < new.place.level,
        };
        assert!(
            !is_ordered || is_after,
            "{} is locked at {} while {} is held since {}: that is against the order",
            new.place,
            new.at,
            held.place,
            held.at
        );
    }

    pub(super) fn check(
        what: &str,
        may_be_held: impl Fn(&Place) -> bool,
        at: &'static Location<'static>,
    ) {
        HELD.with_borrow(|held| {
            for entry in held {
                assert!(
                    may_be_held(&entry.place),
                    "{what} at {at} while {} is held since {}",
                    entry.place,
                    entry.at
                );
            }
        });
    }
}
