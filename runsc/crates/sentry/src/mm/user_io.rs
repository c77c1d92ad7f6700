//! Moving bulk data in and out of user memory.

use std::marker::PhantomData;

use crate::error::Result;
use crate::mm::AddressSpace;

/// A list of user ranges (an iovec) with a position in it.
#[derive(Debug)]
pub struct UserIo<'a> {
    marker: PhantomData<&'a AddressSpace>,
}

impl<'a> UserIo<'a> {
    pub fn single(_mm: &'a AddressSpace, _address: usize, _len: usize) -> UserIo<'a> {
        todo!()
    }
    pub fn from_iovec(_mm: &'a AddressSpace, _address: usize, _count: usize) -> Result<UserIo<'a>> {
        todo!()
    }
    pub fn remaining(&self) -> usize {
        todo!()
    }
    pub fn copy_in(&mut self, _buffer: &mut [u8]) -> Result<usize> {
        todo!()
    }
    pub fn copy_out(&mut self, _bytes: &[u8]) -> Result<usize> {
        todo!()
    }
    pub fn zero(&mut self, _len: usize) -> Result<usize> {
        todo!()
    }
    pub fn read_host(
        &mut self,
        _fd: std::os::fd::BorrowedFd<'_>,
        _offset: Option<u64>,
    ) -> Result<usize> {
        todo!()
    }
    pub fn write_host(
        &mut self,
        _fd: std::os::fd::BorrowedFd<'_>,
        _offset: Option<u64>,
    ) -> Result<usize> {
        todo!()
    }
}
