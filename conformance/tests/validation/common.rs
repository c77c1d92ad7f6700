//! What the cases share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use fixtures::build::{self, Linkage};
use fixtures::bundle::Bundle;
use fixtures::command::Output;
use fixtures::container::Container;
use fixtures::runtime::Runtime;

/// A container whose program compares what it finds with its configuration.
pub(crate) fn probe() -> Bundle {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program =
        PROGRAM.get_or_init(|| build::guest("conformance-probe", Linkage::StaticPie).unwrap());
    let bundle = Bundle::busybox(&["/probe"]).unwrap();
    build::install(program, bundle.rootfs(), "probe").unwrap();
    bundle
}

/// Runs the probe: every property must be as configured.
pub(crate) fn as_configured(bundle: Bundle) {
    let container = with_config_inside(bundle);
    let output = container.run().unwrap();
    all_ok(&output);
}

/// Writes the configuration where the probe finds it.
pub(crate) fn with_config_inside(bundle: Bundle) -> Container {
    let inside = bundle.rootfs().join("config.json");
    fs::write(inside, bundle.config().to_string()).unwrap();
    Container::new(bundle).unwrap()
}

/// Every line of TAP is ok, and all of them are there.
pub(crate) fn all_ok(output: &Output) {
    let lines: Vec<&str> = output.stdout.lines().collect();
    let plan = lines.first().and_then(|line| line.strip_prefix("1.."));
    let count: usize = plan.and_then(|n| n.parse().ok()).unwrap_or(0);
    let ok = lines.iter().filter(|line| line.starts_with("ok ")).count();
    assert!(
        count > 0 && ok == count,
        "{}{}",
        output.stdout,
        output.stderr
    );
}

/// A container that runs a script.
pub(crate) fn shell(script: &str) -> Bundle {
    Bundle::busybox(&["sh", "-c", script]).unwrap()
}

/// What a container of this bundle prints; its exit code is 0.
pub(crate) fn output(bundle: Bundle) -> String {
    let container = Container::new(bundle).unwrap();
    container.run().unwrap().success().unwrap().stdout
}

/// `create` fails with a line that has `word` in it, and leaves no container.
pub(crate) fn refused(bundle: Bundle, word: &str) {
    let container = Container::new(bundle).unwrap();
    let created = container.create(&[]).unwrap();
    assert_ne!(created.code, 0, "{created:?}");
    assert!(
        created.stderr.to_lowercase().contains(&word.to_lowercase()),
        "{word:?} is not in {}",
        created.stderr
    );
    is_gone(&container);
}

/// There is no such container.
pub(crate) fn is_gone(container: &Container) {
    let state = container.call(&["state", &container.id]).unwrap();
    assert_ne!(state.code, 0, "a container is left: {}", state.stdout);
}

/// Whether the runtime under test is the one called `name`; then the table shows the reason why it differs, and the case
/// asserts what that runtime does instead, if anything.
pub(crate) fn differs(name: &str, reason: &str) -> bool {
    let is = runtime_name() == name;
    if is {
        println!("differs: {reason}");
    }
    is
}

/// Whether root may do this here, on the host: a runtime that runs on its kernel can't do more. The table says so.
pub(crate) fn host_lacks(capability: u32) -> bool {
    let status = text(Path::new("/proc/self/status"));
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = u64::from_str_radix(line.unwrap_or_default().trim(), 16).unwrap_or(0);
    bits >> capability & 1 == 0
        && differs("runc", "needs a capability that root of this host has not")
}

/// The runtime's name.
pub(crate) fn runtime_name() -> String {
    let program = Runtime::under_test().unwrap().program;
    let name = program.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// A shell of the host.
pub(crate) fn host_shell(script: &str) -> serde_json::Value {
    serde_json::json!({"path": "/bin/sh", "args": ["sh", "-c", script]})
}

/// A file's text, or nothing.
pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A container that was created and started.
pub(crate) fn started(bundle: Bundle) -> Container {
    let container = Container::new(bundle).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    container.start().unwrap().success().unwrap();
    container
}

/// A directory of the host with a tmpfs mounted on its `below`.
pub(crate) struct WithMountBelow(tempfile::TempDir);

impl WithMountBelow {
    pub(crate) fn new() -> WithMountBelow {
        let made = WithMountBelow(tempfile::tempdir().unwrap());
        fs::create_dir(made.below()).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount
            .args(["-t", "tmpfs", "tmpfs"])
            .arg(made.below())
            .status();
        assert!(mounted.unwrap().success());
        made
    }

    pub(crate) fn source(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    pub(crate) fn below(&self) -> PathBuf {
        self.0.path().join("below")
    }
}

impl Drop for WithMountBelow {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.below()).status();
    }
}
