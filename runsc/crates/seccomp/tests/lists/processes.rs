//! The processes that have a filter: their sources, and what of them runs before the filter is in force or elsewhere.

use seccomp::{Entry, Refusal, gofer, oom_victim, sandbox, watcher};

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: &'static str,
    /// Folders and files below the folder of the crates.
    pub(crate) sources: &'static [&'static str],
    /// What of them does not run under the filter.
    pub(crate) elsewhere: &'static [Elsewhere],
    pub(crate) entries: &'static [&'static [Entry]],
    pub(crate) refusals: &'static [Refusal],
    /// Whether it does what every process of these does; one that only makes raw calls does not.
    pub(crate) has_runtime: bool,
}

/// Code that does not run under the filter.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    /// A file, or a folder, that ends in `/`.
    pub(crate) file: &'static str,
    /// Its functions, or nothing if it is all of it.
    pub(crate) functions: &'static [&'static str],
    /// Why.
    pub(crate) reason: &'static str,
}

const fn all(file: &'static str, reason: &'static str) -> Elsewhere {
    Elsewhere {
        file,
        functions: &[],
        reason,
    }
}

const fn some(
    file: &'static str,
    functions: &'static [&'static str],
    reason: &'static str,
) -> Elsewhere {
    Elsewhere {
        file,
        functions,
        reason,
    }
}

const BEFORE: &str = "runs before the filter is in force";
const OTHER: &str = "runs in another process";

/// The sandbox, with its platforms.
pub(crate) const SANDBOX: Process = Process {
    name: "sandbox",
    sources: &[
        "sandbox/src",
        "sentry/src",
        "mm/src",
        "netstack/src",
        "memory/src",
        "platform/src",
        "host/src",
        "control/src",
        "gofer/src",
        "../src/logging.rs",
    ],
    elsewhere: &[
        all("gofer/src/local/attr.rs", OTHER),
        all("gofer/src/local/dir.rs", OTHER),
        all("gofer/src/local/edit.rs", OTHER),
        all("gofer/src/local/identity.rs", OTHER),
        all("gofer/src/local/mod.rs", OTHER),
        all("gofer/src/local/open.rs", OTHER),
        all("gofer/src/local/socket.rs", OTHER),
        all("gofer/src/local/xattr.rs", OTHER),
        some(
            "gofer/src/local/sys.rs",
            &["open_beneath", "reopen", "read_link", "is_proc", "stat_fs"],
            OTHER,
        ),
        all("gofer/src/server.rs", OTHER),
        all("host/src/empty_root.rs", BEFORE),
        all("host/src/privilege.rs", BEFORE),
        all(
            "host/src/spawn.rs",
            "starts children, or takes donations before the filter is in force",
        ),
        all(
            "host/src/stub.rs",
            "makes the master stub before the filter is in force",
        ),
        all("host/src/at.rs", "is the gofer's"),
        some("host/src/cpu.rs", &["description"], BEFORE),
        some(
            "host/src/oom_victim.rs",
            &["prepare", "enter", "keep", "sleep", "wait_and_take", "exit"],
            "runs before, or is the victim, which has a list of its own",
        ),
        some("host/src/signal_fd.rs", &["block"], BEFORE),
        all("control/src/address.rs", BEFORE),
        all("control/src/boot.rs", BEFORE),
        some("memory/src/file.rs", &["host_total"], BEFORE),
        some("memory/src/huge.rs", &["of_host"], BEFORE),
        some("sandbox/src/guest.rs", &["make_kernel"], BEFORE),
        some("sandbox/src/inputs.rs", &["take"], BEFORE),
        all("sandbox/src/lockdown.rs", BEFORE),
        some("sandbox/src/mounts.rs", &["options"], BEFORE),
        all(
            "platform/src/self_test.rs",
            "runs in the command that asks which platforms work",
        ),
        all("platform/src/limits.rs", "is the list of the platforms"),
        some(
            "platform/src/ptrace/batch.rs",
            &["mapping_call", "name"],
            "stubs make these calls",
        ),
        all("platform/src/ptrace/filter.rs", "is the list of the stubs"),
        some(
            "platform/src/ptrace/machine.rs",
            &["lowest_address"],
            BEFORE,
        ),
        all("platform/src/ptrace/master.rs", BEFORE),
        all("platform/src/ptrace/space.rs", "stubs make these calls"),
        some(
            "platform/src/ptrace/stub.rs",
            &["unmap_all"],
            "stubs make these calls",
        ),
        all("platform/src/ptrace/title.rs", "stubs make these calls"),
        some(
            "platform/src/ptrace/tracee.rs",
            &["clone_at", "retire"],
            "stubs make these calls",
        ),
        some("platform/src/kvm/machine.rs", &["affordable_vcpus"], BEFORE),
        some(
            "../src/logging.rs",
            &["open", "stderr", "install", "duplicate"],
            BEFORE,
        ),
    ],
    entries: &[sandbox::ENTRIES],
    refusals: sandbox::REFUSALS,
    has_runtime: true,
};

/// All others.
pub(crate) const OTHERS: &[Process] = &[
    Process {
        name: "gofer",
        sources: &[
            "gofer/src",
            "container/src/gofer_process.rs",
            "host/src/at.rs",
            "host/src/cpu.rs",
            "host/src/denied_call.rs",
            "host/src/empty_root.rs",
            "host/src/privilege.rs",
            "host/src/spawn.rs",
            "../src/logging.rs",
        ],
        elsewhere: &[
            all("gofer/src/file.rs", OTHER),
            all("container/src/gofer_process.rs", BEFORE),
            some(
                "gofer/src/local/mod.rs",
                &["new", "open_path", "with_descriptor_limit"],
                BEFORE,
            ),
            some("host/src/cpu.rs", &["current"], "the Sentry asks"),
            some("host/src/cpu.rs", &["description"], OTHER),
            all("host/src/empty_root.rs", BEFORE),
            all("host/src/privilege.rs", BEFORE),
            all("host/src/spawn.rs", BEFORE),
            some(
                "../src/logging.rs",
                &["open", "stderr", "install", "duplicate"],
                BEFORE,
            ),
        ],
        entries: &[gofer::ENTRIES, gofer::HOST_SOCKETS],
        refusals: gofer::REFUSALS,
        has_runtime: true,
    },
    Process {
        name: "watcher",
        sources: &[
            "container/src/exec.rs",
            "container/src/foreground.rs",
            "control/src/connection.rs",
            "host/src/signal_fd.rs",
            "host/src/denied_call.rs",
            "host/src/empty_root.rs",
            "host/src/privilege.rs",
            "host/src/spawn.rs",
            "../src/logging.rs",
        ],
        elsewhere: &[
            some("container/src/exec.rs", &["watch"], BEFORE),
            some("container/src/exec.rs", &["exec", "stdio"], OTHER),
            some("container/src/foreground.rs", &["run"], OTHER),
            some("control/src/connection.rs", &["pair"], OTHER),
            some(
                "control/src/connection.rs",
                &["sealed_memfd"],
                "is for long messages, and the watcher sends short ones",
            ),
            some("host/src/signal_fd.rs", &["block"], BEFORE),
            all("host/src/empty_root.rs", BEFORE),
            all("host/src/privilege.rs", BEFORE),
            all("host/src/spawn.rs", BEFORE),
            some(
                "../src/logging.rs",
                &["open", "stderr", "install", "duplicate"],
                BEFORE,
            ),
        ],
        entries: &[watcher::ENTRIES],
        refusals: &[],
        has_runtime: true,
    },
    Process {
        name: "oom_victim",
        sources: &["host/src/oom_victim.rs"],
        elsewhere: &[
            some("host/src/oom_victim.rs", &["prepare", "enter"], BEFORE),
            some("host/src/oom_victim.rs", &["offer", "is_gone"], OTHER),
        ],
        entries: &[oom_victim::ENTRIES],
        refusals: &[],
        has_runtime: false,
    },
];
