//! Locks of files on volumes: containers keep each other and the host's programs out.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::time::{Duration, Instant};

use fixtures::bundle::Bundle;
use fixtures::container::Container;
use rstest::rstest;
use rustix::fs::{FlockOperation, flock};

fn on_volume(bundle: Bundle, volume: &Path) -> Bundle {
    let source = volume.to_string_lossy().into_owned();
    bundle.mount("/mnt", "bind", &source, &["rbind", "rw"])
}

fn shell(script: &str, volume: &Path) -> Container {
    let bundle = Bundle::debian(&["sh", "-c", script]).unwrap();
    Container::new(on_volume(bundle, volume)).unwrap()
}

fn open(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).unwrap()
}

#[rstest]
fn lock_of_the_host_keeps_a_container_out() {
    let volume = tempfile::tempdir().unwrap();
    let file = open(&volume.path().join("file"));
    flock(&file, FlockOperation::LockExclusive).unwrap();
    let container = shell("flock -n -s /mnt/file true; echo $?", volume.path());
    assert_eq!(container.run().unwrap().success().unwrap().stdout, "1\n");
    flock(&file, FlockOperation::LockShared).unwrap();
    let script = "flock -n -s /mnt/file true; echo $?; flock -n /mnt/file true; echo $?";
    let container = shell(script, volume.path());
    assert_eq!(container.run().unwrap().success().unwrap().stdout, "0\n1\n");
}

/// It waits as long as the host has the lock, and then keeps the host out as long as it has it.
#[rstest]
fn container_waits_for_the_host_and_the_host_for_the_container() {
    let volume = tempfile::tempdir().unwrap();
    let file = open(&volume.path().join("file"));
    flock(&file, FlockOperation::LockExclusive).unwrap();
    let script = "touch /mnt/waits; flock /mnt/file sh -c 'touch /mnt/has; while [ ! -e /mnt/end ]; do sleep 0.1; done'";
    let container = shell(script, volume.path());
    std::thread::scope(|scope| {
        let running = scope.spawn(|| container.run());
        await_file(&volume.path().join("waits"));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!volume.path().join("has").exists());
        flock(&file, FlockOperation::Unlock).unwrap();
        await_file(&volume.path().join("has"));
        assert!(flock(&file, FlockOperation::NonBlockingLockShared).is_err());
        fs::write(volume.path().join("end"), "").unwrap();
        running.join().unwrap().unwrap().success().unwrap();
    });
    flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
}

fn await_file(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !path.exists() {
        assert!(
            Instant::now() < deadline,
            "{} does not appear",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Each adds one to a number many times, with the file locked: no step is lost.
#[rstest]
fn steps_under_flock_are_not_lost() {
    const STEPS: u32 = 40;
    let volume = tempfile::tempdir().unwrap();
    let number = volume.path().join("number");
    fs::write(&number, "0").unwrap();
    let step = "n=$(cat /mnt/number); echo $((n + 1)) >/mnt/number";
    let script =
        format!("for i in $(seq {STEPS}); do flock /mnt/lock sh -c '{step}' || exit 1; done");
    let containers = [shell(&script, volume.path()), shell(&script, volume.path())];
    let lock = open(&volume.path().join("lock"));
    std::thread::scope(|scope| {
        let running: Vec<_> = containers
            .iter()
            .map(|container| scope.spawn(|| container.run()))
            .collect();
        for _ in 0..STEPS {
            flock(&lock, FlockOperation::LockExclusive).unwrap();
            let value: u32 = fs::read_to_string(&number).unwrap().trim().parse().unwrap();
            fs::write(&number, (value + 1).to_string()).unwrap();
            flock(&lock, FlockOperation::Unlock).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        for running in running {
            running.join().unwrap().unwrap().success().unwrap();
        }
    });
    assert_eq!(
        fs::read_to_string(&number).unwrap().trim(),
        (3 * STEPS).to_string()
    );
}

const SQLITE: &str = "
import sqlite3, sys
db = sqlite3.connect('/mnt/db', timeout=100, isolation_level=None)
db.execute('create table if not exists number(n)')
for i in range(30):
    db.execute('begin immediate')
    rows = db.execute('select n from number').fetchall()
    db.execute('delete from number')
    db.execute('insert into number values(?)', (rows[0][0] + 1 if rows else 1,))
    db.execute('commit')
";

const LOOK: &str = "
import sqlite3
db = sqlite3.connect('/mnt/db')
print(db.execute('select n from number').fetchall(), db.execute('pragma integrity_check').fetchall())
";

/// Record locks, as a data base takes them.
#[rstest]
fn data_base_of_two_containers_is_not_corrupted() {
    let volume = tempfile::tempdir().unwrap();
    let python = |program: &str| {
        let bundle = Bundle::debian(&["python3", "-c", program]).unwrap();
        Container::new(on_volume(bundle, volume.path())).unwrap()
    };
    let containers = [python(SQLITE), python(SQLITE)];
    std::thread::scope(|scope| {
        let running: Vec<_> = containers
            .iter()
            .map(|container| scope.spawn(|| container.run()))
            .collect();
        for running in running {
            running.join().unwrap().unwrap().success().unwrap();
        }
    });
    let output = python(LOOK).run().unwrap().success().unwrap();
    assert_eq!(output.stdout, "[(60,)] [('ok',)]\n");
}

/// Opens files that are made at the same time elsewhere. Whoever finds a file is faster than who makes it, so that
/// the two meet again and again.
const CREATE: &str = "
import os, sys
open('/mnt/ready-' + sys.argv[1], 'w').close()
while len([name for name in os.listdir('/mnt') if name.startswith('ready-')]) < 2:
    pass
for i in range(500):
    os.close(os.open('/mnt/file-%d' % i, os.O_RDWR | os.O_CREAT))
";

/// `open(2)`: only `O_EXCL` makes the existence of a file an error.
#[rstest]
fn two_containers_create_the_same_files() {
    let volume = tempfile::tempdir().unwrap();
    let containers = ["a", "b"].map(|name| {
        let bundle = Bundle::debian(&["python3", "-c", CREATE, name]).unwrap();
        Container::new(on_volume(bundle, volume.path())).unwrap()
    });
    std::thread::scope(|scope| {
        let running: Vec<_> = containers
            .iter()
            .map(|container| scope.spawn(|| container.run()))
            .collect();
        for running in running {
            running.join().unwrap().unwrap().success().unwrap();
        }
    });
}

const HELD: &str = "
import fcntl, os, struct, sys
f = open('/mnt/file', 'r+')
def lock(kind, start, length):
    try:
        fcntl.fcntl(f, fcntl.F_SETLK, struct.pack('hhqqi4x', kind, 0, start, length, 0))
        return 'yes'
    except OSError:
        return 'no'
ask = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 100, 0)
kind, _, start, length, pid = struct.unpack('hhqqi4x', fcntl.fcntl(f, fcntl.F_GETLK, ask))
print(lock(fcntl.F_WRLCK, 0, 10), lock(fcntl.F_WRLCK, 5, 10), lock(fcntl.F_RDLCK, 20, 10), lock(fcntl.F_WRLCK, 20, 10))
print(kind == fcntl.F_WRLCK, start, length, pid)
";

/// The host's record locks are seen with their bytes, and each byte is its own.
#[rstest]
fn record_locks_of_the_host_exclude_their_bytes() {
    let volume = tempfile::tempdir().unwrap();
    let file = open(&volume.path().join("file"));
    let locker = "
import fcntl, struct, sys
f = open(sys.argv[1], 'r+')
for kind, start in ((fcntl.F_WRLCK, 10), (fcntl.F_RDLCK, 20)):
    fcntl.fcntl(f, fcntl.F_SETLK, struct.pack('hhqqi4x', kind, 0, start, 10, 0))
print('locked', flush=True)
sys.stdin.read()
";
    drop(file);
    let mut host = std::process::Command::new("python3")
        .args(["-c", locker])
        .arg(volume.path().join("file"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = host.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
    assert_eq!(line, "locked\n");
    let bundle = Bundle::debian(&["python3", "-c", HELD]).unwrap();
    let container = Container::new(on_volume(bundle, volume.path())).unwrap();
    let output = container.run().unwrap().success().unwrap();
    drop(host.stdin.take());
    host.wait().unwrap();
    assert_eq!(output.stdout, "yes no yes no\nTrue 10 10 0\n");
}
