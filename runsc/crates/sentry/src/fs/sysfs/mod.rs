//! sysfs (`man 5 sysfs`): the processors' topology, which libc, the JVM and lscpu read, and the directories
//! that programs expect to be there.

mod mm;

use std::sync::Arc;

use crate::error::Result;
use crate::fs::synthetic::{Content, Entry, StaticDirectory, SyntheticFs, SyntheticType};
use crate::kernel::Kernel;
use crate::kernel::task::Task;

const TYPE: SyntheticType = SyntheticType {
    name: "sysfs",
    magic: 0x6265_6572, // SYSFS_MAGIC
    block_size: 4096,
};

/// A new instance.
#[must_use]
pub fn new(kernel: &Arc<Kernel>) -> Arc<SyntheticFs> {
    let processors = kernel.processors();
    let root = directory([
        ("block", empty()),
        ("bus", empty()),
        (
            "class",
            directory([
                ("block", empty()),
                ("net", empty()),
                ("power_supply", empty()),
                ("tty", empty()),
            ]),
        ),
        ("dev", directory([("block", empty()), ("char", empty())])),
        ("devices", devices(processors)),
        ("firmware", empty()),
        ("fs", directory([("cgroup", empty())])),
        (
            "kernel",
            directory([("mm", mm::entries(kernel.memory().huge_pages()))]),
        ),
        ("module", empty()),
        ("power", empty()),
    ]);
    SyntheticFs::new(
        TYPE,
        kernel.vfs.anonymous_device(),
        root.with_permissions(0o555),
    )
}

fn directory<'a>(entries: impl IntoIterator<Item = (&'a str, Entry)>) -> Entry {
    Entry::directory(StaticDirectory::new(entries)).with_permissions(0o755)
}

fn empty() -> Entry {
    directory([])
}

fn line(value: impl Into<String>) -> Entry {
    Entry::file(Arc::new(Attribute(
        format!("{}\n", value.into()).into_bytes(),
    )))
}

/// A file with a text. Its size is that of the page that it may fill.
#[derive(Debug)]
struct Attribute(Vec<u8>);

impl Content for Attribute {
    fn read(&self, _task: &Task) -> Result<Vec<u8>> {
        Ok(self.0.clone())
    }

    fn size(&self) -> u64 {
        abi::PAGE_SIZE as u64
    }
}

fn devices(processors: usize) -> Entry {
    let system = directory([("cpu", cpus(processors)), ("node", nodes(processors))]);
    directory([
        ("system", system),
        ("virtual", directory([("net", empty()), ("tty", empty())])),
    ])
}

/// `0-3`, or `0` for one.
fn range(processors: usize) -> String {
    if processors == 1 {
        "0".to_owned()
    } else {
        format!("0-{}", processors - 1)
    }
}

/// All processors as a mask, words of 32 bits with the highest first.
fn mask(processors: usize) -> String {
    let words = processors.div_ceil(32);
    let word = |n: usize| match processors - n * 32 {
        left if left >= 32 => u32::MAX,
        left => (1 << left) - 1,
    };
    (0..words)
        .rev()
        .map(|n| format!("{:08x}", word(n)))
        .collect::<Vec<_>>()
        .join(",")
}

fn cpus(processors: usize) -> Entry {
    let names: Vec<String> = (0..processors)
        .map(|number| format!("cpu{number}"))
        .collect();
    let each = names
        .iter()
        .enumerate()
        .map(|(number, name)| (name.as_str(), cpu(number)));
    let shared = [
        ("online", line(range(processors))),
        ("possible", line(range(processors))),
        ("present", line(range(processors))),
        ("offline", line("")),
        ("kernel_max", line((processors - 1).to_string())),
        ("isolated", line("")),
    ];
    directory(each.chain(shared))
}

/// Each processor is a core of its own, all in one package.
fn cpu(number: usize) -> Entry {
    let only = format!("{:x}", 1_u64 << (number % 64));
    let topology = directory([
        ("core_id", line(number.to_string())),
        ("physical_package_id", line("0")),
        ("die_id", line("0")),
        ("thread_siblings", line(only.clone())),
        ("thread_siblings_list", line(number.to_string())),
        ("core_cpus", line(only)),
        ("core_cpus_list", line(number.to_string())),
    ]);
    directory([("topology", topology), ("online", line("1"))])
}

fn nodes(processors: usize) -> Entry {
    let node = directory([
        ("cpulist", line(range(processors))),
        ("cpumap", line(mask(processors))),
        ("distance", line("10")),
    ]);
    directory([
        ("node0", node),
        ("online", line("0")),
        ("possible", line("0")),
        ("has_cpu", line("0")),
        ("has_memory", line("0")),
        ("has_normal_memory", line("0")),
    ])
}
