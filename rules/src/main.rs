//! Checks the rules of this workspace that neither the compiler nor clippy knows, each in a file of its own, and prints
//! each place that breaks one. The exit code is 1 if there is any.
//!
//! ```sh
//! cargo run -p rules
//! ```
//!
//! A rule that something breaks for a good reason lists the exception with the reason; an exception that nothing needs
//! any more is a break as well, so that the lists only shrink.

mod bool_parameters;
mod dependencies;
mod directions;
mod formatting;
mod missing_docs;
mod source;
mod spelling;
mod statics;
mod unsafe_files;
mod unused_public;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use source::Source;

/// A place where a rule does not hold.
#[derive(Debug, PartialEq, Eq)]
struct Break {
    /// The file, from the workspace's root, and the line if there is one.
    place: String,
    /// What is wrong, and what to do.
    text: String,
}

impl Break {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Break {
        Break {
            place: place.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn main() -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("/"));
    let sources = Source::all(root)?;
    let mut breaks = Vec::new();
    breaks.extend(bool_parameters::check(&sources));
    breaks.extend(directions::check(&sources));
    breaks.extend(missing_docs::check(&sources));
    breaks.extend(statics::check(&sources));
    breaks.extend(unsafe_files::check(&sources));
    breaks.extend(unused_public::check(&sources));
    breaks.extend(formatting::check(root, &sources)?);
    breaks.extend(spelling::check(root)?);
    breaks.extend(dependencies::check(root)?);
    for found in &breaks {
        println!("{found}");
    }
    Ok(if breaks.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("{} rules broken; what they are: rules/src", breaks.len());
        ExitCode::FAILURE
    })
}
