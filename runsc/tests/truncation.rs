//! A file that the host makes shorter while the application has it mapped, and while the kernel copies from the
//! mapping: the application gets what Linux gives it, and the sandbox lives on.
//!
//! Needs root; without it every case passes without doing anything.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a failure is the test's failure"
)]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const LEN: u64 = 1 << 20;

/// Maps the file, says so, and waits for the host.
const MAPPED: &str = "
import ctypes, mmap, os, time
m = mmap.mmap(os.open('/mnt/file', os.O_RDWR), 1 << 20)
at = ctypes.addressof(ctypes.c_char.from_buffer(m))
write = ctypes.CDLL(None, use_errno=True).write
open('/mnt/ready', 'w').close()
while not os.path.exists('/mnt/go'): time.sleep(0.01)
def touch():
    pid = os.fork()
    if pid == 0:
        m[1 << 19]
        os._exit(0)
    return os.waitpid(pid, 0)[1]
def copy(fd):
    ctypes.set_errno(0)
    return write(fd, ctypes.c_void_p(at + (1 << 19)), 1 << 18), ctypes.get_errno()
";

/// Runs a program in a sandbox that has `directory` at `/mnt`; its output.
fn run(directory: &Path, program: &str, host: impl FnOnce()) -> String {
    File::create(directory.join("file"))
        .unwrap()
        .set_len(LEN)
        .unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_runsc"))
        .arg("--root")
        .arg(directory.join("state"))
        .arg("--network=none")
        .arg("do")
        .arg(format!("--volume={}:/mnt", directory.display()))
        .args(["python3", "-c", &format!("{MAPPED}{program}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !directory.join("ready").exists() && start.elapsed() < Duration::from_secs(30) {
        sleep(Duration::from_millis(5));
    }
    host();
    fs::write(directory.join("done"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn touching_what_is_gone_is_sigbus_and_copying_it_efault() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let program = "
print(touch(), copy(os.pipe()[1]))
os.truncate('/mnt/file', 1 << 20)
print(touch(), copy(os.open('/dev/null', os.O_WRONLY)))
";
    let output = run(path, program, || {
        let file = File::options().write(true).open(path.join("file")).unwrap();
        file.set_len(4096).unwrap();
        fs::write(path.join("go"), "").unwrap();
    });
    assert_eq!(output, "7 (-1, 14)\n0 (262144, 0)\n");
}

#[test]
fn a_file_that_comes_and_goes_harms_nobody_else() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    // /dev/null takes the bytes without looking; a file does not.
    let program = "
out = os.memfd_create('copies')
seen = set()
while not os.path.exists('/mnt/done'):
    for _ in range(20):
        os.lseek(out, 0, 0)
        seen.add(copy(out)[1])
    seen.add(touch())
print(sorted(seen - {0, 7, 14}), 'alive')
";
    let output = run(path, program, || {
        fs::write(path.join("go"), "").unwrap();
        let file = File::options().write(true).open(path.join("file")).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            file.set_len(4096).unwrap();
            file.set_len(LEN).unwrap();
        }
    });
    assert_eq!(output, "[] alive\n");
}
