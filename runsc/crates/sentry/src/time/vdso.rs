//! The vDSO in an address space. Skeleton for its owner.

use std::sync::Arc;

use crate::error::Result;
use crate::kernel::Kernel;
use crate::mm::AddressSpace;
use crate::mm::address_space::MmLimits;

/// Maps the image and its parameter page; where the image is, none if this host can't have one.
pub fn map(_kernel: &Arc<Kernel>, _mm: &AddressSpace, _limits: &MmLimits) -> Result<Option<usize>> {
    Ok(None)
}
