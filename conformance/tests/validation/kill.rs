//! runtime.md, *Kill*.

use std::time::Duration;

use fixtures::command;
use fixtures::container::Container;
use rstest::rstest;

use crate::common::{shell, started};

#[rstest]
fn without_an_id_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    assert_ne!(container.call(&["kill"]).unwrap().code, 0);
}

#[rstest]
fn unknown_id_is_an_error() {
    let container = Container::new(shell("true")).unwrap();
    assert_ne!(container.kill("TERM").unwrap().code, 0);
}

/// *Attempting to send a signal to a container that is neither created nor running MUST have no effect on the container
/// and MUST generate an error*
#[rstest]
fn stopped_container_is_an_error_and_unaffected() {
    let container = started(shell("true"));
    container.wait_for_status("stopped").unwrap();
    assert_ne!(container.kill("KILL").unwrap().code, 0);
    assert_eq!(container.status(), "stopped");
}

#[rstest]
fn created_container_can_be_killed() {
    let container = Container::new(shell("sleep 100")).unwrap();
    container.create(&[]).unwrap().success().unwrap();
    container.kill("KILL").unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
}

/// *MUST send the specified signal to the container process*
#[rstest]
#[case::term("TERM")]
#[case::hup("HUP")]
#[case::int("INT")]
#[case::quit("QUIT")]
#[case::usr1("USR1")]
#[case::usr2("USR2")]
#[case::alrm("ALRM")]
#[case::number("15")]
#[case::full_name("SIGTERM")]
fn signal_reaches_the_process(#[case] signal: &str) {
    let name = match signal {
        "15" => "TERM",
        name => name.trim_start_matches("SIG"),
    };
    let script = format!(
        "trap 'echo {name} >/got; exit 0' {name}; echo >/ready; while :; do sleep 0.05; done"
    );
    let container = started(shell(&script));
    let file = |name: &str| container.bundle.rootfs().join(name);
    let limit = Duration::from_secs(10);
    command::wait_until("the trap", limit, || file("ready").exists()).unwrap();
    container.kill(signal).unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
    assert_eq!(
        std::fs::read_to_string(file("got")).unwrap(),
        format!("{name}\n")
    );
}

#[rstest]
fn kill_ends_a_process_that_ignores_signals() {
    let container = started(shell(
        "trap '' TERM; echo >/ready; while :; do sleep 0.05; done",
    ));
    let ready = container.bundle.rootfs().join("ready");
    command::wait_until("the trap", Duration::from_secs(10), || ready.exists()).unwrap();
    container.kill("TERM").unwrap().success().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(container.status(), "running");
    container.kill("KILL").unwrap().success().unwrap();
    container.wait_for_status("stopped").unwrap();
}

#[rstest]
#[case::name("NOSUCH")]
#[case::number("200")]
#[case::word("TERMINATE")]
fn unknown_signal_is_an_error_and_has_no_effect(#[case] signal: &str) {
    let container = started(shell("sleep 100"));
    assert_ne!(container.kill(signal).unwrap().code, 0);
    assert_eq!(container.status(), "running");
}
