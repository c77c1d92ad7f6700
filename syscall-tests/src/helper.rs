//! What the tests execute: this same program in another role.
//!
//! `helper exit CODE`, `helper args`, `helper env`, `helper fds N…` (which of these descriptors are open), `helper
//! signals` (ignored and blocked), `helper ids`, `helper caps`, `helper sleep`, `helper pid`, `helper exe`, `helper
//! auxv KEY`, `helper altstack`, `helper name`, `helper
//! thp` (whether huge pages are disabled), `helper dumpfilter` (what a core dump would hold), `helper long
//! NAME` (an operation that does not end, see [`crate::long`]), `helper files SEED COUNT DIR` (random file operations,
//! see [`crate::operations`]), `helper threads MOST`, `helper settings` (limits of `/proc/sys`, see [`crate::settings`]),
//! `helper mapped COUNT DIR` (changes files through mappings, and then reads and makes others).

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::map::{Map, RW};
use crate::support::{self, creds, proc, process, signal, time};
use crate::sys::{self, SysError};

/// Plays the role; the result is the exit code.
pub(crate) fn run(args: &[String]) -> i32 {
    let rest = args.get(1..).unwrap_or_default();
    let text = match args.first().map(String::as_str) {
        Some("exit") => {
            return rest
                .first()
                .and_then(|code| code.parse().ok())
                .unwrap_or(99);
        }
        Some("sleep") => {
            time::sleep_ms(10_000);
            return 0;
        }
        Some("long") => {
            let begun = || println!("begun");
            let name = rest.first().map_or("", String::as_str);
            crate::long::run(name, &begun).to_string()
        }
        Some("files") => return crate::operations::run(rest),
        Some("settings") => {
            crate::settings::run(rest).unwrap_or_else(|failure| failure.to_string())
        }
        Some("threads") => {
            let most = rest.first().and_then(|most| most.parse().ok());
            threads(most.unwrap_or(1))
        }
        Some("mapped") => mapped_files(rest).unwrap_or_else(|error| error.to_string()),
        Some("args") => std::env::args().collect::<Vec<_>>().join("|"),
        Some("env") => environment(),
        Some("fds") => open_fds(rest),
        Some("signals") => signals().unwrap_or_else(|error| error.to_string()),
        Some("ids") => ids().unwrap_or_else(|error| error.to_string()),
        Some("caps") => capabilities().unwrap_or_else(|error| error.to_string()),
        Some("pid") => format!("{} {}", process::getpid(), process::gettid()),
        Some("exe") => std::fs::read_link("/proc/self/exe")
            .map_or_else(|e| e.to_string(), |p| p.display().to_string()),
        Some("auxv") => auxv(rest),
        Some("altstack") => altstack().unwrap_or_else(|error| error.to_string()),
        Some("name") => proc::read("/proc/self/comm").unwrap_or_else(|error| error.to_string()),
        Some("thp") => sys!(SYS_prctl, libc::PR_GET_THP_DISABLE, 0, 0, 0, 0)
            .map_or_else(|error| error.to_string(), |disabled| disabled.to_string()),
        Some("dumpfilter") => {
            let text = proc::read("/proc/self/coredump_filter");
            text.map_or_else(|error| error.to_string(), |text| text.trim().to_owned())
        }
        _ => return 98,
    };
    println!("{text}");
    0
}

/// Changes files through mappings, one after the other, then reads all of them and makes as many.
fn mapped_files(args: &[String]) -> std::io::Result<String> {
    let [count, dir] = args else {
        return Ok("mapped COUNT DIR".to_owned());
    };
    let count: usize = count.parse().map_err(std::io::Error::other)?;
    let path = |kind: &str, number| format!("{dir}/{kind}{number}");
    for number in 0..count {
        let path = path("mapped", number);
        std::fs::write(&path, [0; 4096])?;
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .open(&path)?;
        let map = Map::new(4096, RW, libc::MAP_SHARED, file.as_raw_fd(), 0)
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        map.set(number % 4096, 1);
    }
    for number in 0..count {
        let bytes = std::fs::read(path("mapped", number))?;
        if bytes.get(number % 4096) != Some(&1) {
            return Ok(format!("file {number} has not what was stored"));
        }
        std::fs::write(path("made", number), &bytes)?;
    }
    Ok("done".to_owned())
}

/// Makes threads as long as it may, which all live on; tells how many there were, and why there are no more.
fn threads(most: usize) -> String {
    let living = Arc::new(AtomicUsize::new(0));
    let mut nr_made = 0;
    let why = loop {
        if nr_made >= most {
            break "enough".to_owned();
        }
        let living = living.clone();
        let thread = std::thread::Builder::new().spawn(move || {
            living.fetch_add(1, Ordering::SeqCst);
            time::sleep_ms(60_000);
        });
        match thread.map_err(|error| error.raw_os_error()) {
            Ok(_) => nr_made += 1,
            Err(Some(libc::EAGAIN)) => break "EAGAIN".to_owned(),
            Err(error) => break format!("{error:?}"),
        }
    };
    let all_live = time::wait_until(|| living.load(Ordering::SeqCst) == nr_made);
    let live = if all_live { "live" } else { "were made" };
    format!("{nr_made} threads {live}, then {why}")
}

fn environment() -> String {
    let mut pairs: Vec<_> = std::env::vars()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.sort();
    pairs.join("|")
}

fn open_fds(numbers: &[String]) -> String {
    let is_open = |number: &&String| {
        number
            .parse::<i32>()
            .is_ok_and(|fd| sys!(SYS_fcntl, fd, libc::F_GETFD).is_ok())
    };
    numbers
        .iter()
        .filter(is_open)
        .cloned()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The ignored, handled and blocked signals among the first 31, as three masks, and the pending ones.
fn signals() -> Result<String, SysError> {
    let (mut ignored, mut handled) = (0_u64, 0_u64);
    for signo in 1..32 {
        // The kernel's own structure: handler, flags, restorer, mask.
        let mut action = [0_u64; 4];
        sys!(SYS_rt_sigaction, signo, 0, &mut action, signal::SET_SIZE)?;
        match action[0] as usize {
            libc::SIG_DFL => {}
            libc::SIG_IGN => ignored |= signal::bit(signo),
            _ => handled |= signal::bit(signo),
        }
    }
    Ok(format!(
        "ignored {ignored:x} handled {handled:x} blocked {:x} pending {:x}",
        signal::mask()?,
        signal::pending()?
    ))
}

fn ids() -> Result<String, SysError> {
    let (mut uids, mut gids) = ([0_u32; 3], [0_u32; 3]);
    let [r, e, s] = &mut uids;
    sys!(SYS_getresuid, r, e, s)?;
    let [r, e, s] = &mut gids;
    sys!(SYS_getresgid, r, e, s)?;
    Ok(format!("{uids:?} {gids:?}"))
}

fn capabilities() -> Result<String, SysError> {
    let caps = creds::capget()?;
    Ok(format!(
        "{:x} {:x} {:x}",
        caps.effective, caps.permitted, caps.inheritable
    ))
}

/// The value of one entry of the auxiliary vector.
fn auxv(args: &[String]) -> String {
    let key = args
        .first()
        .and_then(|key| key.parse::<u64>().ok())
        .unwrap_or(0);
    support::auxv(key).map_or("none".to_owned(), |value| value.to_string())
}

fn altstack() -> Result<String, SysError> {
    let mut stack = sys::zeroed::<libc::stack_t>();
    sys!(SYS_sigaltstack, 0, &mut stack)?;
    Ok(format!("flags {}", stack.ss_flags))
}
