//! What a process can tell of itself.

use std::collections::BTreeSet;

use conformance::CAPABILITIES;
use rustix::process::{Resource, getrlimit};
use rustix::system::uname;
use serde_json::Value;

use crate::{Check, list, same, strings, text};

pub(crate) fn hostname(config: &Value) -> Check {
    let Some(wanted) = config["hostname"].as_str() else {
        return Ok(());
    };
    same(wanted, &uname().nodename().to_string_lossy())?;
    same(wanted, text("/proc/sys/kernel/hostname")?.trim())
}

pub(crate) fn domainname(config: &Value) -> Check {
    let Some(wanted) = config["domainname"].as_str() else {
        return Ok(());
    };
    same(wanted, &uname().domainname().to_string_lossy())
}

pub(crate) fn args(config: &Value) -> Check {
    let line = text("/proc/self/cmdline")?;
    let found: Vec<&str> = line.trim_end_matches('\0').split('\0').collect();
    same(strings(&config["process"]["args"]), found)
}

pub(crate) fn cwd(config: &Value) -> Check {
    let found = std::env::current_dir().map_err(|e| e.to_string())?;
    same(
        config["process"]["cwd"].as_str().unwrap_or("/"),
        &*found.to_string_lossy(),
    )
}

pub(crate) fn env(config: &Value) -> Check {
    for pair in strings(&config["process"]["env"]) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        same(Some(value.to_owned()), std::env::var(name).ok())
            .map_err(|reason| format!("{name}: {reason}"))?;
    }
    Ok(())
}

/// A line of `/proc/self/status`.
fn status(name: &str) -> Result<String, String> {
    let status = text("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(|line| line.trim().to_owned())
        .ok_or_else(|| format!("no {name} in /proc/self/status"))
}

pub(crate) fn user(config: &Value) -> Check {
    let user = &config["process"]["user"];
    for (field, line) in [("uid", "Uid"), ("gid", "Gid")] {
        let wanted = user[field].as_u64().unwrap_or(0).to_string();
        let found = status(line)?;
        let mut ids = found.split_whitespace();
        if !ids.all(|id| id == wanted) {
            return Err(format!("{field}: wanted {wanted}, found {found}"));
        }
    }
    let groups = status("Groups")?;
    let found: BTreeSet<u64> = groups
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect();
    let missing = list(&user["additionalGids"])
        .iter()
        .filter_map(Value::as_u64)
        .find(|id| !found.contains(id));
    match missing {
        Some(id) => Err(format!("group {id} is not among {found:?}")),
        None => Ok(()),
    }
}

pub(crate) fn umask(config: &Value) -> Check {
    let Some(wanted) = config["process"]["user"]["umask"].as_u64() else {
        return Ok(());
    };
    same(format!("{wanted:04o}"), status("Umask")?)
}

pub(crate) fn no_new_privileges(config: &Value) -> Check {
    let wanted = config["process"]["noNewPrivileges"]
        .as_bool()
        .unwrap_or(false);
    same(u8::from(wanted).to_string(), status("NoNewPrivs")?)
}

pub(crate) fn capabilities(config: &Value) -> Check {
    let wanted = &config["process"]["capabilities"];
    let root = config["process"]["user"]["uid"].as_u64().unwrap_or(0) == 0;
    let last: usize = text("/proc/sys/kernel/cap_last_cap")?
        .trim()
        .parse()
        .unwrap_or(0);
    for (set, line) in [
        ("bounding", "CapBnd"),
        ("effective", "CapEff"),
        ("inheritable", "CapInh"),
        ("permitted", "CapPrm"),
        ("ambient", "CapAmb"),
    ] {
        if !root && matches!(set, "effective" | "permitted") {
            // execve(2) takes them from a process that is not root's.
            continue;
        }
        let bits = u64::from_str_radix(&status(line)?, 16).map_err(|e| e.to_string())?;
        let names: BTreeSet<&str> = strings(&wanted[set]).into_iter().collect();
        for (number, name) in CAPABILITIES.iter().enumerate().take(last + 1) {
            let is = bits >> number & 1 == 1;
            if is != names.contains(format!("CAP_{name}").as_str()) {
                return Err(format!(
                    "{set}: CAP_{name} is {}",
                    if is { "set" } else { "not set" }
                ));
            }
        }
    }
    Ok(())
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_STACK" => Resource::Stack,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        _ => return None,
    })
}

pub(crate) fn rlimits(config: &Value) -> Check {
    for limit in list(&config["process"]["rlimits"]) {
        let name = limit["type"].as_str().unwrap_or_default();
        let found = getrlimit(resource(name).ok_or_else(|| format!("{name} is not known"))?);
        let wanted = (limit["soft"].as_u64(), limit["hard"].as_u64());
        // Without a limit, as the configuration writes it.
        let number = |limit: Option<u64>| Some(limit.unwrap_or(u64::MAX));
        same(wanted, (number(found.current), number(found.maximum)))
            .map_err(|reason| format!("{name}: {reason}"))?;
    }
    Ok(())
}

pub(crate) fn oom_score_adj(config: &Value) -> Check {
    let Some(wanted) = config["process"]["oomScoreAdj"].as_i64() else {
        return Ok(());
    };
    same(
        wanted.to_string().as_str(),
        text("/proc/self/oom_score_adj")?.trim(),
    )
}
