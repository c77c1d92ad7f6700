//! Files are opened however few descriptors the runtime may have: those that are open for speed only make room.

use std::process::Command;

use fixtures::build::{self, Linkage};
use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::{Container, LIMIT};
use fixtures::files::Files;
use fixtures::runtime::Runtime;

const GUEST: &str = "syscall-tests";
/// Runs the runtime with few descriptors.
const FEW_DESCRIPTORS: &str = r#"ulimit -n 200 && exec "$@""#;

fn bundle() -> Bundle {
    let program = build::guest("syscall-tests", Linkage::StaticPie).unwrap();
    let install = |root: &std::path::Path| build::install(&program, root, GUEST);
    let bundle = Files::Plain.bundle(|root| install(root).map(drop)).unwrap();
    bundle.args(&["/syscall-tests", "helper", "mapped", "400", "/tmp"])
}

#[test]
fn more_files_than_descriptors_are_mapped_and_opened() {
    for runtime in Runtime::matrix().unwrap() {
        let container = Container::of(runtime, bundle()).unwrap();
        let run = container.run_command(&[]);
        let mut few = Command::new("sh");
        few.args(["-c", FEW_DESCRIPTORS, "sh"])
            .arg(run.get_program())
            .args(run.get_args());
        let output = command::run(&mut few, LIMIT).unwrap();
        assert_eq!(output.stdout, "done\n", "{output:?}");
    }
}
