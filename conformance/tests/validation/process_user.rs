//! config.md, *User*.

use rstest::rstest;
use serde_json::{Value, json};

use crate::common::{as_configured, probe, refused, shell};

#[rstest]
#[case::root(json!({"uid": 0, "gid": 0}))]
#[case::user(json!({"uid": 1000, "gid": 1000}))]
#[case::unknown_ids(json!({"uid": 123_456, "gid": 654_321}))]
#[case::groups(json!({"uid": 10, "gid": 10, "additionalGids": [5, 6, 7]}))]
#[case::groups_of_root(json!({"uid": 0, "gid": 0, "additionalGids": [0, 10, 29]}))]
fn ids_and_groups(#[case] user: Value) {
    as_configured(probe().set("/process/user", user));
}

/// *umask (int, OPTIONAL) specifies the umask of the user*
#[rstest]
#[case::closed(0o077)]
#[case::open(0)]
#[case::usual(0o022)]
#[case::group(0o002)]
fn umask_of_the_user(#[case] umask: u32) {
    let user = json!({"uid": 0, "gid": 0, "umask": umask});
    as_configured(probe().set("/process/user", user));
}

#[rstest]
fn absent_umask_is_0022() {
    assert_eq!(crate::common::output(shell("umask")), "0022\n");
}

#[rstest]
#[case::uid(json!({"uid": "0", "gid": 0}))]
#[case::group(json!({"uid": 0, "gid": 0, "additionalGids": [-1]}))]
fn invalid_ids_are_errors(#[case] user: Value) {
    refused(shell("true").set("/process/user", user), "");
}
