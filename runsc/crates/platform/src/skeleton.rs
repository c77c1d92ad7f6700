//! Placeholder signatures until the platforms land.
#![allow(warnings)]
use crate::{Access, Exit, ThreadState};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
pub type Result<T> = host::Result<T>;
#[derive(Debug)]
pub struct Platform {}
#[derive(Debug)]
pub struct Space {}
#[derive(Debug)]
pub struct Context {}
#[derive(Clone, Debug)]
pub struct Interrupter {}
#[derive(Clone, Debug)]
pub struct ExtendedState {}
#[derive(Clone, Debug)]
pub struct Limits {
    pub user_range: Range<usize>,
    pub rseq: bool,
}
impl Platform {
    pub fn new_space(&self) -> Result<Arc<Space>> {
        todo!()
    }
    pub fn new_context(&self) -> Context {
        todo!()
    }
    pub fn limits(&self) -> Limits {
        todo!()
    }
    pub fn name(&self) -> &'static str {
        todo!()
    }
}
impl Space {
    pub fn map(
        &self,
        at: Range<usize>,
        file: BorrowedFd<'_>,
        offset: u64,
        access: Access,
        populate: bool,
    ) -> Result<()> {
        todo!()
    }
    pub fn protect(&self, range: Range<usize>, access: Access) -> Result<()> {
        todo!()
    }
    pub fn unmap(&self, range: Range<usize>) -> Result<()> {
        todo!()
    }
    pub fn host_pid(&self) -> Option<i32> {
        todo!()
    }
}
impl Context {
    pub fn switch_to(&mut self, space: &Arc<Space>) -> Result<()> {
        todo!()
    }
    pub fn run(&mut self, state: &mut ThreadState) -> Result<Exit> {
        todo!()
    }
    pub fn interrupter(&self) -> Interrupter {
        todo!()
    }
    pub fn extended(&mut self) -> Result<&mut ExtendedState> {
        todo!()
    }
    pub fn reset_extended(&mut self) {
        todo!()
    }
}
impl Interrupter {
    pub fn interrupt(&self) {
        todo!()
    }
}
#[derive(Clone, Copy, Debug)]
pub struct ExtendedLayout {
    pub len_bytes: usize,
    pub features: u64,
}
impl ExtendedState {
    pub fn layout(&self) -> ExtendedLayout {
        todo!()
    }
    pub fn as_bytes(&self) -> &[u8] {
        todo!()
    }
    pub fn set(&mut self, image: &[u8]) -> Result<()> {
        todo!()
    }
    pub fn set_legacy(&mut self, image: &[u8; 512]) -> Result<()> {
        todo!()
    }
}
