//! The behaviour tests inside the runtime under test, on each of its platforms.
//!
//! The container's root file system holds the program alone. `expectations/<runtime>.txt` lists known differences, a
//! line `name: reason` each; a test that passes although it is listed fails the run, unless its
//! reason begins with `sometimes: `.

use crate::{harness, report};
use fixtures::build::{self, Linkage};
use fixtures::bundle::Bundle;
use fixtures::container::Container;
use fixtures::runtime::Runtime;

#[test]
fn behaves_like_linux_inside_the_runtime() {
    let program = build::guest("syscall-tests", Linkage::StaticPie).unwrap();
    for runtime in Runtime::matrix().unwrap() {
        let name = runtime.name();
        let expectations = report::Expectations::read(&name);
        let mut containers = Vec::new();
        let results = harness::run_all(&program, |names| {
            let args: Vec<&str> = ["/syscall-tests", "run"]
                .into_iter()
                .chain(names.iter().map(String::as_str))
                .collect();
            let bundle = Bundle::empty()
                .unwrap()
                .args(&args)
                .capability("CAP_SYS_ADMIN");
            build::install(&program, bundle.rootfs(), "syscall-tests").unwrap();
            let container = Container::of(runtime.clone(), bundle).unwrap();
            let command = container.run_command(&[]);
            containers.push(container);
            command
        });
        report::check(&name, &results, &expectations);
    }
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
