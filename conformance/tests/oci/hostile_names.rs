//! What a container names itself never acts on the terminal of whoever looks at it.

use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command::wait_until;
use fixtures::container::Container;
use rstest::rstest;

#[rstest]
fn process_names_are_escaped() {
    // It clears the screen, begins a line of its own, and names the control sequence introducer as one character.
    let script = r"printf '\033[2J\n\302\2331m' >/proc/$$/comm; while :; do sleep 1; done";
    let container = Container::new(Bundle::busybox(&["sh", "-c", script]).unwrap()).unwrap();
    container.run_detached(&[]).unwrap().success().unwrap();
    let table = || {
        let output = container.call(&["ps", &container.id]).unwrap();
        output.success().unwrap().stdout
    };
    wait_until("the new name", Duration::from_secs(20), || {
        table().contains("[2J")
    })
    .unwrap();
    let table = table();
    let acts = |char: char| char.is_control() && char != '\n';
    assert!(!table.contains(acts), "{table:?}");
    let rows = table.lines().filter(|line| line.contains("[2J")).count();
    assert!(rows == 1 && table.lines().count() <= 3, "{table:?}");
}
