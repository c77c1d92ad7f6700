//! What `ps` shows: whole command lines, which never act on the terminal of whoever looks at them.

use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command::wait_until;
use fixtures::container::Container;
use rstest::rstest;

#[rstest]
fn process_names_are_escaped() {
    // It clears the screen, begins a line of its own, and names the control sequence introducer as one character.
    let name = "\u{1b}[2J\n\u{9b}1m";
    let script = "while :; do sleep 1; done";
    let bundle = Bundle::busybox(&["sh", "-c", script, name]).unwrap();
    let container = Container::new(bundle).unwrap();
    container.run_detached(&[]).unwrap().success().unwrap();
    let table = || {
        let output = container.call(&["ps", &container.id]).unwrap();
        output.success().unwrap().stdout
    };
    wait_until("the process", Duration::from_secs(20), || {
        table().contains("[2J")
    })
    .unwrap();
    let table = table();
    let acts = |char: char| char.is_control() && char != '\n';
    assert!(!table.contains(acts), "{table:?}");
    let rows = table.lines().filter(|line| line.contains("[2J")).count();
    // The shell's child has its command line until it becomes `sleep`.
    assert!(rows >= 1 && table.lines().count() <= 3, "{table:?}");
}

#[rstest]
fn whole_command_lines_are_shown() {
    let bundle = Bundle::busybox(&["sleep", "1000"]).unwrap();
    let container = Container::new(bundle).unwrap();
    container.run_detached(&[]).unwrap().success().unwrap();
    let has_row = || {
        let output = container.call(&["ps", &container.id]).unwrap();
        let table = output.success().unwrap().stdout;
        table.lines().any(|line| line.ends_with(" sleep 1000"))
    };
    wait_until("the command line", Duration::from_secs(20), has_row).unwrap();
}
