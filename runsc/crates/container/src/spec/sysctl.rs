//! `linux.sysctl`: names are brought into one form here; the kernel in the sandbox knows which it has, and refuses the
//! others by name.

use std::collections::BTreeMap;

use oci_spec::runtime::Spec;

use crate::Result;
use crate::spec::invalid;

/// Converts `net.ipv4.ip_forward` (or, as sysctl(8) takes it too, with slashes) to `net/ipv4/ip_forward`.
pub(super) fn convert(spec: &Spec) -> Result<BTreeMap<String, String>> {
    let given = spec.linux().as_ref().and_then(|l| l.sysctl().as_ref());
    let mut converted = BTreeMap::new();
    for (name, value) in given.into_iter().flatten() {
        let path = path(name)
            .ok_or_else(|| invalid(format!("linux.sysctl: {name:?} is no name of a sysctl")))?;
        if value.contains('\0') || value.len() > 4096 {
            return Err(invalid(format!(
                "linux.sysctl: the value of {name} is not valid"
            )));
        }
        if path == "kernel/hostname" {
            return Err(invalid(
                "linux.sysctl: kernel.hostname is not allowed; use the field hostname",
            ));
        }
        converted.insert(path, value.clone());
    }
    Ok(converted)
}

/// sysctl(8): whichever of `.` and `/` comes first separates, and the other one is part of names as its opposite
/// (`net.ipv4.conf.eth0/1.forwarding`).
fn path(name: &str) -> Option<String> {
    let path = match name.find(['.', '/']).map(|at| name.as_bytes().get(at)) {
        Some(Some(b'/')) => name.to_owned(),
        _ => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect(),
    };
    let good = path.split('/').all(|part| {
        let named = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        !part.is_empty() && part != "." && part != ".." && part.chars().all(named)
    });
    (good && path.contains('/')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn names_become_paths() {
        for (name, wanted) in [
            ("net.ipv4.ip_forward", Some("net/ipv4/ip_forward")),
            ("net/ipv4/ip_forward", Some("net/ipv4/ip_forward")),
            (
                "net.ipv4.conf.eth0/1.forwarding",
                Some("net/ipv4/conf/eth0.1/forwarding"),
            ),
            ("kernel", None),
            ("", None),
            ("a..b", None),
            ("kernel/../../etc/passwd", None),
            ("kernel.a b", None),
        ] {
            assert_eq!(path(name).as_deref(), wanted, "{name}");
        }
    }
}
