//! The mount options of a tmpfs (`man 5 tmpfs`).

use std::fmt::Write;

use abi::Errno;

use crate::error::Result;

/// What a tmpfs is mounted with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TmpfsOptions {
    /// `size=`: most bytes of contents; none: as much as there is memory.
    pub size_bytes: Option<u64>,
    /// `nr_inodes=`: most inodes.
    pub max_inodes: Option<u64>,
    /// `mode=`: permissions of the root, 1777 if none.
    pub mode: Option<u32>,
    /// `uid=`: owner of the root.
    pub uid: Option<u32>,
    /// `gid=`: group of the root.
    pub gid: Option<u32>,
}

impl TmpfsOptions {
    /// From the text of `mount(2)`. `memory_bytes` is what a percentage is of; EINVAL.
    pub fn parse(text: &[u8], memory_bytes: u64) -> Result<TmpfsOptions> {
        let text = std::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let mut options = TmpfsOptions {
            size_bytes: Some(memory_bytes / 2),
            ..TmpfsOptions::default()
        };
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "size" => options.size_bytes = size(value, memory_bytes)?,
                "nr_blocks" => {
                    let blocks = size(value, memory_bytes)?.unwrap_or(0);
                    options.size_bytes = nonzero(blocks.saturating_mul(super::PAGE));
                }
                "nr_inodes" => options.max_inodes = nonzero(number(value)?),
                "mode" => {
                    let mode = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)?;
                    options.mode = Some(mode & 0o7777);
                }
                "uid" => options.uid = Some(value.parse().map_err(|_| Errno::EINVAL)?),
                "gid" => options.gid = Some(value.parse().map_err(|_| Errno::EINVAL)?),
                "huge" | "mpol" | "inode32" | "inode64" | "noswap" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }

    /// As `/proc/mounts` shows them, with the limits as they are now.
    pub(super) fn text(&self, size_bytes: Option<u64>, max_inodes: Option<u64>) -> String {
        let mut parts = Vec::new();
        if let Some(size) = size_bytes {
            parts.push(format!("size={}k", size / 1024));
        }
        if let Some(max) = max_inodes {
            parts.push(format!("nr_inodes={max}"));
        }
        if let Some(mode) = self.mode.filter(|mode| *mode != 0o1777) {
            parts.push(format!("mode={mode:03o}"));
        }
        let mut text = parts.join(",");
        for (name, id) in [("uid", self.uid), ("gid", self.gid)] {
            if let Some(id) = id.filter(|id| *id != 0) {
                let comma = if text.is_empty() { "" } else { "," };
                let _ = write!(text, "{comma}{name}={id}");
            }
        }
        text
    }
}

fn nonzero(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

/// A number with a suffix k, m, g, t, p or e; or a percentage of memory. 0 means no limit.
fn size(value: &str, memory_bytes: u64) -> Result<Option<u64>> {
    if let Some(percent) = value.strip_suffix('%') {
        let percent: u64 = percent.parse().map_err(|_| Errno::EINVAL)?;
        return Ok(nonzero((memory_bytes / 100).saturating_mul(percent)));
    }
    number(value).map(nonzero)
}

fn number(value: &str) -> Result<u64> {
    let shift = match value.bytes().last().map(|byte| byte.to_ascii_lowercase()) {
        Some(b'k') => 10,
        Some(b'm') => 20,
        Some(b'g') => 30,
        Some(b't') => 40,
        Some(b'p') => 50,
        Some(b'e') => 60,
        _ => 0,
    };
    let digits = if shift == 0 {
        value
    } else {
        &value[..value.len() - 1]
    };
    let number: u64 = digits.parse().map_err(|_| Errno::EINVAL)?;
    number.checked_mul(1 << shift).ok_or(Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Errno, TmpfsOptions};

    #[test]
    fn options_are_those_of_the_man_page() {
        let options = TmpfsOptions::parse(b"size=64m,mode=755,uid=7,nr_inodes=2k", 1 << 30);
        let options = options.unwrap();
        assert_eq!(options.size_bytes, Some(64 << 20));
        assert_eq!(options.max_inodes, Some(2048));
        assert_eq!((options.mode, options.uid), (Some(0o755), Some(7)));
        assert_eq!(
            TmpfsOptions::parse(b"size=50%", 1 << 30)
                .unwrap()
                .size_bytes,
            Some((1 << 30) / 100 * 50)
        );
        assert_eq!(TmpfsOptions::parse(b"bogus", 1), Err(Errno::EINVAL));
        assert_eq!(TmpfsOptions::parse(b"size=x", 1), Err(Errno::EINVAL));
    }

    proptest! {
        #[test]
        fn any_text_is_options_or_einval(text in "((size|nr_blocks|nr_inodes|mode|uid|gid|huge|x)=?[-0-9kmgtpe%]{0,22},?){0,5}|.{0,40}") {
            for memory_bytes in [0, 1 << 30, u64::MAX] {
                if let Ok(options) = TmpfsOptions::parse(text.as_bytes(), memory_bytes) {
                    options.text(options.size_bytes, options.max_inodes);
                }
            }
        }
    }
}
