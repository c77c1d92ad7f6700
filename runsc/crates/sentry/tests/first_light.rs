//! A kernel in the test's own process, on ptrace, with a host directory as its root: programs start, run
//! and end.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use abi::Errno;
use gofer::{LocalTree, Policy, Root, TreeId};
use memory::MemoryFile;
use platform::{Platform, PtraceConfig};
use sentry::fs::gofer::{GoferFs, Options};
use sentry::kernel::credentials::Credentials;
use sentry::kernel::limits::Limits;
use sentry::kernel::namespaces::UtsNames;
use sentry::kernel::thread_group::ExitStatus;
use sentry::kernel::{Kernel, KernelConfig, ProcessSpec, StartError};
use sentry::strace;
use sentry::vfs::attr::Device;
use sentry::vfs::inode::CachePolicy;
use sentry::vfs::mount::{MountFlags, MountNamespace};

fn boot(root: &Path) -> (Arc<Kernel>, Arc<MountNamespace>) {
    memory::install_fault_handler().unwrap();
    let kernel = Kernel::new(KernelConfig {
        platform: Platform::ptrace(PtraceConfig::default()).unwrap(),
        memory: MemoryFile::new(None).unwrap(),
        names: UtsNames {
            host: b"first-light".to_vec(),
            domain: b"(none)".to_vec(),
        },
        processors: 2,
        total_memory: 1 << 30,
        processor_description: String::new(),
        strace: strace::Settings::default(),
        uid_map: Vec::new(),
        gid_map: Vec::new(),
        on_oom: None,
    });
    let tree = LocalTree::new(vec![Root::open_path(root, Policy::default()).unwrap()]);
    let fs = GoferFs::new(
        Arc::new(tree),
        TreeId(0),
        Device::new(0, 20),
        Options::new(CachePolicy::Keep),
    )
    .unwrap();
    let namespace =
        kernel.new_mount_namespace(kernel.user_ns().clone(), fs, b"root", MountFlags::empty());
    (kernel, namespace)
}

fn start(
    kernel: &Arc<Kernel>,
    namespace: &Arc<MountNamespace>,
    argv: &[&str],
) -> Result<ExitStatus, StartError> {
    let spec = ProcessSpec {
        program: None,
        argv: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
        envp: vec![b"PATH=/bin".to_vec()],
        accounts: None,
        mounts: namespace.clone(),
        cwd: b"/".to_vec(),
        umask: 0o22,
        credentials: Credentials::root(kernel.user_ns().clone()),
        limits: Limits::default(),
        files: Vec::new(),
        oom_score_adj: 0,
        terminal: None,
        filters: Vec::new(),
    };
    Ok(kernel.start_process(spec)?.wait_for_exit())
}

fn busybox_root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("bin")).unwrap();
    std::fs::copy("/bin/busybox", root.path().join("bin/busybox")).unwrap();
    for applet in ["sh", "true", "cat", "ls", "seq", "test", "sleep", "kill"] {
        std::os::unix::fs::symlink("busybox", root.path().join("bin").join(applet)).unwrap();
    }
    root
}

#[test]
fn a_static_program_runs_and_its_exit_code_comes_back() {
    let root = busybox_root();
    let (kernel, namespace) = boot(root.path());
    assert_eq!(
        start(&kernel, &namespace, &["true"]).unwrap(),
        ExitStatus::Exited(0)
    );
    // The end of its init was the end of that kernel's pid namespace.
    let (kernel, namespace) = boot(root.path());
    assert_eq!(
        start(&kernel, &namespace, &["sh", "-c", "exit 7"]).unwrap(),
        ExitStatus::Exited(7)
    );
}

#[test]
fn a_shell_forks_execs_and_waits() {
    let root = busybox_root();
    let (kernel, namespace) = boot(root.path());
    let script = "(exit 3); a=$?; /bin/busybox true; b=$?; /bin/busybox sh -c 'exit 5'; exit $((a * 16 + b + $?))";
    assert_eq!(
        start(&kernel, &namespace, &["sh", "-c", script]).unwrap(),
        ExitStatus::Exited(53)
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let root = busybox_root();
    let (kernel, namespace) = boot(root.path());
    let error = start(&kernel, &namespace, &["nothing-here"]).unwrap_err();
    assert_eq!(error, StartError::NotFound(b"nothing-here".to_vec()));
    std::fs::write(root.path().join("bin/text"), "no program").unwrap();
    let error = start(&kernel, &namespace, &["text"]).unwrap_err();
    assert_eq!(error, StartError::Program(b"text".to_vec(), Errno::EACCES));
}

#[test]
fn threads_of_a_dynamic_program_run() {
    let compiler = Command::new("gcc").arg("--version").output();
    if compiler.is_err() {
        return;
    }
    let root = busybox_root();
    let source = root.path().join("threads.c");
    std::fs::write(&source, THREADS).unwrap();
    let built = Command::new("gcc")
        .args(["-O1", "-static", "-pthread", "-o"])
        .arg(root.path().join("bin/threads"))
        .arg(&source)
        .status()
        .unwrap();
    assert!(built.success());
    let (kernel, namespace) = boot(root.path());
    assert_eq!(
        start(&kernel, &namespace, &["threads"]).unwrap(),
        ExitStatus::Exited(42)
    );
}

const THREADS: &str = r"
#include <pthread.h>
static int sum; static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static void *f(void *a) { for (int i = 0; i < 1000; i++) { pthread_mutex_lock(&m); sum++; pthread_mutex_unlock(&m); } return a; }
int main(void) { pthread_t t[8]; for (int i = 0; i < 8; i++) pthread_create(&t[i], 0, f, 0);
 for (int i = 0; i < 8; i++) pthread_join(t[i], 0); return sum == 8000 ? 42 : 1; }
";
