//! Debian's programs give the same output and exit code under the runtime under test as under runc: with `run`, with
//! `exec` in a running container, and, for runsc, with `do` on the host's own root, which stays as it was.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::process::Command;
use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command::{self, Output};
use fixtures::container::Container;
use fixtures::runtime::{Kind, Runtime};
use rstest::rstest;

const LIMIT: Duration = Duration::from_secs(900);

/// A program of this directory, as `bash` runs it.
#[derive(Debug, Clone, Copy)]
struct Program {
    name: &'static str,
    text: &'static str,
}

macro_rules! program {
    ($name:literal) => {
        Program {
            name: $name,
            text: include_str!(concat!("programs/", $name, ".sh")),
        }
    };
}

/// What counts of an output.
type Seen = (String, i32);

fn seen(output: Output) -> Seen {
    (output.stdout + &output.stderr, output.code)
}

fn run(runtime: &Runtime, program: Program) -> Seen {
    let bundle = Bundle::debian(&["bash", "-c", program.text]).unwrap();
    let container = Container::of(runtime.clone(), bundle).unwrap();
    seen(command::run(&mut container.run_command(&[]), LIMIT).unwrap())
}

fn exec(runtime: &Runtime, program: Program) -> Seen {
    let bundle = Bundle::debian(&["sleep", "1000"]).unwrap();
    let container = Container::of(runtime.clone(), bundle).unwrap();
    container.run_detached(&[]).unwrap().success().unwrap();
    let mut exec = container.command(&["exec", &container.id, "bash", "-c", program.text]);
    seen(command::run(&mut exec, LIMIT).unwrap())
}

/// `runsc do` with the program, with the Debian root file system in place of the machine's own: the same programs are there.
fn run_do(runtime: &Runtime, program: Program) -> Seen {
    let state = tempfile::tempdir().unwrap();
    let mut command = runtime.command(state.path());
    command
        .args(["do", "--cwd=/", "--root"])
        .arg(fixtures::rootfs::debian().unwrap());
    command.args(["--", "bash", "-c", program.text]);
    seen(command::run(&mut command, LIMIT).unwrap())
}

fn runc() -> Runtime {
    Runtime::runc().unwrap()
}

/// Programs that see nothing of the container they are in.
#[rstest]
#[case::shell(program!("shell"))]
#[case::tree(program!("tree"))]
#[case::perl(program!("perl"))]
#[case::python(program!("python"))]
#[case::compiler(program!("compiler"))]
#[case::system(program!("system"))]
fn everywhere(#[case] program: Program) {
    // They differ: init can't kill itself, and sees no other process.
    let (expected, expected_of_exec) = (run(&runc(), program), exec(&runc(), program));
    for (nr_before, runtime) in Runtime::matrix().unwrap().into_iter().enumerate() {
        let on = format!("{} on {}", program.name, runtime.name());
        assert_eq!(run(&runtime, program), expected, "run {on}");
        // How a program comes to run is not the platform's.
        if nr_before > 0 {
            continue;
        }
        assert_eq!(exec(&runtime, program), expected_of_exec, "exec {on}");
        if runtime.kind == Kind::Runsc {
            assert_eq!(run_do(&runtime, program), expected, "do {on}");
        }
    }
}

/// Language runtimes with threads, compilers and collectors of their own. They take long, so once per platform.
#[rstest]
#[case::go(program!("go"), 23)]
#[case::java(program!("java"), 29)]
#[case::node(program!("node"), 31)]
fn on_each_platform(#[case] program: Program, #[case] code: i32) {
    let expected = run(&runc(), program);
    assert_eq!(expected.1, code, "{} on runc: {}", program.name, expected.0);
    for runtime in Runtime::matrix().unwrap() {
        let on = format!("{} on {}", program.name, runtime.name());
        assert_eq!(run(&runtime, program), expected, "run {on}");
    }
}

#[rstest]
fn in_a_container() {
    let program = program!("container");
    let expected = run(&runc(), program);
    for runtime in Runtime::matrix().unwrap() {
        assert_eq!(run(&runtime, program), expected, "{}", runtime.name());
        assert_eq!(exec(&runtime, program), expected, "{}", runtime.name());
    }
}

/// What `do` writes anywhere stays in its sandbox.
#[rstest]
fn do_leaves_the_host_untouched() {
    for runtime in Runtime::matrix().unwrap() {
        if runtime.kind != Kind::Runsc {
            continue;
        }
        let program = Program {
            name: "writes",
            text: "cd /root && echo new >untouched && rm /etc/passwd && mkdir /made && mv /bin/sed /bin/des && \
                   chmod 0 /etc && touch /usr && cat untouched && des -n 1p untouched",
        };
        let before = root_listing();
        assert_eq!(run_do(&runtime, program), ("new\nnew\n".to_owned(), 0));
        assert_eq!(root_listing(), before);
    }
}

/// Names, modes and times of what the program above changes.
fn root_listing() -> String {
    let root = fixtures::rootfs::debian().unwrap();
    let mut ls = Command::new("ls");
    ls.args(["-la", "--full-time", ".", "root", "etc", "usr"])
        .current_dir(root);
    command::run(&mut ls, LIMIT)
        .unwrap()
        .success()
        .unwrap()
        .stdout
}
