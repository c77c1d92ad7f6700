//! How application code is run and its system calls are caught.
//!
//! [`Platform`], [`Space`] and [`Context`] are enums over the platforms, so that the Sentry has
//! neither type parameters nor downcasts. A platform never knows what a system call means.

mod state;

pub use state::{Access, Exception, Exit, Fault, FaultAccess, ThreadState};
mod skeleton;
pub use skeleton::{Context, ExtendedState, Interrupter, Limits, Platform, Space};
