//! config-linux.md, *Namespaces*.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::Container;
use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{differs, output, refused, shell, started};

/// The configured namespaces, with one replaced or added.
fn with(bundle: Bundle, kind: &str, path: Option<&str>) -> Bundle {
    let mut namespaces: Vec<Value> = bundle.config()["linux"]["namespaces"]
        .as_array()
        .unwrap()
        .clone();
    namespaces.retain(|namespace| namespace["type"] != kind);
    let mut entry = json!({"type": kind});
    if let Some(path) = path {
        entry["path"] = json!(path);
    }
    namespaces.push(entry);
    bundle.set("/linux/namespaces", json!(namespaces))
}

fn namespace(pid: u64, file: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{file}"))
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

fn pid_of(container: &Container) -> u64 {
    container.state().unwrap()["pid"].as_u64().unwrap()
}

/// *If path is not specified, the runtime MUST create a new container namespace of type type*
#[rstest]
#[case::pid("pid", "pid")]
#[case::network("network", "net")]
#[case::ipc("ipc", "ipc")]
#[case::uts("uts", "uts")]
#[case::mount("mount", "mnt")]
#[case::control_groups("cgroup", "cgroup")]
fn without_a_path_it_is_new(#[case] kind: &str, #[case] file: &str) {
    let container = started(with(shell("sleep 100"), kind, None));
    let own = u64::from(std::process::id());
    assert_ne!(namespace(pid_of(&container), file), namespace(own, file));
}

/// A process of the host in a new namespace, ended at last.
struct Holder(Child);

impl Holder {
    fn new(flag: &str) -> Holder {
        let mut command = Command::new("unshare");
        command.args([flag, "sleep", "100"]).stdin(Stdio::null());
        let holder = Holder(command.spawn().unwrap());
        let own = fs::read_link("/proc/self/exe").unwrap();
        let exe = format!("/proc/{}/exe", holder.0.id());
        command::wait_until("unshare", Duration::from_secs(10), || {
            fs::read_link(&exe).is_ok_and(|path| {
                path != own && path.ends_with("sleep") || path.ends_with("busybox")
            })
        })
        .unwrap();
        holder
    }

    fn path(&self, file: &str) -> String {
        format!("/proc/{}/ns/{file}", self.0.id())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// *path ... the runtime MUST place the container process in the namespace associated with that path*
#[rstest]
#[case::network("network", "net", "--net")]
#[case::ipc("ipc", "ipc", "--ipc")]
#[case::uts("uts", "uts", "--uts")]
fn path_is_joined(#[case] kind: &str, #[case] file: &str, #[case] flag: &str) {
    let holder = Holder::new(flag);
    let bundle = with(shell("sleep 100"), kind, Some(&holder.path(file)));
    let bundle = if kind == "uts" {
        bundle.set("/hostname", json!(null))
    } else {
        bundle
    };
    let container = started(bundle);
    assert_eq!(
        namespace(pid_of(&container), file),
        namespace(u64::from(holder.0.id()), file)
    );
}

#[rstest]
#[case::pid("pid", "pid_for_children", "--pid")]
#[case::mount("mount", "mnt", "--mount")]
fn path_that_a_sandbox_cannot_join(#[case] kind: &str, #[case] file: &str, #[case] flag: &str) {
    let holder = Holder::new(flag);
    if flag == "--pid" {
        // The namespace exists once it has a first process; a path to one that has none can't be joined by anybody.
        if !differs(
            "runsc",
            "refused by name: the sandbox's kernel has process ids of its own",
        ) {
            return;
        }
        refused(
            with(shell("true"), kind, Some("/proc/self/ns/pid")),
            "namespace",
        );
        return;
    }
    let bundle = with(shell("sleep 100"), kind, Some(&holder.path(file)));
    if differs(
        "runsc",
        "refused by name: the sandbox's kernel has mounts of its own",
    ) {
        refused(bundle, "namespace");
    }
}

#[rstest]
fn host_name_of_a_joined_namespace_is_the_containers() {
    let script = ["-c", "hostname joined-name; exec sleep 100"];
    let child = Command::new("unshare")
        .arg("--uts")
        .arg("sh")
        .args(script)
        .spawn()
        .unwrap();
    let holder = Holder(child);
    let path = holder.path("uts");
    let shown = || {
        Command::new("nsenter")
            .arg(format!("--uts={path}"))
            .arg("hostname")
            .output()
    };
    command::wait_until("the name", Duration::from_secs(10), || {
        shown().is_ok_and(|output| output.stdout == b"joined-name\n")
    })
    .unwrap();
    let bundle = with(shell("hostname"), "uts", Some(&path)).set("/hostname", json!(null));
    assert_eq!(output(bundle), "joined-name\n");
}

/// *The runtime MUST generate an error if path is not associated with a namespace of type type*
#[rstest]
#[case::network("network", "uts")]
#[case::ipc("ipc", "net")]
#[case::uts("uts", "ipc")]
fn path_of_another_type_is_an_error(#[case] kind: &str, #[case] file: &str) {
    let path = format!("/proc/self/ns/{file}");
    let bundle = with(shell("true"), kind, Some(&path));
    let container = Container::new(bundle.set("/hostname", json!(null))).unwrap();
    assert_ne!(container.create(&[]).unwrap().code, 0);
}

#[rstest]
fn path_that_is_no_namespace_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    File::create(&file).unwrap();
    for path in [file.to_string_lossy().as_ref(), "/no/such/file"] {
        let container = Container::new(with(shell("true"), "network", Some(path))).unwrap();
        assert_ne!(container.create(&[]).unwrap().code, 0, "{path}");
    }
}

/// *path ... This value MUST be an absolute path in the runtime mount namespace*
#[rstest]
fn relative_path_is_an_error() {
    refused(with(shell("true"), "network", Some("proc/self/ns/net")), "");
}

/// *If a namespaces field contains duplicated namespaces with same type, the runtime MUST generate an error*
#[rstest]
fn two_of_a_type_are_an_error() {
    let bundle = shell("true");
    let mut namespaces = bundle.config()["linux"]["namespaces"]
        .as_array()
        .unwrap()
        .clone();
    namespaces.push(json!({"type": "ipc"}));
    refused(bundle.set("/linux/namespaces", json!(namespaces)), "ipc");
}

#[rstest]
fn unknown_type_is_an_error() {
    refused(with(shell("true"), "no-such-type", None), "");
}

/// *If a namespace type is not specified in the namespaces array, the container MUST inherit the runtime namespace of that
/// type*: the network is, and the view of
/// the control groups; the sandbox's host process keeps apart otherwise, and the application sees its own kernel.
#[rstest]
#[case::network("network", "net")]
#[case::uts("uts", "uts")]
#[case::ipc("ipc", "ipc")]
#[case::pid("pid", "pid")]
#[case::user("user", "user")]
#[case::control_groups("cgroup", "cgroup")]
fn absent_type_is_inherited(#[case] kind: &str, #[case] file: &str) {
    let bundle = shell("sleep 100").set("/hostname", json!(null));
    let mut namespaces = bundle.config()["linux"]["namespaces"]
        .as_array()
        .unwrap()
        .clone();
    namespaces.retain(|namespace| namespace["type"] != kind);
    let container = started(bundle.set("/linux/namespaces", json!(namespaces)));
    let same =
        namespace(pid_of(&container), file) == namespace(u64::from(std::process::id()), file);
    if !matches!(kind, "network" | "cgroup")
        && differs("runsc", "the sandbox's host process has its own, always")
    {
        assert!(!same);
        return;
    }
    assert!(same);
}
