//! Limits of `/proc/sys` that belong to the whole system are a container's own in a sandbox: what root of the container
//! writes there is enforced, with Linux's errors.

use std::collections::BTreeMap;

use fixtures::build::{self, Linkage};
use fixtures::bundle::Bundle;
use fixtures::container::Container;
use fixtures::runtime::{Kind, Runtime};
use rstest::rstest;
use serde_json::json;

/// The rows of `helper settings`; how many there may be, where nobody else has any; and the error after that.
const ENDS: &[(&str, Option<usize>, &str)] = &[
    ("terminals", None, "No space left on device"),
    ("epoll-watches", Some(5), "No space left on device"),
    ("process-ids", None, "Resource temporarily unavailable"),
    ("threads", None, "Resource temporarily unavailable"),
    ("descriptor-limit", Some(11), "Operation not permitted"),
    ("mounts", None, "No space left on device"),
    ("pipes", Some(4), "Too many open files in system"),
    ("pipe-size", Some(3), "Operation not permitted"),
    ("inotify-instances", Some(4), "Too many open files"),
    ("inotify-watches", Some(6), "No space left on device"),
    ("inotify-events", Some(7), "Value too large"),
    ("message-queues", Some(3), "No space left on device"),
    ("queue-length", Some(6), "Invalid argument"),
    ("queue-messages", Some(6), "Invalid argument"),
    ("files", None, "Too many open files in system"),
    ("datagrams", Some(5), "Resource temporarily unavailable"),
    ("connections", Some(6), "Resource temporarily unavailable"),
    ("send-buffer", Some(5), "Argument list too long"),
    ("ancillary-data", Some(4), "No buffer space available"),
    ("message-queues-sysv", Some(3), "No space left on device"),
    ("message-length", Some(3), "Invalid argument"),
    ("queue-bytes", Some(5), "Resource temporarily unavailable"),
    ("semaphores-of-a-set", Some(4), "Invalid argument"),
    ("semaphores", Some(3), "No space left on device"),
    ("semaphore-operations", Some(5), "Argument list too long"),
    ("semaphore-sets", Some(4), "No space left on device"),
    ("segment-size", Some(3), "Invalid argument"),
    ("segment-pages", Some(3), "No space left on device"),
    ("segments", Some(3), "No space left on device"),
];

#[rstest]
fn lowered_limits_are_enforced() {
    // Elsewhere they are the host's.
    if Runtime::under_test().unwrap().kind != Kind::Runsc {
        return;
    }
    let program = build::guest("syscall-tests", Linkage::StaticPie).unwrap();
    let mut bundle = Bundle::busybox(&["/syscall-tests", "helper", "settings"])
        .unwrap()
        .set("/linux/readonlyPaths", json!([]));
    for name in ["SYS_ADMIN", "SYS_RESOURCE", "NET_ADMIN", "SETUID", "SETGID"] {
        bundle = bundle.capability(&format!("CAP_{name}"));
    }
    build::install(&program, bundle.rootfs(), "syscall-tests").unwrap();
    let output = Container::new(bundle).unwrap().run().unwrap();
    let text = output.success().unwrap().stdout;
    println!("{text}");
    let lines: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    for (name, number, error) in ENDS {
        let (made, why) = lines
            .get(name)
            .and_then(|line| line.split_once(", "))
            .unwrap_or_default();
        assert!(why.starts_with(error), "{name}: {text}");
        let made: usize = made.parse().unwrap();
        assert!(number.is_none_or(|number| number == made), "{name}: {text}");
    }
    assert_eq!(lines.len(), ENDS.len(), "{text}");
}
