//! The machine that the numbers are from.

use std::fs;
use std::path::Path;

use fixtures::host_facts::{chosen, field, line};
use serde::{Deserialize, Serialize};

/// What of the machine the numbers depend on; a text is empty, and a number 0, if the machine does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's model.
    pub cpu_model: String,
    /// How many processors there are.
    pub nr_cpus: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The host kernel's release.
    pub kernel: String,
    /// Whether it is a virtual machine itself: the processor says so.
    pub is_virtual: bool,
    /// The hypervisor's name, as the firmware and the kernel give it.
    pub hypervisor: String,
    /// Whether there is a `/dev/kvm`; on a virtual machine, KVM there is nested.
    pub has_kvm: bool,
    /// The modules of KVM that are loaded or built in.
    pub kvm_modules: Vec<String>,
    /// What the host's clocks are read from; the vDSO needs `tsc`.
    pub clocksource: String,
    /// Whether shared memory may have huge pages.
    pub shmem_huge_pages: String,
    /// Who may trace whom: `kernel.yama.ptrace_scope`.
    pub ptrace_scope: String,
    /// The load averages before measuring.
    pub load: String,
}

impl Machine {
    /// This machine, now.
    pub fn read() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = field(&info, "flags").unwrap_or_default();
        Self {
            cpu_model: field(&info, "model name").unwrap_or_default().to_owned(),
            nr_cpus: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory_kib().unwrap_or(0) / 1024,
            kernel: kernel(),
            is_virtual: flags.split_whitespace().any(|flag| flag == "hypervisor"),
            hypervisor: hypervisor(),
            has_kvm: Path::new("/dev/kvm").exists(),
            kvm_modules: kvm_modules(),
            clocksource: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            shmem_huge_pages: chosen(&line("/sys/kernel/mm/transparent_hugepage/shmem_enabled")),
            ptrace_scope: line("/proc/sys/kernel/yama/ptrace_scope"),
            load: load(),
        }
    }

    /// A few lines on the kernel, the processor, and how busy it is.
    pub(crate) fn describe(&self) -> String {
        let model = match self.cpu_model.as_str() {
            "" => "of an unknown model",
            model => model,
        };
        format!(
            "Linux {} on {} CPUs, {model}\nLoad at the start: {}\n",
            self.kernel, self.nr_cpus, self.load
        )
    }
}

/// The load averages.
pub fn load() -> String {
    let text = line("/proc/loadavg");
    text.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

fn kernel() -> String {
    let uname = rustix::system::uname();
    uname.release().to_string_lossy().into_owned()
}

fn memory_kib() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    field(&info, "MemTotal")?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// What the firmware and Xen's kernel interface say.
fn hypervisor() -> String {
    let files = [
        "/sys/hypervisor/type",
        "/sys/class/dmi/id/sys_vendor",
        "/sys/class/dmi/id/product_name",
    ];
    let names = files.map(line);
    let named: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    named.join(" ")
}

fn kvm_modules() -> Vec<String> {
    let modules = fs::read_dir("/sys/module").into_iter().flatten().flatten();
    let names = modules.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> = names.filter(|name| name.starts_with("kvm")).collect();
    found.sort();
    found
}
