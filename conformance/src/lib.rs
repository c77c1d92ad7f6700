//! Cases that any OCI runtime passes; `tests/oci` holds them, one file per topic.
//!
//! They run against the runtime that `fixtures` finds: the workspace's `runsc`, or the one that `RUNTIME` names. runc
//! passes them all: `RUNTIME=runc cargo test -p conformance`.
