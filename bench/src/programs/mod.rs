//! Real programs: the same scripts on the same files for all, in two root file systems.
//!
//! The host runs them too with that root (chroot), in a mount namespace of its own with a tmpfs on `/tmp`, so that no
//! difference but the kernel is left.

mod files;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow};
use fixtures::build;
use fixtures::bundle::Bundle;
use tempfile::TempDir;

use crate::effort::{Effort, Work};
use crate::measure::{self, Measured};
use crate::rows::Stage;
use crate::subject::Subject;

/// Where the programs find the guest program and the files, read-only.
const SHARED: &str = "/mnt";
/// The guest program's name there.
const GUEST: &str = "bench-guest";

/// Gives the host what a container has: a tmpfs, devices, processes, the shared files, and the root.
const ENTER: &str = "
root=$1; shared=$2; shift 2
mount -t tmpfs tmpfs \"$root/tmp\"
mount --rbind /dev \"$root/dev\"
mount -t proc proc \"$root/proc\"
mount --bind \"$shared\" \"$root/mnt\"
exec chroot \"$root\" \"$@\"
";

/// A program: the row that it fills, a script, and what the script does in one run, in the row's unit of work.
#[derive(Debug)]
struct Program {
    key: &'static str,
    script: String,
    work: u32,
}

/// The programs and their files.
#[derive(Debug)]
pub(crate) struct Programs {
    work: Work,
    shared: TempDir,
    busybox: Bundle,
    /// Or why there is none.
    debian: Result<Bundle, String>,
}

impl Programs {
    /// Makes the root file systems and the files. Without Debian's, which needs its packages, the other programs remain.
    ///
    /// # Errors
    /// busybox is missing, or a file operation failed.
    pub(crate) fn new(effort: &Effort, guest: &Path) -> anyhow::Result<Self> {
        let shared = tempfile::Builder::new()
            .prefix("bench-files-")
            .tempdir()
            .context("make a directory for the programs' files")?;
        build::install(guest, shared.path(), GUEST)?;
        files::make(shared.path(), &effort.work).context("make the programs' files")?;
        let busybox = Bundle::busybox(&[])?;
        let mount_point = busybox.rootfs().join("mnt");
        std::fs::create_dir_all(&mount_point).context("make a mount point")?;
        let prepare = |bundle, stage| prepare(bundle, stage, shared.path(), &effort.work);
        let debian = || prepare(Bundle::debian(&[])?, Stage::Debian);
        Ok(Self {
            work: effort.work,
            busybox: prepare(busybox, Stage::Busybox)?,
            debian: match effort.with_debian {
                true => debian().map_err(|error| format!("{error:#}")),
                false => Err("not asked for".to_owned()),
            },
            shared,
        })
    }

    /// Runs the programs of a stage.
    ///
    /// # Errors
    /// The runtime failed before the first result.
    pub(crate) fn measure(
        &self,
        stage: Stage,
        subject: &Subject,
        root: &Path,
    ) -> anyhow::Result<Measured> {
        let bundle = match stage {
            Stage::Debian => self.debian.as_ref().map_err(|why| anyhow!("{why}"))?,
            _ => &self.busybox,
        };
        let mut command = match subject.command(root) {
            Some(mut runtime) => {
                runtime.args(["run", "--bundle"]);
                runtime.arg(bundle.path()).arg("bench-programs");
                runtime
            }
            None => self.native(bundle.rootfs(), stage),
        };
        let mut measured = measure::run(&mut command)?;
        let programs = of(stage, &self.work);
        for (row, values) in &mut measured.values {
            let program = programs.iter().find(|program| program.key == row.key);
            let work = f64::from(program.map_or(0, |program| program.work));
            for microseconds in values {
                *microseconds = work * 1e6 / *microseconds;
            }
        }
        Ok(measured)
    }

    /// The same on the host.
    fn native(&self, rootfs: &Path, stage: Stage) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", ENTER, "sh"]);
        command.arg(rootfs).arg(self.shared.path());
        command.args(guest_args(stage, &self.work));
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command
    }
}

/// Makes a bundle run the programs of a stage, with the shared files.
fn prepare(bundle: Bundle, stage: Stage, shared: &Path, work: &Work) -> anyhow::Result<Bundle> {
    let args = guest_args(stage, work);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let shared = shared.to_str().context("the directory's name is no text")?;
    let bundle = bundle
        .args(&args)
        .mount(SHARED, "bind", shared, &["rbind", "ro"]);
    bundle.write()?;
    Ok(bundle)
}

/// The guest program's command line: how often, then a row and a script for each program.
fn guest_args(stage: Stage, work: &Work) -> Vec<String> {
    let program: PathBuf = Path::new(SHARED).join(GUEST);
    let mut args = vec![program.display().to_string(), "programs".to_owned()];
    args.push(work.nr_runs.to_string());
    for program in of(stage, work) {
        args.extend([program.key.to_owned(), program.script]);
    }
    args
}

/// The programs of a stage.
fn of(stage: Stage, work: &Work) -> Vec<Program> {
    let program = |key, script: &str, work| Program {
        key,
        script: script.to_owned(),
        work,
    };
    let many = format!(
        "i=0; while [ $i -lt {} ]; do /bin/true; i=$((i+1)); done",
        work.nr_processes
    );
    match stage {
        Stage::Busybox => vec![
            program("sha256sum", "sha256sum /mnt/text", work.text_mib),
            program("tr", "cat /mnt/text | tr a-y b-z | wc -c", work.text_mib),
            program(
                "tar",
                "tar -xf /mnt/tree.tar -C /root && rm -r /root/tree",
                work.nr_files,
            ),
            program("sh", &many, work.nr_processes),
        ],
        Stage::Debian => vec![
            program("gcc", "gcc -O1 -c -o /tmp/work.o /mnt/work.c", 1),
            program("python", "python3 -c 'import json, re, subprocess'", 1),
        ],
        Stage::Guest | Stage::Start | Stage::Idle => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::effort::Effort;
    use crate::rows::Stage;

    #[test]
    fn every_row_of_a_program_has_one() {
        for stage in [Stage::Busybox, Stage::Debian] {
            let programs = of(stage, &Effort::quick().work);
            let keys: Vec<_> = programs.iter().map(|program| program.key).collect();
            let rows: Vec<_> = stage.rows().map(|row| row.key).collect();
            assert_eq!(keys, rows);
        }
    }
}
