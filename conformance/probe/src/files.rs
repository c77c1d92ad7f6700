//! The root file system, mounts and devices.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{major, minor};
use serde_json::Value;

use crate::{Check, list, same, strings, text};

/// Whether a file can be made in a directory, or a file opened for writing.
fn writable(path: &str) -> bool {
    if !Path::new(path).is_dir() {
        return OpenOptions::new().append(true).open(path).is_ok();
    }
    let file = Path::new(path).join(".probe");
    let made = File::create(&file).is_ok();
    // Whether it was made is the answer.
    let _ = fs::remove_file(file);
    made
}

pub(crate) fn root(config: &Value) -> Check {
    let read_only = config["root"]["readonly"].as_bool().unwrap_or(false);
    let privileged = config["process"]["user"]["uid"].as_u64().unwrap_or(0) == 0;
    match (read_only, writable("/")) {
        (true, true) => Err("the root can be written".into()),
        (false, false) if privileged => Err("the root can't be written".into()),
        _ => Ok(()),
    }
}

/// One line of mountinfo.
struct Mounted {
    place: String,
    options: Vec<String>,
    kind: String,
    source: String,
    super_options: Vec<String>,
}

fn mounted() -> Result<Vec<Mounted>, String> {
    let text = text("/proc/self/mountinfo")?;
    let split = |options: &str| options.split(',').map(ToOwned::to_owned).collect();
    let parse = |line: &str| {
        let (first, second) = line.split_once(" - ")?;
        let first: Vec<&str> = first.split(' ').collect();
        let second: Vec<&str> = second.split(' ').collect();
        Some(Mounted {
            place: (*first.get(4)?).to_owned(),
            options: split(first.get(5)?),
            kind: (*second.first()?).to_owned(),
            source: (*second.get(1)?).to_owned(),
            super_options: split(second.get(2)?),
        })
    };
    Ok(text.lines().filter_map(parse).collect())
}

/// Every mount is there, with its type, source and flags, in the order of the configuration.
pub(crate) fn mounts(config: &Value) -> Check {
    let mounted = mounted()?;
    let mut from = 0;
    for mount in list(&config["mounts"]) {
        let place = mount["destination"].as_str().unwrap_or_default();
        let place = Path::new("/").join(place.trim_end_matches('/'));
        let place = place.to_string_lossy();
        let options = strings(&mount["options"]);
        let bind = options.iter().any(|o| matches!(*o, "bind" | "rbind"));
        let rest = mounted.iter().enumerate().skip(from);
        let mut candidates = rest.filter(|(_, m)| m.place == place);
        let found = candidates.find(|(_, m)| {
            bind || (Some(m.kind.as_str()) == mount["type"].as_str()
                && Some(m.source.as_str()) == mount["source"].as_str())
        });
        let Some((at, found)) = found else {
            return Err(format!("{place}: not mounted, or not so: {mount}"));
        };
        from = at + 1;
        flags(found, &options).map_err(|reason| format!("{place}: {reason}"))?;
    }
    Ok(())
}

fn flags(mounted: &Mounted, options: &[&str]) -> Check {
    for flag in ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"] {
        let has = |list: &[String]| list.iter().any(|o| o == flag);
        let is = has(&mounted.options) || has(&mounted.super_options);
        if options.contains(&flag) && !is {
            return Err(format!("{flag} is missing in {:?}", mounted.options));
        }
    }
    Ok(())
}

/// runtime-spec, *Default Filesystems*.
pub(crate) fn default_file_systems(config: &Value) -> Check {
    let mounted = mounted()?;
    for (place, kind) in [
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
    ] {
        let wanted = list(&config["mounts"])
            .iter()
            .any(|m| m["destination"] == place);
        if wanted && !mounted.iter().any(|m| m.place == place && m.kind == kind) {
            return Err(format!("{place} is no {kind}"));
        }
    }
    Ok(())
}

/// runtime-spec, *Default Devices*.
pub(crate) fn default_devices(config: &Value) -> Check {
    let mut devices = vec![
        ("/dev/null", Some((1, 3))),
        ("/dev/zero", Some((1, 5))),
        ("/dev/full", Some((1, 7))),
        ("/dev/random", Some((1, 8))),
        ("/dev/urandom", Some((1, 9))),
        ("/dev/tty", Some((5, 0))),
        ("/dev/ptmx", Some((5, 2))),
    ];
    if config["process"]["terminal"] == true {
        devices.push(("/dev/console", None));
    }
    for (path, number) in devices {
        let found = fs::metadata(path).map_err(|e| format!("{path}: {e}"))?;
        if !found.file_type().is_char_device() {
            return Err(format!("{path} is no character device"));
        }
        let rdev = found.rdev();
        if let Some(number) = number {
            same(number, (major(rdev), minor(rdev)))
                .map_err(|reason| format!("{path}: {reason}"))?;
        }
    }
    Ok(())
}

/// runtime-spec, *Dev symbolic links*.
pub(crate) fn default_links(_config: &Value) -> Check {
    for (path, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        let found = fs::read_link(path).map_err(|e| format!("{path}: {e}"))?;
        same(target, &*found.to_string_lossy()).map_err(|reason| format!("{path}: {reason}"))?;
    }
    Ok(())
}

pub(crate) fn devices(config: &Value) -> Check {
    for device in list(&config["linux"]["devices"]) {
        let path = device["path"].as_str().unwrap_or_default();
        device_is(path, device).map_err(|reason| format!("{path}: {reason}"))?;
    }
    Ok(())
}

fn device_is(path: &str, wanted: &Value) -> Check {
    let found = fs::metadata(path).map_err(|e| e.to_string())?;
    let kind = found.file_type();
    let letter = match () {
        () if kind.is_char_device() => "c",
        () if kind.is_block_device() => "b",
        () if kind.is_fifo() => "p",
        () => "?",
    };
    let type_wanted = match wanted["type"].as_str() {
        Some("u") => "c",
        other => other.unwrap_or_default(),
    };
    same(type_wanted, letter)?;
    if letter != "p" {
        let rdev = found.rdev();
        let number = (u64::from(major(rdev)), u64::from(minor(rdev)));
        same(
            (wanted["major"].as_u64(), wanted["minor"].as_u64()),
            (Some(number.0), Some(number.1)),
        )?;
    }
    for (field, is) in [
        ("fileMode", found.mode() & 0o777),
        ("uid", found.uid()),
        ("gid", found.gid()),
    ] {
        let Some(wanted) = wanted[field].as_u64() else {
            continue;
        };
        same(wanted, u64::from(is)).map_err(|reason| format!("{field}: {reason}"))?;
    }
    Ok(())
}

/// Nothing can be read of them: an empty directory, an empty file, or an error.
pub(crate) fn masked_paths(config: &Value) -> Check {
    for path in strings(&config["linux"]["maskedPaths"]) {
        let readable = match fs::metadata(path) {
            Err(_) => false,
            Ok(found) if found.is_dir() => fs::read_dir(path).is_ok_and(|mut d| d.next().is_some()),
            Ok(_) => {
                let read = File::open(path).and_then(|mut file| file.read(&mut [0]));
                read.is_ok_and(|len| len > 0)
            }
        };
        if readable {
            return Err(format!("{path} can be read"));
        }
    }
    Ok(())
}

pub(crate) fn read_only_paths(config: &Value) -> Check {
    for path in strings(&config["linux"]["readonlyPaths"]) {
        if Path::new(path).exists() && writable(path) {
            return Err(format!("{path} can be written"));
        }
    }
    Ok(())
}
