//! Two processes that hand a byte to and fro through two pipes.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};

use crate::process;
use crate::rows::Place;

/// One round trip: a byte to the child and back.
pub(crate) fn ping_pong(place: &Place) -> io::Result<Vec<f64>> {
    let (child_reads, mut there) = io::pipe()?;
    let (mut back, child_writes) = io::pipe()?;
    let child = process::fork()?;
    let Some(child) = child else {
        // The child must not hold the end whose closing ends it.
        drop((there, back));
        process::exit(echo(child_reads, child_writes));
    };
    drop((child_reads, child_writes));
    let mut byte = [0];
    let result = place.timer.measure(|| {
        there.write_all(&[1])?;
        back.read_exact(&mut byte)
    });
    drop(there);
    process::wait(child)?;
    result
}

/// Sends back what comes, until the other side closes; the exit code.
fn echo(mut from: PipeReader, mut to: PipeWriter) -> i32 {
    let mut byte = [0];
    while let Ok(1) = from.read(&mut byte) {
        if to.write_all(&byte).is_err() {
            return 1;
        }
    }
    0
}
