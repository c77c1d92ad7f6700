//! A directory that the host renames while it is a process's working directory: names in it go on working, also once
//! it has another parent.

use std::fs;

use fixtures::bundle::Bundle;
use fixtures::command::{Running, wait_until};
use fixtures::container::{Container, LIMIT};
use fixtures::runtime::Runtime;
use rstest::rstest;

/// Waits in the directory until the host has renamed it, then uses names in it.
const SCRIPT: &str = r#"cd /shared/parent/old && touch here && while [ ! -e /shared/go ]; do sleep 0.05; done
cat before && echo new >after && mkdir inner && echo deep >inner/deep && ls . | tr '\n' ' '"#;

#[rstest]
#[case::within_its_parent("parent/new")]
#[case::to_another_parent("other/new")]
fn a_working_directory_stays_usable(#[case] target: &str) {
    for runtime in Runtime::matrix().unwrap() {
        let bundle = Bundle::busybox(&["sh", "-c", SCRIPT]).unwrap();
        let shared = tempfile::tempdir().unwrap();
        let root = shared.path();
        let source = root.to_string_lossy().into_owned();
        let bundle = bundle.mount("/shared", "bind", &source, &["rbind", "rw"]);
        fs::create_dir_all(root.join("parent/old")).unwrap();
        fs::create_dir_all(root.join("other")).unwrap();
        fs::write(root.join("parent/old/before"), "text\n").unwrap();
        let container = Container::of(runtime, bundle).unwrap();
        let running = Running::start(&mut container.run_command(&[])).unwrap();
        let begun = || root.join("parent/old/here").exists();
        wait_until("the container's file", LIMIT, begun).unwrap();
        fs::rename(root.join("parent/old"), root.join(target)).unwrap();
        fs::write(root.join("go"), "").unwrap();
        let output = running.finish(LIMIT).unwrap();
        assert_eq!(
            output.stdout, "text\nafter before here inner ",
            "{output:?}"
        );
        let there = fs::read_to_string(root.join(target).join("inner/deep"));
        assert_eq!(there.unwrap(), "deep\n");
    }
}
