//! The guest's vDSO (`man 7 vdso`): a shared object that the kernel maps into every process, with the calls
//! that need no kernel.
//!
//! * [`code`] holds the functions' machine code. It is position-independent and finds the parameter page one
//!   page below the image.
//! * [`parameters`] is the layout of that page: what the kernel publishes, and how a reader uses it.
//! * [`mod@image`] puts code and symbol tables together into an ELF image of two pages.
//!
//! Where the page says that the time-stamp counter can't be used, the functions make the system call.

pub mod code;
pub mod image;
pub mod parameters;

pub use image::image;
