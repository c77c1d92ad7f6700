//! What the bench measures with: one static program that runs on the host and in every runtime.
//!
//! `measure MS SCRATCH ROOT` prints a line `ROW<tab>NANOSECONDS…` for each row, a number for each batch of operations, spending about so many milliseconds on
//! it; SCRATCH is a directory on tmpfs, ROOT the root file system's directory. `programs RUNS [ROW SCRIPT]…` does so for
//! shell scripts, a number for each run. `true` exits at once, `idle` never.
//! The program is built without the standard library's start-up code, so that `true` is as small as a program can be.

#![no_main]

mod busy;
mod call;
mod entry;
mod file;
mod memory;
mod pipe;
mod process;
mod program;
mod rows;
mod timing;
