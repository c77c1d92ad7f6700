//! config.md, *Annotations*.

use fixtures::container::Container;
use rstest::rstest;
use serde_json::json;

use crate::common::{output, refused, shell};

/// *MUST NOT generate an error if they encounter an unknown annotation key*
#[rstest]
fn unknown_keys_are_ignored() {
    let bundle = shell("echo fine").set("/annotations", json!({"org.any-key/of.whatever": "x"}));
    assert_eq!(output(bundle), "fine\n");
}

/// *Values MUST be strings. Values MAY be an empty string.*
#[rstest]
fn empty_values_are_kept() {
    let bundle = shell("sleep 100").set("/annotations", json!({"org.empty": ""}));
    let container = Container::new(bundle).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    assert_eq!(container.state().unwrap()["annotations"]["org.empty"], "");
}

#[rstest]
#[case::number(json!({"a": 1}))]
#[case::list(json!(["a"]))]
fn other_values_are_errors(#[case] annotations: serde_json::Value) {
    refused(shell("true").set("/annotations", annotations), "");
}

#[rstest]
fn absent_annotations_are_fine() {
    let container = Container::new(shell("sleep 100")).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    let state = container.state().unwrap();
    let empty = state["annotations"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty);
    assert!(empty || state["annotations"].is_object(), "{state}");
}
