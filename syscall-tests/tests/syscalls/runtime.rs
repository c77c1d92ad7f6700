//! The behaviour tests inside the runtime under test, on each of its platforms.
//!
//! `expectations/<runtime>.txt` lists known differences, a line `name: reason` each; a test that passes although it is
//! listed fails the run, unless its reason begins with `sometimes: `.

use fixtures::behaviour::Place;
use fixtures::build::{self, Linkage};
use fixtures::bundle::Bundle;
use fixtures::container::Container;
use fixtures::files::Files;
use fixtures::runtime::Runtime;

#[test]
fn behaves_like_linux_inside_the_runtime() {
    let program = build::guest("syscall-tests", Linkage::StaticPie).unwrap();
    for runtime in Runtime::matrix().unwrap() {
        crate::check(&Place::Runtime(runtime, Files::Memory), &program);
    }
}

/// The workspace's own in a build that checks itself: arithmetic, assertions, the order of locks. One platform will do.
#[test]
fn breaks_no_rule_of_its_own() {
    let mut runtime = Runtime::under_test().unwrap();
    if std::env::var_os("RUNTIME").is_some_and(|name| !name.is_empty()) {
        return;
    }
    runtime.program = build::runsc_in("dev").unwrap();
    let program = build::guest("syscall-tests", Linkage::StaticPie).unwrap();
    crate::check(&Place::Runtime(runtime, Files::Overlay), &program);
}

/// The program at a fixed address runs too: one family is enough to show it.
#[test]
fn program_at_a_fixed_address_runs() {
    let program = build::guest("syscall-tests", Linkage::Static).unwrap();
    for runtime in Runtime::matrix().unwrap() {
        let bundle = Bundle::empty()
            .unwrap()
            .args(&["/syscall-tests", "run", "read::"]);
        build::install(&program, bundle.rootfs(), "syscall-tests").unwrap();
        let output = Container::of(runtime, bundle).unwrap().run().unwrap();
        assert!(output.stdout.starts_with("ok read::"), "{output:?}");
    }
}
