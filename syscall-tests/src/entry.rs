//! The program's `main`, called by the C library. Under the name `echo-args` it plays a script's interpreter.

#![expect(
    unsafe_code,
    reason = "`main` must have its C name, and `_exit` ends the process"
)]

use std::ffi::{c_char, c_int};

use crate::{growth, helper, runner, tests};

/// Dispatches on the first argument.
// No other symbol of this program is called `main`, and the C library calls it with this signature.
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let args: Vec<String> = std::env::args().collect();
    if args
        .first()
        .is_some_and(|name| name.ends_with("/echo-args"))
    {
        println!("{}", args.join("|"));
        return 0;
    }
    let rest = args.get(2..).unwrap_or_default();
    match args.get(1).map(String::as_str) {
        Some("list") => {
            for case in tests::all() {
                println!("{}", case.name());
            }
            0
        }
        Some("run") => runner::run(rest),
        Some("helper") => helper::run(rest),
        Some("grow") => growth::run(rest),
        _ => {
            eprintln!("usage: syscall-tests list | run [NAME…] | grow KIND SECONDS");
            2
        }
    }
}
