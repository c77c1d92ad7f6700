//! execve(2), execveat(2): formats, arguments, errors, and what survives.

#![expect(unsafe_code, reason = "reads the address of the environment")]

use std::ffi::{CStr, CString};

use crate::case::{Failure, Outcome};
use crate::support::fd::{self, Fd};
use crate::support::file::{self, TempDir};
use crate::support::process::{self, Child};
use crate::support::{creds, signal};
use crate::sys::SysResult;

cases!(
    arguments_and_environment_arrive,
    empty_argument_list_gets_one_empty_string,
    exit_code_arrives,
    process_id_is_kept,
    close_on_exec_closes,
    handlers_are_reset_and_ignored_signals_stay,
    mask_and_pending_signals_stay,
    alternate_stack_is_gone,
    name_is_the_files,
    script_runs_its_interpreter,
    script_with_one_argument,
    script_interpreter_of_a_script,
    script_nesting_is_limited,
    script_errors,
    unknown_format_is_enoexec,
    elf_errors_are_enoexec,
    permission_errors,
    path_errors,
    argument_list_too_long_is_e2big,
    argument_list_of_gibibytes_is_e2big,
    bad_pointers_are_efault,
    execveat_by_descriptor,
    execveat_errors,
    execveat_of_a_script_names_the_descriptor,
    secure_bit_is_set_by_set_user_id,
    no_new_privs_ignores_set_user_id,
    auxiliary_vector_tells_the_truth,
    exec_from_another_thread_becomes_the_leader,
    shared_descriptor_table_is_unshared,
    failed_exec_leaves_everything,
    capabilities_after_exec_as_user,
    brk_and_mappings_are_fresh,
);

/// This program's own path.
pub(super) fn program() -> Result<CString, Failure> {
    Ok(file::cstring(
        &std::fs::read_link("/proc/self/exe")?.to_string_lossy(),
    ))
}

/// Copies this program.
pub(super) fn copy_program(to: &CStr) -> Outcome {
    let bytes = file::contents(c"/proc/self/exe")?;
    let target = fd::open(to, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, 0o755)?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        rest = rest.get(target.write(rest)?..).unwrap_or_default();
    }
    Ok(())
}

fn pointers(strings: &[CString]) -> Vec<usize> {
    strings
        .iter()
        .map(|string| string.as_ptr() as usize)
        .chain([0])
        .collect()
}

fn strings(list: &[&str]) -> Vec<CString> {
    list.iter().map(|text| file::cstring(text)).collect()
}

/// execve with this environment; returns only on failure.
fn exec_env(path: &CStr, args: &[&str], env: &[&str]) -> SysResult {
    let (args, env) = (strings(args), strings(env));
    sys!(
        SYS_execve,
        path,
        pointers(&args).as_slice(),
        pointers(&env).as_slice()
    )
}

/// execve of a path, `argv[0]` being the path.
pub(super) fn exec(path: &CStr, args: &[&str]) -> SysResult {
    let name = path.to_string_lossy();
    let all: Vec<&str> = std::iter::once(&*name)
        .chain(args.iter().copied())
        .collect();
    exec_env(path, &all, &[])
}

/// Forks a child that executes the path; the child exits with 200 if that fails.
pub(super) fn spawn(path: &CStr, args: &[&str]) -> Result<Child, Failure> {
    process::fork(|| {
        let _ = exec(path, args);
        200
    })
}

/// Runs `body` in a child whose standard output is captured; the output without its last newline.
pub(super) fn capture(body: impl FnOnce() -> SysResult) -> Result<String, Failure> {
    let (reader, writer) = fd::pipe(libc::O_CLOEXEC)?;
    let mut child = process::fork(|| {
        let _ = sys!(SYS_dup2, &writer, 1);
        match body() {
            Ok(_) => 201,
            Err(error) => {
                let _ = sys!(
                    SYS_write,
                    2,
                    error.to_string().as_bytes(),
                    error.to_string().len()
                );
                200
            }
        }
    })?;
    drop(writer);
    let output = reader.read_all()?;
    let status = child.wait()?;
    check_eq!(status.code(), Some(0));
    Ok(String::from_utf8_lossy(&output)
        .trim_end_matches('\n')
        .to_owned())
}

/// Captures `helper MODE…` after preparing the child.
pub(super) fn helper(args: &[&str], prepare: impl FnOnce() -> Outcome) -> Result<String, Failure> {
    let program = program()?;
    let all: Vec<&str> = std::iter::once("helper")
        .chain(args.iter().copied())
        .collect();
    capture(|| {
        if let Err(failure) = prepare() {
            println!("{failure}");
            process::exit_now(0);
        }
        exec(&program, &all)
    })
}

/// A script, mode 0755.
fn script(dir: &TempDir, name: &str, text: &str) -> Result<CString, Failure> {
    let path = dir.file(name, text.as_bytes())?;
    sys!(SYS_chmod, &path, 0o755)?;
    Ok(path)
}

fn arguments_and_environment_arrive() -> Outcome {
    let program = program()?;
    let output = capture(|| {
        exec_env(
            &program,
            &["zero", "helper", "args", "", "two words", "\u{e9}"],
            &[],
        )
    })?;
    check_eq!(output, "zero|helper|args||two words|\u{e9}");
    let output = capture(|| exec_env(&program, &["x", "helper", "env"], &["B=2", "A=", "C==x"]))?;
    check_eq!(output, "A=|B=2|C==x");
    Ok(())
}

/// Since Linux 5.18 an empty argument list is replaced by one empty string.
fn empty_argument_list_gets_one_empty_string() -> Outcome {
    let program = program()?;
    // Without arguments the program prints its usage and exits with 2.
    let status = process::status_of(|| {
        let _ = sys!(SYS_close, 2);
        let _ = sys!(SYS_execve, &program, 0, 0);
        200
    })?;
    check_eq!(status.code(), Some(2));
    Ok(())
}

fn exit_code_arrives() -> Outcome {
    let program = program()?;
    for code in ["0", "7", "255"] {
        let status = spawn(&program, &["helper", "exit", code])?.wait()?;
        check_eq!(
            status.code().map(|code| code.to_string()),
            Some(code.to_owned())
        );
    }
    Ok(())
}

fn process_id_is_kept() -> Outcome {
    let program = program()?;
    let output = capture(|| {
        print!("{} ", process::getpid());
        let _ = std::io::Write::flush(&mut std::io::stdout());
        exec(&program, &["helper", "pid"])
    })?;
    let ids: Vec<&str> = output.split(' ').collect();
    check_eq!(ids, [ids[0], ids[0], ids[0]]);
    Ok(())
}

fn close_on_exec_closes() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    let output = helper(&["fds", "50", "51", "52"], || {
        sys!(SYS_dup3, &file, 50, libc::O_CLOEXEC)?;
        sys!(SYS_dup3, &file, 51, 0)?;
        sys!(SYS_dup3, &file, 52, 0)?;
        sys!(SYS_fcntl, 52, libc::F_SETFD, libc::FD_CLOEXEC)?;
        Ok(())
    })?;
    check_eq!(output, "51");
    Ok(())
}

fn handlers_are_reset_and_ignored_signals_stay() -> Outcome {
    let output = helper(&["signals"], || {
        for signo in 1..32 {
            if signo != libc::SIGKILL && signo != libc::SIGSTOP {
                signal::set_disposition(signo, libc::SIG_DFL)?;
            }
        }
        signal::handle(libc::SIGUSR1, signal::record, 0)?;
        signal::set_disposition(libc::SIGUSR2, libc::SIG_IGN)?;
        Ok(())
    })?;
    check_eq!(output, "ignored 800 handled 0 blocked 0 pending 0");
    Ok(())
}

fn mask_and_pending_signals_stay() -> Outcome {
    let output = helper(&["signals"], || {
        for signo in [libc::SIGPIPE, libc::SIGUSR1] {
            signal::set_disposition(signo, libc::SIG_DFL)?;
        }
        signal::block(signal::bit(libc::SIGUSR1) | signal::bit(libc::SIGTERM))?;
        signal::raise(libc::SIGUSR1)?;
        Ok(())
    })?;
    check!(output.ends_with("blocked 4200 pending 200"), "{output}");
    Ok(())
}

fn alternate_stack_is_gone() -> Outcome {
    let output = helper(&["altstack"], || {
        let memory = crate::support::map::Map::anonymous(65536)?;
        let stack = libc::stack_t {
            ss_sp: memory.forget() as *mut libc::c_void,
            ss_flags: 0,
            ss_size: 65536,
        };
        sys!(SYS_sigaltstack, &stack, 0)?;
        Ok(())
    })?;
    check_eq!(output, format!("flags {}", libc::SS_DISABLE));
    Ok(())
}

fn name_is_the_files() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.join("a-very-long-program-name");
    copy_program(&path)?;
    let output = capture(|| exec_env(&path, &["other", "helper", "name"], &[]))?;
    check_eq!(output, "a-very-long-pro");
    Ok(())
}

fn script_runs_its_interpreter() -> Outcome {
    let dir = TempDir::new()?;
    dir.dir("d")?;
    let helper = dir.join("d/i");
    copy_program(&helper)?;
    let text = format!("#!{} helper\nnever read\n", helper.to_string_lossy());
    let path = script(&dir, "s", &text)?;
    let status = process::status_of(|| {
        let _ = exec_env(&path, &["ignored", "x"], &[]);
        200
    })?;
    // The interpreter gets: itself, `helper`, the script's path, `x`; the path is no mode it knows.
    check_eq!(status.code(), Some(98));
    Ok(())
}

/// Everything after the interpreter is one argument, with blanks cut off at both ends.
fn script_with_one_argument() -> Outcome {
    let dir = TempDir::new()?;
    let echo = interpreter_echo(&dir)?;
    let path = script(&dir, "s", &format!("#!  {echo} \t two  words \t \nrest"))?;
    let output = capture(|| exec_env(&path, &["zero", "one", "two"], &[]))?;
    check_eq!(
        output,
        format!("{echo}|two  words|{}|one|two", path.to_string_lossy())
    );
    let bare = script(&dir, "b", &format!("#!{echo}"))?;
    let output = capture(|| exec_env(&bare, &["zero", "one"], &[]))?;
    check_eq!(output, format!("{echo}|{}|one", bare.to_string_lossy()));
    Ok(())
}

/// A copy of this program under a name that makes it print its arguments.
fn interpreter_echo(dir: &TempDir) -> Result<String, Failure> {
    let path = dir.join("echo-args");
    copy_program(&path)?;
    Ok(path.to_string_lossy().into_owned())
}

fn script_interpreter_of_a_script() -> Outcome {
    let dir = TempDir::new()?;
    let echo = interpreter_echo(&dir)?;
    let inner = script(&dir, "inner", &format!("#!{echo} first\n"))?;
    let inner = inner.to_string_lossy();
    let outer = script(&dir, "outer", &format!("#!{inner} second\n"))?;
    let output = capture(|| exec_env(&outer, &["zero", "x"], &[]))?;
    check_eq!(
        output,
        format!("{echo}|first|{inner}|second|{}|x", outer.to_string_lossy())
    );
    Ok(())
}

fn script_nesting_is_limited() -> Outcome {
    let dir = TempDir::new()?;
    let mut previous = interpreter_echo(&dir)?;
    let mut paths = Vec::new();
    for level in 0..6 {
        let path = script(&dir, &format!("s{level}"), &format!("#!{previous}\n"))?;
        previous = path.to_string_lossy().into_owned();
        paths.push(path);
    }
    // Five rewrites are allowed, the sixth script is too many.
    check!(capture(|| exec(&paths[4], &[])).is_ok());
    process::in_child(|| {
        errno_is!(exec(&paths[5], &[]), ELOOP);
        Ok(())
    })
}

fn script_errors() -> Outcome {
    let dir = TempDir::new()?;
    let missing = script(&dir, "missing", "#!/no/such/interpreter\n")?;
    errno_is!(exec(&missing, &[]), ENOENT);
    let empty = script(&dir, "empty", "#!\n")?;
    errno_is!(exec(&empty, &[]), ENOEXEC);
    let blank = script(&dir, "blank", "#!   \n")?;
    errno_is!(exec(&blank, &[]), ENOEXEC);
    let data = dir.file("data", b"not executable")?;
    let denied = script(&dir, "denied", &format!("#!{}\n", data.to_string_lossy()))?;
    errno_is!(exec(&denied, &[]), EACCES);
    let long = script(&dir, "long", &format!("#!/{}\n", "x".repeat(300)))?;
    errno_is!(exec(&long, &[]), ENOEXEC);
    Ok(())
}

fn unknown_format_is_enoexec() -> Outcome {
    let dir = TempDir::new()?;
    for (name, text) in [("text", "echo hello\n"), ("empty", ""), ("short", "#")] {
        errno_is!(exec(&script(&dir, name, text)?, &[]), ENOEXEC);
    }
    Ok(())
}

fn elf_errors_are_enoexec() -> Outcome {
    let dir = TempDir::new()?;
    let image = file::contents(c"/proc/self/exe")?;
    // Machine, type, size of a program header, and a file that ends after the identification.
    for (name, offset, value) in [
        ("machine", 18, 0xff_u8),
        ("type", 16, 1),
        ("phentsize", 54, 1),
    ] {
        let mut bytes = image.get(..8192).unwrap_or_default().to_vec();
        bytes[offset] = value;
        let path = dir.file(name, &bytes)?;
        sys!(SYS_chmod, &path, 0o755)?;
        errno_is!(exec(&path, &[]), ENOEXEC);
    }
    let path = dir.file("cut", &image[..20])?;
    sys!(SYS_chmod, &path, 0o755)?;
    errno_is!(exec(&path, &[]), ENOEXEC);
    Ok(())
}

fn permission_errors() -> Outcome {
    let dir = TempDir::new()?;
    // Root too needs one execute bit.
    errno_is!(exec(&dir.file("plain", b"#!/x\n")?, &[]), EACCES);
    errno_is!(exec(&dir.dir("d")?, &[]), EACCES);
    sys!(SYS_mknod, &dir.join("fifo"), libc::S_IFIFO | 0o777, 0)?;
    errno_is!(exec(&dir.join("fifo"), &[]), EACCES);
    let private = script(&dir, "private", "#!/x\n")?;
    sys!(SYS_chmod, &private, 0o700)?;
    process::in_child(|| {
        creds::become_user(1000, 1000)?;
        errno_is!(exec(&private, &[]), EACCES);
        Ok(())
    })
}

fn path_errors() -> Outcome {
    let dir = TempDir::new()?;
    errno_is!(exec(&dir.join("none"), &[]), ENOENT);
    errno_is!(exec(&dir.join("none/x"), &[]), ENOENT);
    errno_is!(exec(c"", &[]), ENOENT);
    dir.file("f", b"")?;
    errno_is!(exec(&dir.join("f/x"), &[]), ENOTDIR);
    sys!(SYS_symlink, c"loop", &dir.join("loop"))?;
    errno_is!(exec(&dir.join("loop"), &[]), ELOOP);
    errno_is!(exec(&dir.join(&"n".repeat(256)), &[]), ENAMETOOLONG);
    Ok(())
}

/// Many pointers to one long string: what they come to is not there for anyone to hold.
fn argument_list_of_gibibytes_is_e2big() -> Outcome {
    let program = file::cstring(program()?.to_string_lossy().as_ref());
    let long = file::cstring(&"x".repeat(100_000));
    let mut list = vec![long.as_ptr(); 500_000];
    list.push(std::ptr::null());
    let none = [std::ptr::null::<libc::c_char>()];
    process::in_child(|| {
        let limit = libc::rlimit {
            rlim_cur: 8 << 20,
            rlim_max: libc::RLIM_INFINITY,
        };
        sys!(SYS_prlimit64, 0, libc::RLIMIT_STACK, &limit, 0)?;
        errno_is!(
            sys!(SYS_execve, &program, list.as_ptr(), none.as_ptr()),
            E2BIG
        );
        errno_is!(
            sys!(SYS_execve, &program, none.as_ptr(), list.as_ptr()),
            E2BIG
        );
        Ok(())
    })
}

fn argument_list_too_long_is_e2big() -> Outcome {
    let program = program()?;
    // One string may have 128 KiB with its NUL; all together a quarter of the stack limit.
    let longest = "x".repeat(128 * 1024 - 1);
    errno_is!(
        exec(&program, &["helper", "exit", "3", &format!("{longest}x")]),
        E2BIG
    );
    check_eq!(
        spawn(&program, &["helper", "exit", "3", &longest])?
            .wait()?
            .code(),
        Some(3)
    );
    let many: Vec<&str> = ["helper", "exit", "3"]
        .into_iter()
        .chain(std::iter::repeat_n(longest.as_str(), 20))
        .collect();
    process::in_child(|| {
        let limit = libc::rlimit {
            rlim_cur: 8 << 20,
            rlim_max: libc::RLIM_INFINITY,
        };
        sys!(SYS_prlimit64, 0, libc::RLIMIT_STACK, &limit, 0)?;
        errno_is!(exec(&program, &many), E2BIG);
        Ok(())
    })
}

fn bad_pointers_are_efault() -> Outcome {
    let program = program()?;
    errno_is!(sys!(SYS_execve, 8, 0, 0), EFAULT);
    errno_is!(sys!(SYS_execve, &program, 8, 0), EFAULT);
    errno_is!(sys!(SYS_execve, &program, &[8_usize, 0], 0), EFAULT);
    errno_is!(sys!(SYS_execve, &program, 0, 8), EFAULT);
    Ok(())
}

fn execveat_by_descriptor() -> Outcome {
    let opened = fd::open(&program()?, libc::O_PATH | libc::O_CLOEXEC, 0)?;
    let args = strings(&["x", "helper", "args"]);
    let output = capture(|| {
        sys!(
            SYS_execveat,
            &opened,
            c"",
            pointers(&args).as_slice(),
            0,
            libc::AT_EMPTY_PATH
        )
    })?;
    check_eq!(output, "x|helper|args");
    let dir = TempDir::new()?;
    copy_program(&dir.join("p"))?;
    let base = dir.open()?;
    let output = capture(|| sys!(SYS_execveat, &base, c"p", pointers(&args).as_slice(), 0, 0))?;
    check_eq!(output, "x|helper|args");
    Ok(())
}

fn execveat_errors() -> Outcome {
    let dir = TempDir::new()?;
    copy_program(&dir.join("p"))?;
    sys!(SYS_symlink, c"p", &dir.join("link"))?;
    let base = dir.open()?;
    errno_is!(
        sys!(
            SYS_execveat,
            &base,
            c"link",
            0,
            0,
            libc::AT_SYMLINK_NOFOLLOW
        ),
        ELOOP
    );
    errno_is!(sys!(SYS_execveat, &base, c"p", 0, 0, 0x1), EINVAL);
    errno_is!(sys!(SYS_execveat, 800, c"p", 0, 0, 0), EBADF);
    errno_is!(sys!(SYS_execveat, &base, c"", 0, 0, 0), ENOENT);
    let opened = fd::open(&dir.join("p"), libc::O_RDONLY, 0)?;
    errno_is!(sys!(SYS_execveat, &opened, c"p", 0, 0, 0), ENOTDIR);
    Ok(())
}

/// execveat(2), BUGS: with close-on-exec the interpreter could not open the script: ENOENT.
fn execveat_of_a_script_names_the_descriptor() -> Outcome {
    let dir = TempDir::new()?;
    let echo = interpreter_echo(&dir)?;
    let path = script(&dir, "s", &format!("#!{echo}\n"))?;
    let args = strings(&["x", "y"]);
    let opened = fd::open(&path, libc::O_RDONLY, 0)?;
    let copy = Fd::own(sys!(SYS_fcntl, &opened, libc::F_DUPFD, 60)?);
    let output = capture(|| {
        sys!(
            SYS_execveat,
            &copy,
            c"",
            pointers(&args).as_slice(),
            0,
            libc::AT_EMPTY_PATH
        )
    })?;
    check_eq!(output, format!("{echo}|/dev/fd/{}|y", copy.number()));
    let closing = fd::open(&path, libc::O_RDONLY | libc::O_CLOEXEC, 0)?;
    errno_is!(
        sys!(
            SYS_execveat,
            &closing,
            c"",
            pointers(&args).as_slice(),
            0,
            libc::AT_EMPTY_PATH
        ),
        ENOENT
    );
    Ok(())
}

/// A copy of this program that is set-user-ID to 1234 and executable by all.
fn set_user_id_copy(dir: &TempDir) -> Result<CString, Failure> {
    creds::require(creds::CAP_CHOWN)?;
    let path = dir.join("suid");
    copy_program(&path)?;
    sys!(SYS_chown, &path, 1234, 5678)?;
    sys!(SYS_chmod, &path, 0o6755)?;
    Ok(path)
}

fn secure_bit_is_set_by_set_user_id() -> Outcome {
    let dir = TempDir::new()?;
    let path = set_user_id_copy(&dir)?;
    let run = |mode: &[&str]| {
        let all: Vec<&str> = std::iter::once("helper")
            .chain(mode.iter().copied())
            .collect();
        capture(|| {
            if creds::become_user(1000, 1000).is_err() {
                process::exit_now(1);
            }
            exec(&path, &all)
        })
    };
    check_eq!(run(&["ids"])?, "[1000, 1234, 1234] [1000, 5678, 5678]");
    check_eq!(run(&["auxv", "23"])?, "1");
    check_eq!(helper(&["auxv", "23"], || Ok(()))?, "0");
    Ok(())
}

fn no_new_privs_ignores_set_user_id() -> Outcome {
    let dir = TempDir::new()?;
    let path = set_user_id_copy(&dir)?;
    let output = capture(|| {
        if creds::become_user(1000, 1000).is_err() {
            process::exit_now(1);
        }
        sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
        exec(&path, &["helper", "ids"])
    })?;
    check_eq!(output, "[1000, 1000, 1000] [1000, 1000, 1000]");
    Ok(())
}

fn auxiliary_vector_tells_the_truth() -> Outcome {
    let value =
        |key: u64| -> Result<String, Failure> { helper(&["auxv", &key.to_string()], || Ok(())) };
    check_eq!(value(libc::AT_PAGESZ)?, "4096");
    check_eq!(value(libc::AT_CLKTCK)?, "100");
    check_eq!(value(libc::AT_UID)?, sys!(SYS_getuid)?.to_string());
    check_eq!(value(libc::AT_EGID)?, sys!(SYS_getegid)?.to_string());
    check_eq!(value(libc::AT_PHENT)?, "56");
    for key in [
        libc::AT_PHDR,
        libc::AT_ENTRY,
        libc::AT_RANDOM,
        libc::AT_EXECFN,
        libc::AT_PLATFORM,
        33,
    ] {
        check!(value(key)? != "none", "entry {key} is missing");
    }
    // SAFETY: AT_EXECFN is the address of a string on this process's stack that nothing changes.
    let name = unsafe { CStr::from_ptr(libc::getauxval(libc::AT_EXECFN) as *const libc::c_char) };
    check!(
        name.to_bytes().ends_with(b"syscall-tests"),
        "AT_EXECFN is {name:?}"
    );
    Ok(())
}

fn exec_from_another_thread_becomes_the_leader() -> Outcome {
    let program = program()?;
    let output = capture(|| {
        print!("{} ", process::getpid());
        let _ = std::io::Write::flush(&mut std::io::stdout());
        std::thread::spawn(|| {
            loop {
                let _ = sys!(SYS_pause);
            }
        });
        let _ = std::thread::spawn(move || {
            let _ = exec(&program, &["helper", "pid"]);
        })
        .join();
        process::exit_now(202)
    })?;
    let ids: Vec<&str> = output.split(' ').collect();
    check_eq!(ids, [ids[0], ids[0], ids[0]]);
    Ok(())
}

fn shared_descriptor_table_is_unshared() -> Outcome {
    let program = program()?;
    let file = TempDir::new()?.open_file("f", b"")?;
    sys!(SYS_dup3, &file, 70, libc::O_CLOEXEC)?;
    let pid = sys!(SYS_clone, libc::CLONE_FILES | libc::SIGCHLD, 0, 0, 0, 0)?;
    if pid == 0 {
        let _ = exec(&program, &["helper", "exit", "5"]);
        process::exit_now(200);
    }
    check_eq!(Child::adopt(pid).wait()?.code(), Some(5));
    sys!(SYS_fcntl, 70, libc::F_GETFD)?;
    Ok(())
}

fn failed_exec_leaves_everything() -> Outcome {
    signal::handle(libc::SIGUSR1, signal::record, 0)?;
    let file = TempDir::new()?.open_file("f", b"")?;
    sys!(SYS_fcntl, &file, libc::F_SETFD, libc::FD_CLOEXEC)?;
    errno_is!(exec(c"/none", &[]), ENOENT);
    signal::raise(libc::SIGUSR1)?;
    check_eq!(signal::count(), 1);
    file.write(b"x")?;
    Ok(())
}

fn capabilities_after_exec_as_user() -> Outcome {
    creds::require(creds::CAP_SETUID)?;
    let dir = TempDir::new()?;
    let path = dir.join("p");
    copy_program(&path)?;
    let output = capture(|| {
        if creds::become_user(1000, 1000).is_err() {
            process::exit_now(1);
        }
        exec(&path, &["helper", "caps"])
    })?;
    check_eq!(output, "0 0 0");
    Ok(())
}

fn brk_and_mappings_are_fresh() -> Outcome {
    let output = helper(&["exit", "0"], || {
        let addr = sys!(
            SYS_mmap,
            0x2000_0000,
            4096,
            3,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0
        )?;
        check_eq!(addr, 0x2000_0000);
        Ok(())
    })?;
    check_eq!(output, "");
    let (mut child, addr) = (spawn(&program()?, &["helper", "sleep"])?, "20000000-");
    let started = crate::support::time::wait_until(|| {
        std::fs::read_to_string(format!("/proc/{}/cmdline", child.pid))
            .is_ok_and(|line| line.ends_with("helper\0sleep\0"))
    });
    check!(started);
    let maps = crate::support::proc::read(&format!("/proc/{}/maps", child.pid))?;
    check!(!maps.contains(addr) && maps.contains("[stack]"), "{maps}");
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    Ok(())
}
