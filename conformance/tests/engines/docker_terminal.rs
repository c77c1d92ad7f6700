//! `docker run -it` and `docker exec -it` on a real terminal: job control, signals of keys, the window's size.

use std::process::Command;
use std::time::Duration;

use fixtures::engines::{Docker, IMAGE};
use rstest::rstest;

use crate::terminal::Terminal;
use crate::{needs_root, on_our_kernel, run_detached};

/// What the shell prints when it waits for a command.
const PROMPT: &str = "ready> ";

/// A shell on a terminal that says which one, and that it runs on our kernel.
fn shell(command: &Command, terminal: &str) -> Terminal {
    let mut shell = Terminal::start(command);
    shell.expect(PROMPT);
    shell.write(&format!("{}; tty\n", on_our_kernel()));
    shell.expect(terminal);
    shell.expect(PROMPT);
    shell
}

/// Starts a program and types a key once it has the terminal.
fn type_at(shell: &mut Terminal, program: &str, key: &str) {
    shell.write(&format!("{program}\n"));
    shell.expect(program);
    std::thread::sleep(Duration::from_millis(500));
    shell.write(key);
}

#[rstest]
fn shell_on_a_terminal() {
    needs_root!();
    let docker = Docker::shared().unwrap();
    let flags = ["run", "--rm", "-it", "--network", "none", "--env"];
    let program = ["PS1=ready> ", IMAGE, "sh"];
    let command = docker.command(&[&flags[..], &program].concat());
    let mut terminal = shell(&command, "/dev/pts/0");
    // Ctrl-C ends the program and leaves the shell.
    type_at(&mut terminal, "sleep 1000", "\x03");
    terminal.expect(PROMPT);
    terminal.write("echo code $?\n");
    terminal.expect("code 130");
    terminal.expect(PROMPT);
    // Ctrl-Z stops it, and it can be killed as a job.
    type_at(&mut terminal, "sleep 1001", "\x1a");
    terminal.expect("Stopped");
    terminal.expect(PROMPT);
    terminal.write("kill %1; fg\n");
    terminal.expect(PROMPT);
    // The window's size, and a change of it.
    terminal.resize(101, 37);
    std::thread::sleep(Duration::from_millis(500));
    terminal.write("stty size\n");
    terminal.expect("37 101");
    terminal.expect(PROMPT);
    terminal.write("exit 6\n");
    assert_eq!(terminal.finish(), 6);
}

#[rstest]
fn exec_on_a_terminal() {
    needs_root!();
    let running = run_detached(&[], "sleep 1000");
    let args = ["exec", "-it", "--env", "PS1=ready> ", &running.name, "sh"];
    let mut terminal = shell(&running.docker.command(&args), "/dev/pts/");
    type_at(&mut terminal, "sleep 1000", "\x03");
    terminal.expect(PROMPT);
    terminal.write("exit 8\n");
    assert_eq!(terminal.finish(), 8);
}
