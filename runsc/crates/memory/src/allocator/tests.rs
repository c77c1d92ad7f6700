//! The allocator against a model that counts page by page.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::{prop_oneof, proptest};

use super::{Allocator, Kind, Placement, SLOT};
use crate::frame::{FrameRange, PAGE};

const SIZE: u64 = 8 * SLOT;

#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate(u64, Placement),
    /// Which range, and which part of it in 16ths.
    Retain(usize, u64, u64),
    Release(usize, u64, u64),
    Pin(usize),
    Unpin(usize),
    Clean,
}

fn step() -> impl Strategy<Value = Step> {
    let placement = prop_oneof![
        proptest::strategy::Just(Placement::Packed),
        (0..SIZE).prop_map(|at| Placement::Growing(at & !(PAGE - 1))),
        (0..SIZE).prop_map(|at| Placement::At(at & !(PAGE - 1))),
    ];
    let part = || (any::<usize>(), 0..16_u64, 1..17_u64);
    prop_oneof![
        3 => (1..40_u64, placement).prop_map(|(pages, placement)| Step::Allocate(pages * PAGE, placement)),
        3 => part().prop_map(|(which, from, to)| Step::Retain(which, from, to)),
        4 => part().prop_map(|(which, from, to)| Step::Release(which, from, to)),
        1 => any::<usize>().prop_map(Step::Pin),
        1 => any::<usize>().prop_map(Step::Unpin),
        1 => proptest::strategy::Just(Step::Clean),
    ]
}

#[derive(Default)]
struct Model {
    /// References of each page in use, and its pins.
    pages: BTreeMap<u64, (u32, u32)>,
    dirty: Vec<u64>,
    handed_out: Vec<FrameRange>,
    pins: Vec<FrameRange>,
}

impl Model {
    fn pages_of(range: FrameRange) -> impl Iterator<Item = u64> {
        (range.start()..range.end()).step_by(4096)
    }

    /// A part of one of the ranges handed out whose pages all still have a reference.
    fn part(&self, which: usize, from: u64, to: u64) -> Option<FrameRange> {
        let range = *self.handed_out.get(which % self.handed_out.len().max(1))?;
        let pages = range.len() / PAGE;
        let part = range.slice(from * pages / 16 * PAGE, (to * pages / 16).max(1) * PAGE);
        let alive = Self::pages_of(part)
            .all(|page| self.pages.get(&page).is_some_and(|counts| counts.0 > 0));
        (alive && !part.is_empty()).then_some(part)
    }

    fn change(&mut self, range: FrameRange, refs: i64, pins: i64) {
        for page in Self::pages_of(range) {
            let counts = self.pages.get_mut(&page).unwrap();
            counts.0 = u32::try_from(i64::from(counts.0) + refs).unwrap();
            counts.1 = u32::try_from(i64::from(counts.1) + pins).unwrap();
            if *counts == (0, 0) {
                self.pages.remove(&page);
                self.dirty.push(page);
            }
        }
    }
}

fn run(allocator: &mut Allocator, model: &mut Model, step: Step) {
    match step {
        Step::Allocate(len, placement) => {
            let Ok(range) = allocator.allocate(len, Kind::Anonymous, placement) else {
                return;
            };
            assert_eq!(range.len(), len);
            for page in Model::pages_of(range) {
                assert!(!model.dirty.contains(&page), "dirty page handed out");
                assert!(
                    model.pages.insert(page, (1, 0)).is_none(),
                    "page handed out twice"
                );
            }
            model.handed_out.push(range);
        }
        Step::Retain(which, from, to) => {
            let Some(part) = model.part(which, from, to) else {
                return;
            };
            allocator.retain(part);
            model.change(part, 1, 0);
        }
        Step::Release(which, from, to) => {
            let Some(part) = model.part(which, from, to) else {
                return;
            };
            allocator.release(part);
            model.change(part, -1, 0);
        }
        Step::Pin(which) => {
            let Some(part) = model.part(which, 0, 16) else {
                return;
            };
            allocator.pin(part);
            model.change(part, 0, 1);
            model.pins.push(part);
        }
        Step::Unpin(which) => {
            if model.pins.is_empty() {
                return;
            }
            let part = model.pins.swap_remove(which % model.pins.len());
            allocator.unpin(part);
            model.change(part, 0, -1);
        }
        Step::Clean => {
            for range in allocator.take_dirty() {
                allocator.put_clean(range);
            }
            model.dirty.clear();
        }
    }
}

fn check(allocator: &Allocator, model: &Model) {
    assert_eq!(allocator.usage().anonymous, model.pages.len() as u64 * PAGE);
    assert_eq!(allocator.usage().dirty, model.dirty.len() as u64 * PAGE);
    for (&page, &(refs, pins)) in &model.pages {
        let (counts, _) = allocator
            .prefix(FrameRange::trusted(page, page + PAGE))
            .unwrap();
        assert_eq!((counts.refs, counts.pins), (refs, pins));
    }
}

proptest! {
    #[test]
    fn counts_and_free_space_agree_with_a_page_by_page_model(steps in vec(step(), 1..120)) {
        let mut allocator = Allocator::new(SIZE);
        let mut model = Model::default();
        for step in steps {
            run(&mut allocator, &mut model, step);
            check(&allocator, &model);
        }
    }
}

#[test]
fn neighbours_merge_into_one_run() {
    let mut allocator = Allocator::new(SIZE);
    let first = allocator
        .allocate(16 * PAGE, Kind::Anonymous, Placement::Growing(0x7000_1000))
        .unwrap();
    let second = allocator
        .allocate(16 * PAGE, Kind::Anonymous, Placement::At(first.end()))
        .unwrap();
    assert!(first.is_followed_by(second));
    let both = FrameRange::trusted(first.start(), second.end());
    allocator.retain(both);
    assert_eq!(allocator.prefix(both).unwrap().1, 32 * PAGE);
    assert_eq!(allocator.runs.len(), 1);
}

#[test]
fn a_full_file_is_enomem() {
    let mut allocator = Allocator::new(SIZE);
    while allocator
        .allocate(SLOT / 2, Kind::Shared, Placement::Packed)
        .is_ok()
    {}
    assert_eq!(allocator.usage().shared, SIZE);
    assert_eq!(
        allocator.allocate(PAGE, Kind::Shared, Placement::Growing(0)),
        Err(crate::Errno::ENOMEM)
    );
}
