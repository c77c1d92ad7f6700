//! `/proc`: what programs read there (proc(5)).

use crate::case::{Failure, Outcome};
use crate::support::fd;
use crate::support::file::{self, TempDir};
use crate::support::map::{Map, PAGE};
use crate::support::proc::{field, maps, read};
use crate::support::{process, signal, time};

cases!(
    fdinfo_tells_of_the_descriptor_it_is_read_through,
    self_and_thread_self,
    stat_fields,
    stat_of_a_strange_name,
    status_fields,
    status_signal_masks,
    statm_counts_pages,
    maps_describe_the_program,
    smaps_adds_up,
    command_line_and_environment,
    command_line_of_a_zombie_is_empty,
    comm_can_be_written,
    exe_cwd_and_root_links,
    descriptor_links,
    descriptor_directory_lists_open_ones,
    fdinfo_tells_flags_and_offset,
    task_lists_threads,
    limits_table,
    mounts_and_mountinfo,
    namespaces_are_links,
    memory_of_the_machine,
    processors,
    machine_stat_uptime_and_load,
    version_and_kernel_settings,
    filesystems,
    process_list,
    other_processes_are_there,
    gone_processes_are_enoent,
    children_and_wchan,
    auxv_and_personality,
    mem_reads_and_writes,
    pagemap_tells_presence,
    score_of_the_oom_killer,
    directories_are_read_only,
    uid_map_is_readable,
    net_files,
    random_settings,
    permission_of_another_users_files,
    sysfs_cpu_topology,
    io_and_sched,
);

/// The file's text holds the offset that the read is about to move.
fn fdinfo_tells_of_the_descriptor_it_is_read_through() -> Outcome {
    let (first, _writer) = fd::pipe(0)?;
    let path = file::cstring(&format!("/proc/self/fdinfo/{}", first.number()));
    let info = fd::open(&path, libc::O_RDONLY, 0)?;
    sys!(SYS_dup2, &info, &first)?;
    let text = first.read(4096)?;
    check!(text.starts_with(b"pos:\t0\n"));
    sys!(SYS_lseek, &first, 5, libc::SEEK_SET)?;
    let text = first.read(4096)?;
    check!(!text.is_empty() && !text.starts_with(b"pos:"));
    Ok(())
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn self_and_thread_self() -> Outcome {
    let pid = process::getpid().to_string();
    check_eq!(
        std::fs::read_link("/proc/self")?
            .to_string_lossy()
            .into_owned(),
        pid
    );
    let expected = format!("{pid}/task/{}", process::gettid());
    check_eq!(
        std::fs::read_link("/proc/thread-self")?
            .to_string_lossy()
            .into_owned(),
        expected
    );
    let Ok(tid) =
        std::thread::spawn(|| (process::gettid(), std::fs::read_link("/proc/thread-self"))).join()
    else {
        fail!("the thread panicked")
    };
    check_eq!(
        tid.1?.to_string_lossy().into_owned(),
        format!("{pid}/task/{}", tid.0)
    );
    Ok(())
}

/// The fields of `/proc/PID/stat` from the state on.
fn stat_words(pid: i32) -> Result<Vec<String>, Failure> {
    let text = read(&format!("/proc/{pid}/stat"))?;
    match text.rsplit_once(") ") {
        Some((_, rest)) => Ok(words(rest)),
        None => fail!("no name in {text}"),
    }
}

fn stat_fields() -> Outcome {
    let fields = stat_words(process::getpid())?;
    check_eq!(fields.len(), 50);
    let number = |index: usize| fields[index].parse::<i64>().unwrap_or(-99);
    check_eq!(fields[0], "R");
    check_eq!(number(1), sys!(SYS_getppid)?);
    check_eq!(
        (number(2), number(3)),
        (sys!(SYS_getpgrp)?, sys!(SYS_getsid, 0)?)
    );
    check_eq!(number(17), 1);
    // Start time in ticks since boot, size in bytes, resident pages.
    check!(
        number(19) >= 0 && number(20) > 1 << 20 && number(21) > 10,
        "{fields:?}"
    );
    let uptime: f64 = read("/proc/uptime")?
        .split(' ')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.0);
    let started = number(19) as f64 / 100.0;
    check!(
        (uptime - started).abs() < 100.0 && started <= uptime + 0.1,
        "started at {started}, now {uptime}"
    );
    Ok(())
}

fn stat_of_a_strange_name() -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_NAME, c") R (x\n", 0, 0, 0)?;
    let text = read("/proc/self/stat")?;
    check!(
        text.starts_with(&format!("{} () R (x\n) R ", process::getpid())),
        "{text:?}"
    );
    check_eq!(field("/proc/self/status", "Name")?, ") R (x\\n");
    Ok(())
}

fn status_fields() -> Outcome {
    let status = |name: &str| field("/proc/self/status", name);
    check_eq!(status("Name")?, "syscall-tests");
    check!(status("State")?.starts_with("R (running)"));
    check_eq!(status("Pid")?, process::getpid().to_string());
    check_eq!(status("Tgid")?, process::getpid().to_string());
    check_eq!(status("PPid")?, sys!(SYS_getppid)?.to_string());
    check_eq!(status("TracerPid")?, "0");
    check_eq!(status("Threads")?, "1");
    check!(
        status("FDSize")?
            .parse::<u32>()
            .is_ok_and(|size| size >= 32)
    );
    for name in [
        "VmPeak", "VmSize", "VmHWM", "VmRSS", "VmData", "VmStk", "VmExe", "VmLib", "VmPTE",
        "VmSwap",
    ] {
        check!(status(name)?.ends_with(" kB"), "{name}");
    }
    for name in [
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "Cpus_allowed",
        "Cpus_allowed_list",
        "Seccomp",
    ] {
        check!(!status(name)?.is_empty(), "{name}");
    }
    Ok(())
}

fn status_signal_masks() -> Outcome {
    signal::block(signal::bit(libc::SIGUSR1) | signal::bit(40))?;
    signal::set_disposition(libc::SIGUSR2, libc::SIG_IGN)?;
    signal::handle(libc::SIGHUP, signal::record, 0)?;
    signal::raise(libc::SIGUSR1)?;
    sys!(SYS_kill, process::getpid(), 40)?;
    let mask = |name: &str| {
        field("/proc/self/status", name).map(|text| u64::from_str_radix(&text, 16).unwrap_or(0))
    };
    check_eq!(
        mask("SigBlk")?,
        signal::bit(libc::SIGUSR1) | signal::bit(40)
    );
    check_eq!(mask("SigPnd")?, signal::bit(libc::SIGUSR1));
    check_eq!(mask("ShdPnd")?, signal::bit(40));
    check_eq!(
        mask("SigIgn")? & signal::bit(libc::SIGUSR2),
        signal::bit(libc::SIGUSR2)
    );
    check_eq!(
        mask("SigCgt")? & signal::bit(libc::SIGHUP),
        signal::bit(libc::SIGHUP)
    );
    let queue = field("/proc/self/status", "SigQ")?;
    check!(
        queue
            .split_once('/')
            .is_some_and(|(used, limit)| used != "0" && limit.parse::<u64>().is_ok()),
        "{queue}"
    );
    Ok(())
}

fn statm_counts_pages() -> Outcome {
    let sizes = || -> Result<Vec<u64>, Failure> {
        Ok(words(&read("/proc/self/statm")?)
            .iter()
            .map(|word| word.parse().unwrap_or(0))
            .collect())
    };
    let before = sizes()?;
    check_eq!(before.len(), 7);
    // The C library's heap may grow or shrink a little in between.
    let memory = Map::anonymous(300 * PAGE)?;
    let mapped = sizes()?;
    check!(
        (200..400).contains(&mapped[0].saturating_sub(before[0])),
        "{before:?} {mapped:?}"
    );
    (0..300).for_each(|page| memory.set(page * PAGE, 1));
    let touched = sizes()?;
    check!(touched[1] >= before[1] + 250, "{before:?} {touched:?}");
    Ok(())
}

fn maps_describe_the_program() -> Outcome {
    let areas = maps()?;
    check!(
        areas.windows(2).all(|pair| pair[0].end <= pair[1].start),
        "areas overlap or are not sorted"
    );
    let exe = std::fs::read_link("/proc/self/exe")?
        .to_string_lossy()
        .into_owned();
    let own: Vec<&str> = areas
        .iter()
        .filter(|area| area.name == exe)
        .map(|area| area.perms.as_str())
        .collect();
    check!(own.contains(&"r-xp") && own.contains(&"r--p"), "{own:?}");
    for name in ["[stack]", "[vdso]"] {
        check!(
            areas.iter().any(|area| area.name == name),
            "{name} is missing"
        );
    }
    let here = std::ptr::from_ref(&areas) as usize;
    check!(
        areas
            .iter()
            .any(|area| area.name == "[stack]" && (area.start..area.end).contains(&here))
    );
    Ok(())
}

fn smaps_adds_up() -> Outcome {
    let memory = Map::anonymous(64 * PAGE)?;
    (0..64).for_each(|page| memory.set(page * PAGE, 1));
    let text = read("/proc/self/smaps")?;
    let start = format!("{:08x}-", memory.addr());
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&start));
    check!(
        lines.next().is_some() || text.contains("Rss:"),
        "the mapping is not listed"
    );
    for name in [
        "Size:",
        "Rss:",
        "Pss:",
        "Private_Dirty:",
        "Referenced:",
        "Anonymous:",
        "VmFlags:",
    ] {
        check!(text.contains(name), "{name} is missing");
    }
    let rollup = read("/proc/self/smaps_rollup")?;
    check!(
        rollup.contains("[rollup]") && rollup.contains("Pss:"),
        "{rollup}"
    );
    Ok(())
}

fn command_line_and_environment() -> Outcome {
    let mut child = super::execve::spawn(&super::execve::program()?, &["helper", "sleep"])?;
    let path = format!("/proc/{}/cmdline", child.pid);
    check!(time::wait_until(
        || read(&path).is_ok_and(|line| line.ends_with("helper\0sleep\0"))
    ));
    check_eq!(read(&format!("/proc/{}/environ", child.pid))?, "");
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    let own = read("/proc/self/cmdline")?;
    check!(own.split('\0').nth(1) == Some("run"), "{own:?}");
    Ok(())
}

fn command_line_of_a_zombie_is_empty() -> Outcome {
    let mut child = process::fork(|| 0)?;
    check!(time::wait_until(
        || crate::support::proc::state(child.pid).is_ok_and(|state| state == 'Z')
    ));
    check_eq!(read(&format!("/proc/{}/cmdline", child.pid))?, "");
    check_eq!(
        field(&format!("/proc/{}/status", child.pid), "State")?,
        "Z (zombie)"
    );
    errno_is!(
        sys!(
            SYS_readlink,
            &file::cstring(&format!("/proc/{}/exe", child.pid)),
            &mut [0_u8; 10],
            10
        ),
        ENOENT
    );
    child.wait()?;
    Ok(())
}

fn comm_can_be_written() -> Outcome {
    fd::open(c"/proc/self/comm", libc::O_WRONLY, 0)?.write(b"a name that is much too long")?;
    check_eq!(read("/proc/self/comm")?, "a name that is \n");
    let mut name = [0_u8; 16];
    sys!(SYS_prctl, libc::PR_GET_NAME, &mut name, 0, 0, 0)?;
    check_eq!(&name, b"a name that is \0");
    let other = std::thread::spawn(|| {
        let _ = sys!(SYS_prctl, libc::PR_SET_NAME, c"worker", 0, 0, 0);
        read(&format!("/proc/self/task/{}/comm", process::gettid())).unwrap_or_default()
    });
    check_eq!(other.join().unwrap_or_default(), "worker\n");
    check_eq!(read("/proc/self/comm")?, "a name that is \n");
    Ok(())
}

fn exe_cwd_and_root_links() -> Outcome {
    let dir = TempDir::new()?;
    sys!(SYS_chdir, &file::cstring(dir.path()))?;
    let link = |name: &str| {
        std::fs::read_link(format!("/proc/self/{name}"))
            .map(|path| path.to_string_lossy().into_owned())
    };
    check_eq!(link("cwd")?, dir.path());
    check_eq!(link("root")?, "/");
    check!(link("exe")?.ends_with("syscall-tests"));
    check_eq!(
        file::stat(c"/proc/self/cwd")?.st_ino,
        file::stat(c".")?.st_ino
    );
    dir.file("f", b"through the link")?;
    check_eq!(file::contents(c"/proc/self/cwd/f")?, b"through the link");
    check_eq!(
        file::contents(c"/proc/self/exe")?.get(..4),
        Some(&b"\x7fELF"[..])
    );
    Ok(())
}

fn descriptor_links() -> Outcome {
    let dir = TempDir::new()?;
    let opened = dir.open_file("f", b"x")?;
    let link = |number: i32| {
        std::fs::read_link(format!("/proc/self/fd/{number}"))
            .map(|path| path.to_string_lossy().into_owned())
    };
    check_eq!(link(opened.number())?, format!("{}/f", dir.path()));
    sys!(SYS_rename, &dir.join("f"), &dir.join("g"))?;
    check_eq!(link(opened.number())?, format!("{}/g", dir.path()));
    let (left, _right) = fd::socketpair(libc::SOCK_STREAM)?;
    check_eq!(
        link(left.number())?,
        format!("socket:[{}]", left.stat()?.st_ino)
    );
    let epoll = fd::Fd::own(sys!(SYS_epoll_create1, 0)?);
    check_eq!(link(epoll.number())?, "anon_inode:[eventpoll]");
    // The link's mode shows how the file is open.
    let mode = |number: i32| {
        file::lstat(&file::cstring(&format!("/proc/self/fd/{number}")))
            .map(|stat| stat.st_mode & 0o777)
    };
    check_eq!(mode(opened.number())?, 0o700);
    check_eq!(mode(dir.open()?.number())?, 0o500);
    check!(link(800).is_err());
    Ok(())
}

fn descriptor_directory_lists_open_ones() -> Outcome {
    let opened = TempDir::new()?.open_file("f", b"")?;
    sys!(SYS_dup2, &opened, 321)?;
    let names: Vec<String> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    for number in [1, 2, opened.number(), 321] {
        check!(
            names.contains(&number.to_string()),
            "{number} is not in {names:?}"
        );
    }
    check!(!names.contains(&"322".to_owned()));
    Ok(())
}

fn fdinfo_tells_flags_and_offset() -> Outcome {
    let dir = TempDir::new()?;
    let opened = fd::open(
        &dir.file("f", b"hello")?,
        libc::O_RDWR | libc::O_APPEND | libc::O_CLOEXEC,
        0,
    )?;
    opened.read(3)?;
    let path = format!("/proc/self/fdinfo/{}", opened.number());
    check_eq!(field(&path, "pos")?, "3");
    let flags = i32::from_str_radix(&field(&path, "flags")?, 8).unwrap_or(0);
    check_eq!(
        flags & !0o100_000,
        libc::O_RDWR | libc::O_APPEND | libc::O_CLOEXEC
    );
    check!(field(&path, "mnt_id")?.parse::<u32>().is_ok());
    check_eq!(field(&path, "ino")?, opened.stat()?.st_ino.to_string());
    Ok(())
}

fn task_lists_threads() -> Outcome {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _ = sender.send(process::gettid());
        let _ = wait.recv();
    });
    let tid = receiver.recv().unwrap_or(0);
    let mut expected = vec![process::getpid().to_string(), tid.to_string()];
    let mut names: Vec<String> = std::fs::read_dir("/proc/self/task")?
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    expected.sort();
    check_eq!(names, expected);
    check_eq!(field("/proc/self/status", "Threads")?, "2");
    check_eq!(
        field(&format!("/proc/self/task/{tid}/status"), "Pid")?,
        tid.to_string()
    );
    check_eq!(
        field(&format!("/proc/self/task/{tid}/status"), "Tgid")?,
        process::getpid().to_string()
    );
    // A thread that is not listed in /proc has a directory there all the same.
    check_eq!(
        field(&format!("/proc/{tid}/status"), "Pid")?,
        tid.to_string()
    );
    drop(end);
    check!(thread.join().is_ok());
    Ok(())
}

fn limits_table() -> Outcome {
    let limit = libc::rlimit {
        rlim_cur: 123,
        rlim_max: 456,
    };
    sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &limit, 0)?;
    let text = read("/proc/self/limits")?;
    let line = text
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap_or_default();
    check_eq!(words(line), ["Max", "open", "files", "123", "456", "files"]);
    check_eq!(text.lines().count(), 17);
    check!(
        text.starts_with(
            "Limit                     Soft Limit           Hard Limit           Units"
        )
    );
    Ok(())
}

fn mounts_and_mountinfo() -> Outcome {
    let mounts = read("/proc/self/mounts")?;
    check!(
        mounts
            .lines()
            .any(|line| words(line).get(1).map(String::as_str) == Some("/proc")),
        "{mounts}"
    );
    check!(
        mounts
            .lines()
            .any(|line| words(line).get(1).map(String::as_str) == Some("/"))
    );
    check_eq!(
        std::fs::read_link("/proc/mounts")?
            .to_string_lossy()
            .into_owned(),
        "self/mounts"
    );
    for line in read("/proc/self/mountinfo")?.lines() {
        let fields = words(line);
        let dash = fields.iter().position(|word| word == "-").unwrap_or(0);
        check!(dash >= 6 && fields.len() == dash + 4, "{line}");
        check!(
            fields[0].parse::<u32>().is_ok()
                && fields[2].contains(':')
                && fields[4].starts_with('/'),
            "{line}"
        );
    }
    let stats = read("/proc/self/mountstats")?;
    check!(
        stats
            .lines()
            .all(|line| line.contains(" mounted on ") || line.starts_with('\t')),
        "{stats}"
    );
    Ok(())
}

fn namespaces_are_links() -> Outcome {
    for name in [
        "mnt",
        "pid",
        "net",
        "ipc",
        "uts",
        "user",
        "cgroup",
        "time",
        "pid_for_children",
    ] {
        let link = std::fs::read_link(format!("/proc/self/ns/{name}"))?
            .to_string_lossy()
            .into_owned();
        let kind = name.split('_').next().unwrap_or(name);
        let number = link
            .strip_prefix(&format!("{kind}:["))
            .and_then(|rest| rest.strip_suffix(']'));
        check!(
            number.is_some_and(|number| number.parse::<u64>().is_ok()),
            "{link}"
        );
    }
    let child = process::fork_sleeper()?;
    let same = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid"));
    check_eq!(same(child.pid)?, same(process::getpid())?);
    Ok(())
}

fn memory_of_the_machine() -> Outcome {
    let value = |name: &str| -> Result<u64, Failure> {
        let text = field("/proc/meminfo", name)?;
        Ok(text
            .strip_suffix(" kB")
            .and_then(|number| number.parse().ok())
            .unwrap_or(u64::MAX))
    };
    let (total, free, available) = (
        value("MemTotal")?,
        value("MemFree")?,
        value("MemAvailable")?,
    );
    check!(
        total > 1 << 14 && free <= total && available <= total,
        "{total} {free} {available}"
    );
    for name in [
        "Buffers",
        "Cached",
        "SwapTotal",
        "SwapFree",
        "Active",
        "Inactive",
        "AnonPages",
        "Mapped",
        "Shmem",
    ] {
        check!(value(name)? < 1 << 50, "{name}");
    }
    let mut info = crate::sys::zeroed::<libc::sysinfo>();
    sys!(SYS_sysinfo, &mut info)?;
    check_eq!(info.totalram * u64::from(info.mem_unit) / 1024, total);
    check!(info.procs > 0 && info.uptime > 0);
    errno_is!(sys!(SYS_sysinfo, 8), EFAULT);
    Ok(())
}

fn processors() -> Outcome {
    let text = read("/proc/cpuinfo")?;
    let count = text
        .lines()
        .filter(|line| line.starts_with("processor\t"))
        .count();
    let mut mask = [0_u64; 16];
    let len = sys!(SYS_sched_getaffinity, 0, 128, &mut mask)?;
    check!((8..=128).contains(&len));
    let allowed: u32 = mask.iter().map(|word| word.count_ones()).sum();
    check!(
        count as u32 >= allowed && allowed > 0,
        "{count} processors, {allowed} allowed"
    );
    for name in [
        "vendor_id",
        "model name",
        "cpu MHz",
        "flags",
        "cache size",
        "siblings",
        "cpu cores",
        "bogomips",
    ] {
        check!(
            text.lines().any(|line| line.starts_with(name)),
            "{name} is missing"
        );
    }
    check!(
        text.lines()
            .any(|line| line.starts_with("flags") && line.contains(" sse2 "))
    );
    Ok(())
}

fn machine_stat_uptime_and_load() -> Outcome {
    let stat = read("/proc/stat")?;
    let first = words(stat.lines().next().unwrap_or_default());
    check!(first[0] == "cpu" && first.len() == 11, "{first:?}");
    for name in [
        "cpu0 ",
        "intr ",
        "ctxt ",
        "btime ",
        "processes ",
        "procs_running ",
        "procs_blocked ",
        "softirq ",
    ] {
        check!(
            stat.lines().any(|line| line.starts_with(name)),
            "{name} is missing"
        );
    }
    let uptime =
        || -> Result<f64, Failure> { Ok(words(&read("/proc/uptime")?)[0].parse().unwrap_or(-1.0)) };
    let before = uptime()?;
    time::sleep_ms(30);
    check!(uptime()? > before && before > 0.0);
    let load = words(&read("/proc/loadavg")?);
    check!(
        load.len() == 5
            && load[..3].iter().all(|word| word.parse::<f32>().is_ok())
            && load[3].contains('/'),
        "{load:?}"
    );
    Ok(())
}

fn version_and_kernel_settings() -> Outcome {
    let mut name = crate::sys::zeroed::<libc::utsname>();
    sys!(SYS_uname, &mut name)?;
    let text = |chars: &[libc::c_char]| -> String {
        chars
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| *byte as u8 as char)
            .collect()
    };
    check_eq!(
        (text(&name.sysname), text(&name.machine)),
        ("Linux".to_owned(), "x86_64".to_owned())
    );
    check_eq!(
        read("/proc/sys/kernel/osrelease")?.trim(),
        text(&name.release)
    );
    check_eq!(
        read("/proc/sys/kernel/hostname")?.trim(),
        text(&name.nodename)
    );
    check_eq!(
        read("/proc/sys/kernel/version")?.trim(),
        text(&name.version)
    );
    check_eq!(read("/proc/sys/kernel/ostype")?.trim(), "Linux");
    check!(read("/proc/version")?.starts_with(&format!("Linux version {} ", text(&name.release))));
    for (path, least) in [
        ("kernel/pid_max", 1000_u64),
        ("kernel/threads-max", 10),
        ("kernel/cap_last_cap", 30),
        ("kernel/ngroups_max", 65536),
        ("fs/file-max", 100),
        ("fs/nr_open", 1024),
        ("fs/pipe-max-size", 4096),
        ("vm/max_map_count", 1000),
        ("vm/overcommit_memory", 0),
        ("vm/swappiness", 0),
        ("kernel/shmmax", 1 << 20),
    ] {
        let value = read(&format!("/proc/sys/{path}"))?;
        check!(
            value
                .trim()
                .parse::<u64>()
                .is_ok_and(|value| value >= least),
            "{path} is {value:?}"
        );
    }
    Ok(())
}

fn filesystems() -> Outcome {
    let text = read("/proc/filesystems")?;
    for name in ["proc", "tmpfs", "sysfs", "devpts"] {
        check!(
            text.lines().any(|line| line == format!("nodev\t{name}")),
            "{name} is missing"
        );
    }
    Ok(())
}

fn process_list() -> Outcome {
    let child = process::fork_sleeper()?;
    let mut pids: Vec<i32> = Vec::new();
    for entry in std::fs::read_dir("/proc")?.filter_map(Result::ok) {
        pids.extend(entry.file_name().to_string_lossy().parse::<i32>());
    }
    check!(
        pids.contains(&1) && pids.contains(&process::getpid()) && pids.contains(&child.pid),
        "{pids:?}"
    );
    check!(pids.windows(2).all(|pair| pair[0] < pair[1]), "{pids:?}");
    Ok(())
}

fn other_processes_are_there() -> Outcome {
    let mut child = process::fork_sleeper()?;
    check_eq!(stat_words(child.pid)?[1], process::getpid().to_string());
    check!(time::wait_until(
        || stat_words(child.pid).is_ok_and(|fields| fields[0] == "S")
    ));
    child.kill(libc::SIGSTOP)?;
    check!(time::wait_until(
        || stat_words(child.pid).is_ok_and(|fields| fields[0] == "T")
    ));
    check_eq!(
        field(&format!("/proc/{}/status", child.pid), "State")?,
        "T (stopped)"
    );
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    Ok(())
}

fn gone_processes_are_enoent() -> Outcome {
    let mut child = process::fork_sleeper()?;
    let path = format!("/proc/{}/stat", child.pid);
    let opened = fd::open(&file::cstring(&path), libc::O_RDONLY, 0)?;
    let dir = fd::open(
        &file::cstring(&format!("/proc/{}", child.pid)),
        libc::O_RDONLY,
        0,
    )?;
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    errno_is!(opened.read(100), ESRCH);
    errno_is!(fd::open(&file::cstring(&path), libc::O_RDONLY, 0), ENOENT);
    errno_is!(sys!(SYS_openat, &dir, c"stat", libc::O_RDONLY), ESRCH);
    errno_is!(file::stat(c"/proc/4000000"), ENOENT);
    errno_is!(file::stat(c"/proc/none"), ENOENT);
    Ok(())
}

fn children_and_wchan() -> Outcome {
    let (one, two) = (process::fork_sleeper()?, process::fork_sleeper()?);
    let pid = process::getpid();
    let mut children: Vec<i32> = words(&read(&format!("/proc/self/task/{pid}/children"))?)
        .iter()
        .filter_map(|word| word.parse().ok())
        .collect();
    children.sort_unstable();
    let mut expected = [one.pid, two.pid];
    expected.sort_unstable();
    check_eq!(children, expected);
    check_eq!(read("/proc/self/wchan")?, "0");
    Ok(())
}

fn auxv_and_personality() -> Outcome {
    let bytes = std::fs::read("/proc/self/auxv")?;
    check!(bytes.len() % 16 == 0 && bytes.ends_with(&[0; 16]));
    let page: [u8; 16] = {
        let mut pair = [0_u8; 16];
        pair[0] = libc::AT_PAGESZ as u8;
        pair[9] = 0x10;
        pair
    };
    check!(bytes.chunks_exact(16).any(|pair| pair == page));
    check_eq!(read("/proc/self/personality")?, "00000000\n");
    check_eq!(sys!(SYS_personality, 0xffff_ffff_u64)?, 0);
    Ok(())
}

fn mem_reads_and_writes() -> Outcome {
    let memory = Map::anonymous(PAGE)?;
    memory.fill(10, b"secret");
    let opened = fd::open(c"/proc/self/mem", libc::O_RDWR, 0)?;
    check_eq!(opened.pread(6, memory.addr() as i64 + 10)?, b"secret");
    // Writing goes past the protection.
    sys!(SYS_mprotect, &memory, PAGE, libc::PROT_READ)?;
    opened.pwrite(b"SECRET", memory.addr() as i64 + 10)?;
    check_eq!(memory.bytes(10, 6), b"SECRET");
    errno_is!(opened.pread(6, 8), EIO);
    Ok(())
}

fn pagemap_tells_presence() -> Outcome {
    let memory = Map::anonymous(2 * PAGE)?;
    memory.set(0, 1);
    let opened = fd::open(c"/proc/self/pagemap", libc::O_RDONLY, 0)?;
    let bytes = opened.pread(8, (memory.addr() / PAGE * 8) as i64)?;
    check_eq!(bytes.get(7).map(|byte| byte & 0x80), Some(0x80));
    Ok(())
}

fn score_of_the_oom_killer() -> Outcome {
    check!(read("/proc/self/oom_score")?.trim().parse::<i32>().is_ok());
    let before = read("/proc/self/oom_score_adj")?;
    check!(before.trim().parse::<i32>().is_ok());
    fd::open(c"/proc/self/oom_score_adj", libc::O_WRONLY, 0)?.write(b"500")?;
    check_eq!(read("/proc/self/oom_score_adj")?, "500\n");
    errno_is!(
        fd::open(c"/proc/self/oom_score_adj", libc::O_WRONLY, 0)?.write(b"2000"),
        EINVAL
    );
    Ok(())
}

fn directories_are_read_only() -> Outcome {
    match fd::open(c"/proc/new-file", libc::O_CREAT | libc::O_RDWR, 0o600) {
        Ok(_) => fail!("a file was created in /proc"),
        Err(error) => check!(
            [libc::ENOENT, libc::EACCES, libc::EPERM].contains(&error.errno),
            "{error}"
        ),
    }
    errno_is!(
        fd::open(c"/proc/self/stat", libc::O_RDONLY | libc::O_DIRECTORY, 0),
        ENOTDIR
    );
    check!(sys!(SYS_unlink, c"/proc/version").is_err());
    check!(sys!(SYS_mkdir, c"/proc/dir", 0o700).is_err());
    check_eq!(file::stat(c"/proc/self/stat")?.st_size, 0);
    check_eq!(
        file::stat(c"/proc/self/stat")?.st_mode,
        libc::S_IFREG | 0o444
    );
    Ok(())
}

fn uid_map_is_readable() -> Outcome {
    let map = words(&read("/proc/self/uid_map")?);
    check!(map.len() >= 3 && map.len().is_multiple_of(3), "{map:?}");
    check_eq!(map[0], "0");
    check!(["allow\n", "deny\n"].contains(&read("/proc/self/setgroups")?.as_str()));
    check_eq!(words(&read("/proc/self/gid_map")?).len() % 3, 0);
    Ok(())
}

fn net_files() -> Outcome {
    let dev = read("/proc/net/dev")?;
    check!(
        dev.lines().any(|line| line.trim_start().starts_with("lo:")),
        "{dev}"
    );
    for name in ["tcp", "udp", "unix", "route", "tcp6", "if_inet6"] {
        let path = format!("/proc/net/{name}");
        check!(
            name.ends_with('6') || !read(&path)?.is_empty(),
            "{path} is empty"
        );
    }
    let (left, _right) = fd::socketpair(libc::SOCK_STREAM)?;
    let inode = left.stat()?.st_ino.to_string();
    check!(
        read("/proc/net/unix")?
            .lines()
            .any(|line| words(line).get(6) == Some(&inode))
    );
    Ok(())
}

fn random_settings() -> Outcome {
    let one = read("/proc/sys/kernel/random/uuid")?;
    check!(
        one.len() == 37
            && one.matches('-').count() == 4
            && one != read("/proc/sys/kernel/random/uuid")?,
        "{one}"
    );
    check_eq!(
        read("/proc/sys/kernel/random/boot_id")?,
        read("/proc/sys/kernel/random/boot_id")?
    );
    check!(
        read("/proc/sys/kernel/random/entropy_avail")?
            .trim()
            .parse::<u32>()
            .is_ok()
    );
    Ok(())
}

fn permission_of_another_users_files() -> Outcome {
    let child = process::fork_sleeper()?;
    process::in_child(|| {
        crate::support::creds::become_user(1000, 1000)?;
        let open = |name: &str| {
            fd::open(
                &file::cstring(&format!("/proc/{}/{name}", child.pid)),
                libc::O_RDONLY,
                0,
            )
        };
        open("stat")?;
        open("status")?;
        open("cmdline")?;
        errno_is!(open("environ"), EACCES);
        errno_is!(open("mem"), EACCES);
        errno_is!(open("fd"), EACCES);
        let link = file::cstring(&format!("/proc/{}/exe", child.pid));
        errno_is!(sys!(SYS_readlink, &link, &mut [0_u8; 10], 10), EACCES);
        Ok(())
    })
}

fn sysfs_cpu_topology() -> Outcome {
    let text = |name: &str| read(&format!("/sys/devices/system/cpu/{name}"));
    check!(
        text("online")?.starts_with('0')
            && text("possible")?.starts_with('0')
            && text("present")?.starts_with('0')
    );
    check!(file::stat(c"/sys/devices/system/cpu/cpu0").is_ok());
    check_eq!(
        text("cpu0/topology/core_id")?.trim().parse::<u32>().is_ok(),
        true
    );
    check!(read("/sys/devices/system/node/online")?.starts_with('0'));
    Ok(())
}

fn io_and_sched() -> Outcome {
    let opened = TempDir::new()?.open_file("f", b"")?;
    let written =
        || -> Result<u64, Failure> { Ok(field("/proc/self/io", "wchar")?.parse().unwrap_or(0)) };
    let before = written()?;
    opened.write(&[0; 1000])?;
    check!(written()? >= before + 1000);
    check_eq!(words(&read("/proc/self/schedstat")?).len(), 3);
    check!(
        read("/proc/self/cgroup")?
            .lines()
            .all(|line| line.split(':').count() >= 3)
    );
    Ok(())
}
