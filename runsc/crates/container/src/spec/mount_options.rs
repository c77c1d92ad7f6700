//! The options of a mount, sorted: flags, propagation, and what belongs to the file system
//! (runtime-spec, *Linux mount options*; `man 8 mount`).

use control::{MountFlags, Propagation, PropagationKind};

use crate::spec::invalid;
use crate::{ContainerError, Result};

/// The options of one mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Those of mount(2).
    pub flags: MountFlags,
    /// `bind` or `rbind` was given.
    pub bind: bool,
    /// `rbind` was given.
    pub recursive: bool,
    /// Changes of propagation, in order.
    pub propagation: Vec<Propagation>,
    /// The contents of the directory below are to be copied into a new tmpfs.
    pub copy_up: bool,
    /// `name=value` and unknown names: the file system's own.
    pub data: Vec<(String, String)>,
}

/// What a name means.
enum Meaning {
    /// Sets or clears a flag.
    Flag(fn(&mut MountFlags) -> &mut bool, bool),
    /// Changes the propagation.
    Propagation(PropagationKind),
    /// Flags of a file system that is written behind a cache of another kernel, and defaults.
    Nothing,
}

impl Options {
    /// Sorts options; later ones win, as in mount(8). A bind mount of this kernel is one mount, however many
    /// mounts of the host are below its source: the recursive forms of flags (`rro`) mean the same as the plain ones.
    ///
    /// # Errors
    /// [`ContainerError::Unsupported`] for id-mapped mounts, [`ContainerError::Spec`] for a malformed option.
    pub fn parse(options: &[String]) -> Result<Options> {
        let mut parsed = Options {
            flags: MountFlags {
                relatime: true,
                ..MountFlags::default()
            },
            ..Options::default()
        };
        for option in options {
            parsed.take(option)?;
        }
        Ok(parsed)
    }

    fn take(&mut self, option: &str) -> Result<()> {
        if option.contains('\0') {
            return Err(invalid("a mount option has a NUL byte"));
        }
        match option {
            "bind" => self.bind = true,
            "rbind" => {
                self.bind = true;
                self.recursive = true;
            }
            "idmap" | "ridmap" => {
                return Err(ContainerError::Unsupported(format!(
                    "mount option {option}: id-mapped mounts are not supported"
                )));
            }
            "tmpcopyup" => self.copy_up = true,
            "remount" => {
                return Err(ContainerError::Unsupported(
                    "mount option remount: mounts are made here, not changed".into(),
                ));
            }
            _ => self.take_name(option),
        }
        Ok(())
    }

    fn take_name(&mut self, option: &str) {
        let recursive = option.strip_prefix('r').and_then(meaning_if_recursive);
        let found = meaning(option).map(|found| (found, false));
        match found.or(recursive.map(|found| (found, true))) {
            Some((Meaning::Flag(field, value), _)) => {
                *field(&mut self.flags) = value;
                self.settle_access_times(option);
            }
            Some((Meaning::Propagation(kind), recursive)) => {
                self.propagation.push(Propagation { kind, recursive });
            }
            Some((Meaning::Nothing, _)) => {}
            None => {
                let (name, value) = option.split_once('=').unwrap_or((option, ""));
                self.data.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// The three ways to keep access times exclude each other (`man 2 mount`).
    fn settle_access_times(&mut self, option: &str) {
        match option.strip_prefix('r').unwrap_or(option) {
            "noatime" => self.flags.relatime = false,
            "elatime" | "relatime" => self.flags.no_atime = false,
            "strictatime" => {
                self.flags.no_atime = false;
                self.flags.relatime = false;
            }
            "atime" | "nostrictatime" => self.flags.relatime = !self.flags.no_atime,
            _ => {}
        }
    }

    /// Takes an option of the file system out; the last one counts.
    pub(super) fn take_data(&mut self, name: &str) -> Option<String> {
        let mut value = None;
        self.data.retain(|(n, v)| {
            let same = n == name;
            if same {
                value = Some(v.clone());
            }
            !same
        });
        value
    }

    /// A number of the file system's own options, decimal.
    pub(super) fn take_number(&mut self, name: &str) -> Result<Option<u32>> {
        self.take_radix(name, 10)
    }

    /// Permissions among the file system's own options, octal.
    pub(super) fn take_mode(&mut self, name: &str) -> Result<Option<u32>> {
        Ok(self.take_radix(name, 8)?.map(|mode| mode & 0o7777))
    }

    fn take_radix(&mut self, name: &str, radix: u32) -> Result<Option<u32>> {
        self.take_data(name)
            .map(|value| {
                u32::from_str_radix(&value, radix)
                    .map_err(|_| invalid(format!("mount option {name}={value} is not a number")))
            })
            .transpose()
    }

    /// A size among the file system's own options: `k`, `m`, `g` as in `man 5 tmpfs`.
    pub(super) fn take_size(&mut self, name: &str) -> Result<Option<u64>> {
        self.take_data(name)
            .map(|value| {
                scaled(&value)
                    .ok_or_else(|| invalid(format!("mount option {name}={value} is not a number")))
            })
            .transpose()
    }

    /// Fails for what is left of the file system's own options.
    pub(super) fn finish(&self, destination: &str) -> Result<()> {
        match self.data.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(format!(
                "mount {destination}: unknown option {name:?}"
            ))),
        }
    }
}

fn meaning_if_recursive(rest: &str) -> Option<Meaning> {
    // "ro" and "rw" are no recursive forms of "o" and "w"; "rsync" is none either.
    match meaning(rest)? {
        Meaning::Nothing => None,
        found => Some(found),
    }
}

fn meaning(name: &str) -> Option<Meaning> {
    let flag = |field: fn(&mut MountFlags) -> &mut bool, value| Some(Meaning::Flag(field, value));
    match name {
        "ro" => flag(|f| &mut f.read_only, true),
        "rw" => flag(|f| &mut f.read_only, false),
        "nosuid" => flag(|f| &mut f.no_suid, true),
        "suid" => flag(|f| &mut f.no_suid, false),
        "nodev" => flag(|f| &mut f.no_dev, true),
        "dev" => flag(|f| &mut f.no_dev, false),
        "noexec" => flag(|f| &mut f.no_exec, true),
        "exec" => flag(|f| &mut f.no_exec, false),
        "noatime" => flag(|f| &mut f.no_atime, true),
        "atime" => flag(|f| &mut f.no_atime, false),
        "nodiratime" => flag(|f| &mut f.no_dir_atime, true),
        "diratime" => flag(|f| &mut f.no_dir_atime, false),
        "relatime" | "nostrictatime" => flag(|f| &mut f.relatime, true),
        "norelatime" | "strictatime" => flag(|f| &mut f.relatime, false),
        "nosymfollow" => flag(|f| &mut f.no_symlink_follow, true),
        "symfollow" => flag(|f| &mut f.no_symlink_follow, false),
        "shared" => Some(Meaning::Propagation(PropagationKind::Shared)),
        "slave" => Some(Meaning::Propagation(PropagationKind::Slave)),
        "private" => Some(Meaning::Propagation(PropagationKind::Private)),
        "unbindable" => Some(Meaning::Propagation(PropagationKind::Unbindable)),
        "" | "defaults" | "async" | "sync" | "dirsync" | "iversion" | "noiversion" | "loud"
        | "silent" | "mand" | "nomand" | "lazytime" | "nolazytime" | "acl" | "noacl"
        | "notmpcopyup" | "nocopyup" => Some(Meaning::Nothing),
        _ => None,
    }
}

/// A number with `k`, `m`, `g` (`man 5 tmpfs`); percentages are of nothing fixed here and so unlimited.
fn scaled(text: &str) -> Option<u64> {
    if text
        .strip_suffix('%')
        .is_some_and(|n| n.parse::<u64>().is_ok())
    {
        return Some(u64::MAX);
    }
    let (digits, shift) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (text.get(..at)?, 10),
        (at, 'm' | 'M') => (text.get(..at)?, 20),
        (at, 'g' | 'G') => (text.get(..at)?, 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use control::PropagationKind;
    use proptest::prelude::{any, proptest};

    use super::{Options, scaled};

    fn parse(options: &[&str]) -> Options {
        let options: Vec<String> = options.iter().map(|&o| o.to_owned()).collect();
        Options::parse(&options).unwrap()
    }

    #[test]
    fn later_options_win() {
        let parsed = parse(&["ro", "nosuid", "rw", "rnoexec", "size=64k", "rprivate"]);
        assert!(!parsed.flags.read_only && parsed.flags.no_suid && parsed.flags.no_exec);
        assert!(!parsed.bind && !parsed.recursive);
        assert_eq!(parsed.data, [("size".to_owned(), "64k".to_owned())]);
        assert_eq!(parsed.propagation.len(), 1);
        assert_eq!(parsed.propagation[0].kind, PropagationKind::Private);
        assert!(parsed.propagation[0].recursive);
    }

    #[test]
    fn access_times_exclude_each_other() {
        for (options, no_atime, relatime) in [
            (&[][..], false, true),
            (&["noatime"], true, false),
            (&["strictatime"], false, false),
            (&["noatime", "atime"], false, true),
            (&["rnoatime", "rrelatime"], false, true),
            (&["rstrictatime"], false, false),
        ] {
            let flags = parse(options).flags;
            assert_eq!(
                (flags.no_atime, flags.relatime),
                (no_atime, relatime),
                "{options:?}"
            );
        }
    }

    #[test]
    fn id_mapped_mounts_are_refused_by_name() {
        for option in ["idmap", "ridmap"] {
            let error = Options::parse(&[option.to_owned()]).unwrap_err();
            assert!(error.to_string().contains(option), "{error}");
        }
    }

    proptest! {
        #[test]
        fn sizes_never_panic(text in any::<String>()) {
            let _ = scaled(&text);
            let _ = Options::parse(&[text]);
        }
    }
}
