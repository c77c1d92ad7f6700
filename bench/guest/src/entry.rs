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

use crate::program;
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
        ["measure", ms, scratch, root] => code(measure(ms, scratch, root)),
        ["programs", nr_runs, scripts @ ..] => code(programs(nr_runs, scripts)),
        _ => {
            eprintln!(
                "usage: bench-guest true | idle | measure MS SCRATCH ROOT | programs RUNS [ROW SCRIPT]…"
            );
            2
        }
    }
}

/// The exit code, after saying what failed.
fn code(result: io::Result<()>) -> c_int {
    let Err(error) = result else { return 0 };
    eprintln!("bench-guest: {error}");
    1
}

fn programs(nr_runs: &str, scripts: &[&str]) -> io::Result<()> {
    let nr_runs = nr_runs.parse().map_err(io::Error::other)?;
    for pair in scripts.chunks_exact(2) {
        if let [name, script] = pair {
            report(name, program::runs(nr_runs, script))?;
        }
    }
    Ok(())
}

fn measure(ms: &str, scratch: &str, root: &str) -> io::Result<()> {
    let ms = ms.parse().map_err(io::Error::other)?;
    let place = Place {
        scratch: PathBuf::from(scratch),
        root: PathBuf::from(root),
        timer: Timer::new(Duration::from_millis(ms)),
    };
    for (name, row) in rows::ALL {
        report(name, row(&place))?;
    }
    Ok(())
}

/// Prints what was measured of a row, or why it was not.
fn report(name: &str, measured: io::Result<Vec<f64>>) -> io::Result<()> {
    match measured {
        Ok(batches) => {
            let batches: Vec<_> = batches.iter().map(|ns| format!("{ns:.1}")).collect();
            println!("{name}\t{}", batches.join(" "));
        }
        Err(error) => eprintln!("bench-guest: {name}: {error}"),
    }
    io::stdout().flush()
}
