//! `grow KIND SECONDS`: makes kernel objects of one kind without end, and says what comes of it.
//!
//! Three processes besides: this one, which watches; a *hog*, an unprivileged user that makes the objects; and a
//! *neighbour*, another user that works on request as a shell would. One line is printed: the kind, how many objects there
//! were, how that ended, and whether the neighbour worked while they were held and after they were given back.

mod descriptors;
mod files;
mod ipc;
mod memory;
mod neighbour;
mod sockets;
mod tasks;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::case::Failure;
use crate::support::map::{self, Map};
use crate::support::process::{self, Child, Status};
use crate::support::time;
use crate::sys::SysError;
use neighbour::Neighbour;

/// Makes one more object, or several; how many.
type Step = Box<dyn FnMut() -> Result<u32, SysError>>;
/// Prepares a kind.
type Kind = fn() -> Result<Step, Failure>;

const HOG: u32 = 1000;
/// How long errors may be repeated before the hog is taken to be at its end.
const TRIES: u32 = 20;
/// How long the watcher looks on while the hog holds what it has.
const HOLD_MS: i64 = 300;

fn kinds() -> impl Iterator<Item = &'static (&'static str, Kind)> {
    descriptors::KINDS
        .iter()
        .chain(sockets::KINDS)
        .chain(ipc::KINDS)
        .chain(files::KINDS)
        .chain(tasks::KINDS)
        .chain(memory::KINDS)
}

/// `grow list`, or `grow KIND SECONDS`; the result is the exit code.
pub(crate) fn run(args: &[String]) -> i32 {
    let name = args.first().map_or("", String::as_str);
    if name == "list" {
        for (name, _) in kinds() {
            println!("{name}");
        }
        return 0;
    }
    let seconds = args.get(1).and_then(|text| text.parse().ok()).unwrap_or(10);
    let Some((name, kind)) = kinds().find(|(known, _)| *known == name) else {
        eprintln!("there is no kind {name:?}");
        return 2;
    };
    match watch(name, *kind, Duration::from_secs(seconds)) {
        Ok(()) => 0,
        Err(failure) => {
            println!("{name} | the watcher failed: {failure:?}");
            1
        }
    }
}

/// What the hog tells through memory that it shares with the watcher.
struct Board(Map);

impl Board {
    const COUNT: usize = 0;
    const ERRNO: usize = 4;

    fn get(&self, at: usize) -> u32 {
        self.0.atomic(at).load(Ordering::SeqCst)
    }

    fn set(&self, at: usize, value: u32) {
        self.0.atomic(at).store(value, Ordering::SeqCst);
    }
}

fn watch(name: &str, kind: Kind, limit: Duration) -> Result<(), Failure> {
    let board = Board(Map::shared(map::PAGE)?);
    let mut neighbour = Neighbour::start()?;
    let hog = process::fork(|| hog(kind, &board))?;
    let (status, took) = wait_for_end(&hog, &board, limit)?;
    time::sleep_ms(HOLD_MS);
    let during = neighbour.works();
    let count = board.get(Board::COUNT);
    let outcome = match (status, board.get(Board::ERRNO)) {
        (Some(status), _) => format!("hog: {status}"),
        (None, 0) => "still growing".to_owned(),
        (None, errno) => errno_text(errno),
    };
    end(hog, status)?;
    let after = neighbour.works();
    println!(
        "{name} | {count} | {outcome} | {}.{} s | during: {during} | after: {after}",
        took.as_secs(),
        took.subsec_millis() / 100
    );
    // Whoever looks at the container from outside sees it once more.
    time::sleep_ms(HOLD_MS);
    Ok(())
}

fn errno_text(errno: u32) -> String {
    let error = std::io::Error::from_raw_os_error(errno as i32);
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Until the hog has died, has come to its end or has had its time: how it died, and how long that took.
fn wait_for_end(
    hog: &Child,
    board: &Board,
    limit: Duration,
) -> Result<(Option<Status>, Duration), Failure> {
    let start = Instant::now();
    loop {
        let mut status = 0_i32;
        if sys!(SYS_wait4, hog.pid, &mut status, libc::WNOHANG, 0)? > 0 {
            return Ok((Some(Status(status)), start.elapsed()));
        }
        if board.get(Board::ERRNO) != 0 || start.elapsed() > limit {
            return Ok((None, start.elapsed()));
        }
        time::sleep_ms(20);
    }
}

/// Ends the hog with all that it has started.
fn end(hog: Child, status: Option<Status>) -> Result<(), Failure> {
    let _ = sys!(SYS_kill, -hog.pid, libc::SIGKILL);
    if status.is_some() {
        hog.forget();
    } else {
        hog.kill(libc::SIGKILL)?;
        drop(hog);
    }
    // Its children are this process's now, which is the container's first.
    loop {
        match sys!(SYS_wait4, -1, 0, libc::WNOHANG, 0) {
            Ok(1..) => {}
            Ok(_) => {
                // The neighbour is left; anybody else may be on the way.
                time::sleep_ms(50);
                if !matches!(sys!(SYS_wait4, -1, 0, libc::WNOHANG, 0), Ok(1..)) {
                    return Ok(());
                }
            }
            Err(_) => return Ok(()),
        }
    }
}

/// Becomes an ordinary user and makes objects until that fails for good; then it holds them.
fn hog(kind: Kind, board: &Board) -> i32 {
    process::new_group();
    if become_user(HOG).is_err() {
        return 90;
    }
    let mut step = match kind() {
        Ok(step) => step,
        Err(failure) => {
            eprintln!("{failure:?}");
            return 91;
        }
    };
    let mut count = 0;
    let mut failed = 0;
    let mut errno = 0;
    while failed < TRIES {
        match step() {
            Ok(more) => {
                count += more;
                failed = 0;
                board.set(Board::COUNT, count);
            }
            Err(error) => {
                errno = error.errno;
                failed += 1;
            }
        }
    }
    board.set(Board::ERRNO, errno as u32);
    loop {
        let _ = sys!(SYS_pause);
    }
}

/// Gives up root, and takes all descriptors that it may have.
fn become_user(id: u32) -> Result<(), SysError> {
    let mut limit: libc::rlimit = crate::sys::zeroed();
    sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, 0, &mut limit)?;
    limit.rlim_cur = limit.rlim_max;
    sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &limit, 0)?;
    sys!(SYS_setgroups, 0, 0)?;
    sys!(SYS_setresgid, id, id, id)?;
    sys!(SYS_setresuid, id, id, id)?;
    // Changing the user has made it undumpable, and then its own files in /proc are root's.
    sys!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)?;
    Ok(())
}
