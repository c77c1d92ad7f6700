//! Flags of other runtimes that a sandbox has no use for: accepted, not shown, and logged when they are given.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// The flags of one subcommand, or of the program for the empty name.
struct Ignored {
    of: &'static str,
    switches: &'static [&'static str],
    /// They take a value.
    valued: &'static [&'static str],
    /// They take `=value`, or nothing.
    optional: &'static [&'static str],
}

const fn ignored(
    of: &'static str,
    switches: &'static [&'static str],
    valued: &'static [&'static str],
) -> Ignored {
    Ignored {
        of,
        switches,
        valued,
        optional: &[],
    }
}

const TABLE: &[Ignored] = &[
    Ignored {
        optional: &["rootless"],
        ..ignored("", &[], &["criu"])
    },
    ignored("checkpoint", SAVING_SWITCHES, SAVING_VALUED),
    ignored("restore", SAVING_SWITCHES, SAVING_VALUED),
    ignored("create", &["no-pivot", "no-new-keyring"], &[]),
    ignored("run", &["no-pivot", "no-new-keyring", "keep"], &[]),
    ignored("do", &["quiet"], &["ip", "uid-map", "gid-map"]),
    ignored(
        "exec",
        &["no-new-privs"],
        &["apparmor", "process-label", "cgroup", "user-log"],
    ),
    ignored(
        "update",
        &[],
        &[
            "kernel-memory",
            "kernel-memory-tcp",
            "cpu-idle",
            "l3-cache-schema",
            "mem-bw-schema",
        ],
    ),
];

/// What containerd passes; nothing of it matters to a refusal.
const SAVING_SWITCHES: &[&str] = &[
    "leave-running",
    "tcp-established",
    "ext-unix-sk",
    "shell-job",
    "lazy-pages",
    "file-locks",
    "pre-dump",
    "auto-dedup",
    "detach",
    "no-subreaper",
    "no-pivot",
];
const SAVING_VALUED: &[&str] = &[
    "image-path",
    "work-path",
    "parent-path",
    "status-fd",
    "page-server",
    "manage-cgroups-mode",
    "empty-ns",
    "console-socket",
    "bundle",
    "pid-file",
    "lsm-profile",
    "lsm-mount-context",
];

impl Ignored {
    fn add_to(&self, command: Command) -> Command {
        let arg = |name: &&'static str| Arg::new(*name).long(*name).hide(true);
        command
            .args(
                self.switches
                    .iter()
                    .map(|n| arg(n).action(ArgAction::SetTrue)),
            )
            .args(self.valued.iter().map(arg))
            .args(self.optional.iter().map(|n| {
                arg(n)
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true")
            }))
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        let all = [self.switches, self.valued, self.optional];
        all.into_iter().flatten().copied()
    }
}

/// Has them accepted.
pub(crate) fn accept(table: Command) -> Command {
    TABLE.iter().fold(table, |table, ignored| match ignored.of {
        "" => ignored.add_to(table),
        name => table.mut_subcommand(name, |command| ignored.add_to(command)),
    })
}

/// Logs which were given.
pub(crate) fn log(of: &str, matches: &ArgMatches) {
    let names = TABLE.iter().filter(|ignored| ignored.of == of);
    for name in names.flat_map(Ignored::names) {
        if matches.value_source(name) == Some(ValueSource::CommandLine) {
            tracing::info!("--{name} has no meaning for a sandbox and is ignored");
        }
    }
}
