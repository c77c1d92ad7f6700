//! config-linux.md, *Sysctl*.

use rstest::rstest;
use serde_json::json;

use crate::common::{as_configured, differs, probe, refused, shell};

#[rstest]
#[case::forward("net.ipv4.ip_forward", "1")]
#[case::no_forward("net.ipv4.ip_forward", "0")]
#[case::ports("net.ipv4.ip_unprivileged_port_start", "0")]
#[case::ping("net.ipv4.ping_group_range", "0\t2147483647")]
#[case::backlog("net.core.somaxconn", "256")]
#[case::port_range("net.ipv4.ip_local_port_range", "20000\t30000")]
#[case::messages("kernel.msgmax", "4096")]
#[case::shared_memory("kernel.shmmni", "100")]
#[case::semaphores("kernel.sem", "100\t2000\t50\t30")]
#[case::queues("fs.mqueue.queues_max", "100")]
fn is_set(#[case] name: &str, #[case] value: &str) {
    let bundle = probe().set("/linux/sysctl", json!({name: value}));
    as_configured(bundle);
}

#[rstest]
fn several() {
    let sysctl =
        json!({"net.ipv4.ip_forward": "1", "net.core.somaxconn": "99", "kernel.msgmni": "7"});
    as_configured(probe().set("/linux/sysctl", sysctl));
}

#[rstest]
#[case::unknown("net.ipv4.no_such_sysctl", "1")]
#[case::unknown_family("no.such.thing", "1")]
#[case::hostname("kernel.hostname", "other")]
#[case::outside("kernel.../../etc/passwd", "x")]
fn unknown_name_is_an_error(#[case] name: &str, #[case] value: &str) {
    refused(
        shell("true").set("/linux/sysctl", json!({name: value})),
        "sysctl",
    );
}

#[rstest]
fn invalid_value_is_an_error() {
    let bundle = shell("true").set("/linux/sysctl", json!({"net.ipv4.ip_forward": "maybe"}));
    refused(bundle, "ip_forward");
}

/// Those that belong to no namespace: the sandbox has a kernel of its own, whose they are.
#[rstest]
fn kernel_wide_sysctl() {
    let bundle = probe().set("/linux/sysctl", json!({"vm.swappiness": "10"}));
    if differs(
        "runc",
        "sysctls outside of namespaces would change the host",
    ) {
        refused(bundle, "sysctl");
        return;
    }
    as_configured(bundle);
}
