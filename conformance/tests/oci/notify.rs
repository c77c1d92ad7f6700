//! `NOTIFY_SOCKET`: what a container says to the service manager reaches it (`man 3 sd_notify`).

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use fixtures::build::{c_program, install};
use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::{Container, LIMIT};
use rstest::rstest;

const SENDER: &str = r#"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char *path = getenv("NOTIFY_SOCKET");
    if (!path) { puts("nobody to tell"); return 2; }
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    socklen_t len = offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    for (int i = 1; i < argc; i++)
        if (sendto(fd, argv[i], strlen(argv[i]), 0, (void *)&address, len) != (ssize_t)strlen(argv[i])) {
            perror(path);
            return 1;
        }
    // A forwarder between the two needs a moment.
    sleep(1);
    return 0;
}
"#;

fn sender(messages: &[&str]) -> Bundle {
    let program = c_program("notify-sender", SENDER).unwrap();
    let args: Vec<&str> = ["/sender"]
        .into_iter()
        .chain(messages.iter().copied())
        .collect();
    let bundle = Bundle::busybox(&args).unwrap();
    install(&program, bundle.rootfs(), "sender").unwrap();
    bundle
}

#[rstest]
fn what_is_said_reaches_the_service_manager(#[values(false, true)] read_only_root: bool) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let bundle = sender(&["STATUS=starting", "READY=1\nFDSTORE=1"]);
    let bundle = bundle.set("/root/readonly", read_only_root.into());
    let container = Container::new(bundle).unwrap();
    let mut command = container.run_command(&[]);
    command.env("NOTIFY_SOCKET", &path);
    command::run(&mut command, LIMIT)
        .unwrap()
        .success()
        .unwrap();
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(len) = manager.recv(&mut buffer) {
        said.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
    }
    assert!(said.iter().any(|text| text.contains("READY=1")), "{said:?}");
    assert!(!said.concat().contains("FDSTORE"), "{said:?}");
}

#[rstest]
fn without_a_service_manager_there_is_no_socket() {
    let container = Container::new(sender(&["READY=1"])).unwrap();
    let mut command = container.run_command(&[]);
    command.env_remove("NOTIFY_SOCKET");
    let output = command::run(&mut command, LIMIT).unwrap();
    assert_eq!((output.code, &*output.stdout), (2, "nobody to tell\n"));
}
