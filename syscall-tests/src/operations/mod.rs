//! `helper files SEED COUNT DIR [log]`: random file operations, the same ones for a seed in every place.
//!
//! Four processes make `COUNT` operations between them, each in its own directory of `DIR` (`p0` to `p3`, made where
//! they are missing), so that what an operation gives depends on neither time nor place. At its end a process looks at
//! all that is in its directory. It prints a digest of its operations and their results, and with `log` each of them, a
//! line each, so that two runs can be compared.

mod attributes;
mod choice;
mod content;
mod entries;
mod held;
mod tree;

use std::ffi::CString;

use self::choice::Random;
use crate::case::Failure;
use crate::support::fd::{self, Fd};
use crate::support::file::cstring;
use crate::support::process;
use crate::sys::SysError;

/// How many processes there are.
const WORKERS: u64 = 4;
/// Most descriptors that a process keeps open.
const MOST_HELD: usize = 16;

/// What a call gave: what is worth comparing, or its error.
type Given = Result<String, SysError>;
/// Makes an operation; what it was, and what it gave.
type Operation = fn(&mut Worker) -> (String, Given);

/// All operations, with how often each is made in proportion.
fn operations() -> impl Iterator<Item = &'static (usize, Operation)> {
    content::OPERATIONS
        .iter()
        .chain(entries::OPERATIONS)
        .chain(attributes::OPERATIONS)
        .chain(held::OPERATIONS)
}

/// A process that makes operations.
struct Worker {
    random: Random,
    /// Its directory, which is also where it works.
    root: Fd,
    held: Vec<Option<Fd>>,
    log: Log,
}

/// What was printed, and what it comes to.
struct Log {
    name: String,
    is_printed: bool,
    digest: u64,
}

impl Log {
    fn line(&mut self, text: &str) {
        self.digest = digest(self.digest, text.as_bytes());
        if self.is_printed {
            println!("{} {text}", self.name);
        }
    }
}

/// Plays the role; the result is the exit code.
pub(crate) fn run(args: &[String]) -> i32 {
    let [seed, count, dir, rest @ ..] = args else {
        eprintln!("usage: helper files SEED COUNT DIR [log]");
        return 2;
    };
    let (Ok(seed), Ok(count)) = (seed.parse::<u64>(), count.parse::<u64>()) else {
        eprintln!("the seed and the count are numbers");
        return 2;
    };
    let is_printed = rest.iter().any(|word| word == "log");
    match share_out(seed, count / WORKERS, dir, is_printed) {
        Ok(()) => 0,
        Err(failure) => {
            println!("{failure}");
            1
        }
    }
}

/// Starts the processes and waits for all.
fn share_out(seed: u64, count: u64, dir: &str, is_printed: bool) -> Result<(), Failure> {
    let mut children = Vec::new();
    for index in 0..WORKERS {
        let (name, seed) = (format!("p{index}"), seed.wrapping_mul(WORKERS) + index);
        let dir = format!("{dir}/{name}");
        let log = Log {
            name: name.clone(),
            is_printed,
            digest: digest(0, b""),
        };
        children.push((name, process::fork(|| work(seed, count, &dir, log))?));
    }
    for (name, mut child) in children {
        let status = child.wait()?;
        check!(status.code() == Some(0), "{name} ended with {status}");
    }
    Ok(())
}

/// A process: the operations, and what they have come to.
fn work(seed: u64, count: u64, dir: &str, log: Log) -> i32 {
    let mut worker = match Worker::new(seed, dir, log) {
        Ok(worker) => worker,
        Err(error) => {
            println!("{dir}: {error}");
            return 1;
        }
    };
    for number in 0..count {
        let (what, given) = worker.operate();
        let given = given.unwrap_or_else(|error| format!("errno {}", error.errno));
        worker.log.line(&format!("{number} {what} = {given}"));
    }
    worker.held.clear();
    for line in tree::describe(&worker.root) {
        worker.log.line(&format!("at the end {line}"));
    }
    println!("{} digest {:016x}", worker.log.name, worker.log.digest);
    0
}

impl Worker {
    fn new(seed: u64, dir: &str, log: Log) -> Result<Self, SysError> {
        let path = cstring(dir);
        match sys!(SYS_mkdir, &path, 0o755) {
            Err(error) if error.errno == libc::EEXIST => {}
            made => {
                made?;
            }
        }
        sys!(SYS_chdir, &path)?;
        sys!(SYS_umask, 0o022)?;
        Ok(Self {
            random: Random::new(seed),
            root: open(".", libc::O_RDONLY | libc::O_DIRECTORY)?,
            held: (0..MOST_HELD).map(|_| None).collect(),
            log,
        })
    }

    /// Makes one operation.
    fn operate(&mut self) -> (String, Given) {
        let all = operations().map(|(weight, _)| weight).sum();
        let mut at = self.random.below(all);
        for (weight, operation) in operations() {
            match at.checked_sub(*weight) {
                Some(left) => at = left,
                None => return operation(self),
            }
        }
        (String::new(), Ok(String::new()))
    }
}

/// Opens a path of this process.
fn open(path: &str, flags: i32) -> Result<Fd, SysError> {
    fd::open(&c(path), flags | libc::O_CLOEXEC, 0o666)
}

/// The path as the kernel takes it.
fn c(path: &str) -> CString {
    cstring(path)
}

/// What a call gave that returns nothing, or nothing but a count.
fn done(result: Result<i64, SysError>) -> Given {
    result.map(|count| count.to_string())
}

/// Adds bytes to a digest (FNV-1a of 64 bits); 0 is the digest of nothing.
fn digest(before: u64, bytes: &[u8]) -> u64 {
    let start = if before == 0 {
        0xcbf2_9ce4_8422_2325
    } else {
        before
    };
    bytes.iter().fold(start, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Bytes as they are compared: how many, and their digest.
fn summary(bytes: &[u8]) -> String {
    format!("{} bytes {:016x}", bytes.len(), digest(0, bytes))
}
