//! Runs inside a container and compares what it finds with `/config.json`: one TAP line per property of the
//! specification. The exit code is 0 whatever it finds; a test reads the lines.

#![expect(clippy::print_stdout, reason = "the lines are what it is for")]

mod files;
mod linux;
mod process;

use std::fs;

use serde_json::Value;

/// Why a property is not as the configuration says.
type Check = Result<(), String>;

/// A property by name, and how it is checked.
type Property = (&'static str, fn(&Value) -> Check);

const PROPERTIES: &[Property] = &[
    ("hostname", process::hostname),
    ("domainname", process::domainname),
    ("process.args", process::args),
    ("process.cwd", process::cwd),
    ("process.env", process::env),
    ("process.user", process::user),
    ("process.user.umask", process::umask),
    ("process.noNewPrivileges", process::no_new_privileges),
    ("process.capabilities", process::capabilities),
    ("process.rlimits", process::rlimits),
    ("process.oomScoreAdj", process::oom_score_adj),
    ("root.readonly", files::root),
    ("mounts", files::mounts),
    ("default file systems", files::default_file_systems),
    ("default devices", files::default_devices),
    ("default symbolic links", files::default_links),
    ("linux.devices", files::devices),
    ("linux.maskedPaths", files::masked_paths),
    ("linux.readonlyPaths", files::read_only_paths),
    ("linux.sysctl", linux::sysctl),
    ("linux.uidMappings", linux::uid_mappings),
    ("linux.gidMappings", linux::gid_mappings),
    ("linux.seccomp", linux::seccomp),
    ("linux.rootfsPropagation", linux::propagation),
];

fn main() {
    let config = match read() {
        Ok(config) => config,
        Err(reason) => {
            println!("Bail out! {reason}");
            return;
        }
    };
    println!("1..{}", PROPERTIES.len());
    for (index, (name, check)) in PROPERTIES.iter().enumerate() {
        let number = index + 1;
        match check(&config) {
            Ok(()) => println!("ok {number} - {name}"),
            Err(reason) => println!("not ok {number} - {name}: {reason}"),
        }
    }
}

fn read() -> Result<Value, String> {
    let text = fs::read("/config.json").map_err(|e| format!("/config.json: {e}"))?;
    serde_json::from_slice(&text).map_err(|e| format!("/config.json: {e}"))
}

/// The strings of an array.
fn strings(value: &Value) -> Vec<&str> {
    let array = value.as_array().map(Vec::as_slice).unwrap_or_default();
    array.iter().filter_map(Value::as_str).collect()
}

/// The elements of an array, none if it is not there.
fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// An error that tells both.
fn same<T: PartialEq + std::fmt::Debug>(wanted: T, found: T) -> Check {
    if wanted == found {
        Ok(())
    } else {
        Err(format!("wanted {wanted:?}, found {found:?}"))
    }
}

/// A file's text.
fn text(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))
}
