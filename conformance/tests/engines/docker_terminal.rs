//! `docker run -it` and `docker exec -it` on a real terminal: job control, signals of keys, the window's size.

use fixtures::engines::{Docker, IMAGE};
use rstest::rstest;

use crate::terminal::Terminal;
use crate::{needs_root, on_our_kernel, unique};

#[rstest]
fn shell_on_a_terminal() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let command = docker.command(&[
        "run",
        "--rm",
        "-it",
        "--network",
        "none",
        "--env",
        "PS1=ready> ",
        IMAGE,
        "sh",
    ]);
    let mut terminal = Terminal::start(&command);
    terminal.expect("ready> ");
    terminal.write(&format!("{}; tty\n", on_our_kernel()));
    terminal.expect("/dev/pts/0");
    terminal.expect("ready> ");
    // Ctrl-C ends the program and leaves the shell.
    terminal.write("sleep 1000\n");
    terminal.expect("sleep 1000");
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.write("\x03");
    terminal.expect("ready> ");
    terminal.write("echo code $?\n");
    terminal.expect("code 130");
    terminal.expect("ready> ");
    // Ctrl-Z stops it, and it can be killed as a job.
    terminal.write("sleep 1001\n");
    terminal.expect("sleep 1001");
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.write("\x1a");
    terminal.expect("Stopped");
    terminal.expect("ready> ");
    terminal.write("kill %1; fg\n");
    terminal.expect("ready> ");
    // The window's size, and a change of it.
    terminal.resize(101, 37);
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.write("stty size\n");
    terminal.expect("37 101");
    terminal.expect("ready> ");
    terminal.write("exit 6\n");
    assert_eq!(terminal.finish(), 6);
}

#[rstest]
fn exec_on_a_terminal() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let name = unique("terminal");
    docker.run_detached(&name, &[], &["sleep", "1000"]).unwrap();
    let command = docker.command(&["exec", "-it", "--env", "PS1=ready> ", &name, "sh"]);
    let mut terminal = Terminal::start(&command);
    terminal.expect("ready> ");
    terminal.write(&format!("{}; tty\n", on_our_kernel()));
    terminal.expect("/dev/pts/");
    terminal.expect("ready> ");
    terminal.write("sleep 1000\n");
    terminal.expect("sleep 1000");
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.write("\x03");
    terminal.expect("ready> ");
    terminal.write("exit 8\n");
    assert_eq!(terminal.finish(), 8);
    docker.remove(&name);
}
