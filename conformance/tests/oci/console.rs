//! `--console-socket`: the master of the container's terminal comes over a unix socket.

use std::io::{IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::container::Container;
use fixtures::runtime::Kind;
use rstest::rstest;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// Accepts one connection and takes the descriptor and its name out of the one message on it.
fn receive_terminal(listener: &UnixListener) -> (OwnedFd, String) {
    let (connection, _) = listener.accept().unwrap();
    let mut name = [0_u8; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        &connection,
        &mut [IoSliceMut::new(&mut name)],
        &mut control,
        RecvFlags::empty(),
    )
    .unwrap();
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    (
        descriptor.unwrap(),
        String::from_utf8_lossy(&name[..received.bytes]).into_owned(),
    )
}

/// Reads until the text ends like this.
fn read_until(terminal: &mut std::fs::File, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0_u8; 1024];
    while !text.ends_with(end) {
        match terminal.read(&mut buffer) {
            // The end of a terminal is EIO.
            Ok(0) | Err(_) => break,
            Ok(len) => text.push_str(&String::from_utf8_lossy(&buffer[..len])),
        }
    }
    text
}

fn with_terminal(script: &str, socket: &Path) -> (Container, std::fs::File) {
    let listener = UnixListener::bind(socket).unwrap();
    let bundle = Bundle::busybox(&["sh", "-c", script])
        .unwrap()
        .terminal(true);
    let container = Container::new(bundle).unwrap();
    let receiver = std::thread::spawn(move || receive_terminal(&listener));
    container
        .create(&["--console-socket", &socket.to_string_lossy()])
        .unwrap()
        .success()
        .unwrap();
    let (terminal, name) = receiver.join().unwrap();
    assert!(!name.is_empty());
    (container, std::fs::File::from(terminal))
}

#[rstest]
fn terminal_carries_output_and_input() {
    let directory = tempfile::tempdir().unwrap();
    let script = "test -t 0 && test -t 1 && test -t 2 && tty; read line; echo got $line";
    let (container, mut terminal) = with_terminal(script, &directory.path().join("console"));
    container.start().unwrap().success().unwrap();
    let name = read_until(&mut terminal, "\n");
    assert!(name.starts_with("/dev/"), "{name:?}");
    terminal.write_all(b"hello\n").unwrap();
    // The line discipline echoes, and turns newlines into two characters.
    assert_eq!(
        read_until(&mut terminal, "got hello\r\n"),
        "hello\r\ngot hello\r\n"
    );
    container.wait_for_status("stopped").unwrap();
}

#[rstest]
fn interrupt_character_is_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.1; done";
    let (container, mut terminal) = with_terminal(script, &directory.path().join("console"));
    container.start().unwrap().success().unwrap();
    assert_eq!(read_until(&mut terminal, "ready\r\n"), "ready\r\n");
    terminal.write_all(b"\x03").unwrap();
    let text = read_until(&mut terminal, "interrupted\r\n");
    assert!(text.ends_with("interrupted\r\n"), "{text:?}");
    container.wait_for_status("stopped").unwrap();
}

#[rstest]
fn window_size_of_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("console");
    let listener = UnixListener::bind(&socket).unwrap();
    let bundle = Bundle::busybox(&["stty", "size"])
        .unwrap()
        .terminal(true)
        .set(
            "/process/consoleSize",
            serde_json::json!({"height": 33, "width": 77}),
        );
    let container = Container::new(bundle).unwrap();
    let receiver = std::thread::spawn(move || receive_terminal(&listener));
    container
        .create(&["--console-socket", &socket.to_string_lossy()])
        .unwrap()
        .success()
        .unwrap();
    let mut terminal = std::fs::File::from(receiver.join().unwrap().0);
    container.start().unwrap().success().unwrap();
    assert_eq!(read_until(&mut terminal, "\n"), "33 77\r\n");
}

#[rstest]
fn missing_socket_fails_create() {
    let bundle = Bundle::busybox(&["true"]).unwrap().terminal(true);
    let container = Container::new(bundle).unwrap();
    assert_ne!(
        container
            .create(&["--console-socket", "/no/such/socket"])
            .unwrap()
            .code,
        0
    );
    std::thread::sleep(Duration::from_millis(50));
    assert_ne!(container.call(&["state", &container.id]).unwrap().code, 0);
}

/// config-linux.md, *Default Devices*: */dev/console is set up if terminal is enabled*
#[rstest]
fn console_is_the_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let script = "test -c /dev/console && echo shown >/dev/console; tty";
    let (container, mut terminal) = with_terminal(script, &directory.path().join("socket"));
    container.start().unwrap().success().unwrap();
    let text = read_until(&mut terminal, "pts/0\r\n");
    assert_eq!(text, "shown\r\n/dev/pts/0\r\n");
}

#[rstest]
fn process_table_names_the_terminal() {
    let directory = tempfile::tempdir().unwrap();
    // man 5 proc_pid_stat, tty_nr and tpgid: character device 136:0, and the init process's group.
    let script = "cut -d' ' -f7,8 /proc/self/stat; read line";
    let (container, mut terminal) = with_terminal(script, &directory.path().join("socket"));
    container.start().unwrap().success().unwrap();
    assert_eq!(read_until(&mut terminal, "\n"), "34816 1\r\n");
    let table = container.call(&["ps", &container.id]).unwrap();
    let table = table.success().unwrap().stdout;
    // The host's ps, which runc calls, can't name a terminal of the container's own /dev.
    let host = fixtures::runtime::Runtime::under_test().unwrap().kind == Kind::Host;
    assert!(host || table.contains(" pts/0 "), "{table}");
}
