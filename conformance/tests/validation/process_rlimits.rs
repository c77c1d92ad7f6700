//! config.md, *POSIX process*: rlimits.

use rstest::rstest;
use serde_json::json;

use crate::common::{as_configured, differs, host_lacks, probe, refused, shell};

/// `CAP_SYS_RESOURCE`
const SYS_RESOURCE: u32 = 24;

const GIGA: u64 = 1 << 30;

#[rstest]
#[case::address_space("RLIMIT_AS", 2 * GIGA, 3 * GIGA)]
#[case::core("RLIMIT_CORE", 4 * GIGA, 5 * GIGA)]
#[case::cpu("RLIMIT_CPU", 120, 180)]
#[case::data("RLIMIT_DATA", 2 * GIGA, 3 * GIGA)]
#[case::file_size("RLIMIT_FSIZE", 10 * GIGA, 11 * GIGA)]
#[case::locks("RLIMIT_LOCKS", 128, 256)]
#[case::locked_memory("RLIMIT_MEMLOCK", 1 << 20, 2 << 20)]
#[case::message_queues("RLIMIT_MSGQUEUE", 8192, 16384)]
#[case::nice("RLIMIT_NICE", 24, 30)]
#[case::files("RLIMIT_NOFILE", 512, 1024)]
#[case::processes("RLIMIT_NPROC", 512, 1024)]
#[case::resident("RLIMIT_RSS", GIGA, 2 * GIGA)]
#[case::real_time_priority("RLIMIT_RTPRIO", 5, 10)]
#[case::real_time("RLIMIT_RTTIME", 1000, 2000)]
#[case::pending_signals("RLIMIT_SIGPENDING", 1024, 2048)]
#[case::stack("RLIMIT_STACK", 4 << 20, 16 << 20)]
fn soft_and_hard(#[case] kind: &str, #[case] soft: u64, #[case] hard: u64) {
    // Their hard limits are 0, and only this lets them be raised.
    if matches!(kind, "RLIMIT_NICE" | "RLIMIT_RTPRIO") && host_lacks(SYS_RESOURCE) {
        return;
    }
    let limits = json!([{"type": kind, "soft": soft, "hard": hard}]);
    as_configured(probe().set("/process/rlimits", limits));
}

#[rstest]
fn unlimited() {
    let limits = json!([{"type": "RLIMIT_CORE", "soft": u64::MAX, "hard": u64::MAX}]);
    as_configured(probe().set("/process/rlimits", limits));
}

/// *The runtime MUST generate an error for any values which cannot be mapped to a relevant kernel interface*
#[rstest]
#[case::unknown("RLIMIT_TEST")]
#[case::empty("")]
#[case::without_prefix("NOFILE")]
fn unknown_limit_is_an_error(#[case] kind: &str) {
    let limits = json!([{"type": kind, "soft": 1, "hard": 2}]);
    refused(shell("true").set("/process/rlimits", limits), "");
}

/// *If rlimits contains duplicated entries with same type, the runtime MUST generate an error*
#[rstest]
fn two_entries_of_a_type_are_an_error() {
    let limit = json!({"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200});
    let bundle = shell("true").set("/process/rlimits", json!([limit, limit]));
    if differs("runc", "the last one counts") {
        return;
    }
    refused(bundle, "rlimit");
}

#[rstest]
fn soft_above_hard_is_an_error() {
    let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 200, "hard": 100}]);
    let container =
        fixtures::container::Container::new(shell("true").set("/process/rlimits", limits)).unwrap();
    assert_ne!(container.run().unwrap().code, 0);
}
