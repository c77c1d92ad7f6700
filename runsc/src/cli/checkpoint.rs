//! `runsc checkpoint` and `runsc restore`: refused until a sandbox can be saved.

use anyhow::{Result, bail};

pub(crate) fn refuse_checkpoint() -> Result<u8> {
    bail!("checkpoint is not available in this release: a sandbox can't be saved")
}

pub(crate) fn refuse_restore() -> Result<u8> {
    bail!("restore is not available in this release: a sandbox can't be restored")
}
