//! `runsc checkpoint` and `runsc restore`: refused until a sandbox can be saved.

use anyhow::{Result, bail};

use crate::cli::{Command, Invocation};
use crate::flags::{Flag, Kind, ignored};

/// What containerd passes; nothing of it matters to a refusal.
const FLAGS: &[Flag] = &[
    ignored("image-path", Kind::Text),
    ignored("work-path", Kind::Text),
    ignored("parent-path", Kind::Text),
    ignored("leave-running", Kind::Switch),
    ignored("tcp-established", Kind::Switch),
    ignored("ext-unix-sk", Kind::Switch),
    ignored("shell-job", Kind::Switch),
    ignored("lazy-pages", Kind::Switch),
    ignored("status-fd", Kind::Number),
    ignored("page-server", Kind::Text),
    ignored("file-locks", Kind::Switch),
    ignored("pre-dump", Kind::Switch),
    ignored("manage-cgroups-mode", Kind::Text),
    ignored("empty-ns", Kind::List),
    ignored("auto-dedup", Kind::Switch),
    ignored("console-socket", Kind::Text),
    ignored("bundle", Kind::Text),
    ignored("detach", Kind::Switch),
    ignored("pid-file", Kind::Text),
    ignored("no-subreaper", Kind::Switch),
    ignored("no-pivot", Kind::Switch),
    ignored("lsm-profile", Kind::Text),
    ignored("lsm-mount-context", Kind::Text),
];

pub(crate) const CHECKPOINT: Command = Command {
    name: "checkpoint",
    usage: "ID",
    about: "refused: a sandbox can't be saved in this release",
    flags: FLAGS,
    run: refuse_checkpoint,
};

pub(crate) const RESTORE: Command = Command {
    name: "restore",
    usage: "ID",
    about: "refused: a sandbox can't be restored in this release",
    flags: FLAGS,
    run: refuse_restore,
};

fn refuse_checkpoint(_: &Invocation<'_>) -> Result<u8> {
    bail!("checkpoint is not available in this release: a sandbox can't be saved")
}

fn refuse_restore(_: &Invocation<'_>) -> Result<u8> {
    bail!("restore is not available in this release: a sandbox can't be restored")
}
