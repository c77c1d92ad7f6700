//! The program's `main`, called by the C library.

#![expect(
    unsafe_code,
    reason = "`main` must have its C name, and reads its C arguments"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the results go to standard output"
)]

use std::ffi::{CStr, c_char, c_int};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use crate::rows::{self, Place};
use crate::timing::Timer;

/// Dispatches on the first argument.
// No other symbol of this program is called `main`, and the C library calls it with this signature.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    if argc > 1 {
        // SAFETY: argv has argc entries, each a string that lives as long as the process.
        let first = unsafe { CStr::from_ptr(*argv.add(1)) };
        if first == c"true" {
            return 0;
        }
    }
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match args.as_slice() {
        ["idle"] => loop {
            std::thread::park();
        },
        ["measure", ms, scratch, root] => match measure(ms, scratch, root) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("bench-guest: {error}");
                1
            }
        },
        _ => {
            eprintln!("usage: bench-guest true | idle | measure MS SCRATCH ROOT");
            2
        }
    }
}

fn measure(ms: &str, scratch: &str, root: &str) -> io::Result<()> {
    let ms = ms.parse().map_err(io::Error::other)?;
    let place = Place {
        scratch: PathBuf::from(scratch),
        root: PathBuf::from(root),
        timer: Timer::new(Duration::from_millis(ms)),
    };
    for (name, row) in rows::ALL {
        match row(&place) {
            Ok(batches) => {
                let batches: Vec<_> = batches.iter().map(|ns| format!("{ns:.1}")).collect();
                println!("{name}\t{}", batches.join(" "));
            }
            Err(error) => eprintln!("bench-guest: {name}: {error}"),
        }
        io::stdout().flush()?;
    }
    Ok(())
}
