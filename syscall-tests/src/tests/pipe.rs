//! pipe(2), fifo(7), splice(2), tee(2), sendfile(2), `copy_file_range(2)`.

use crate::case::Outcome;
use crate::support::fd::{self, Fd};
use crate::support::file::{self, TempDir};
use crate::support::{process, signal, time};
use crate::sys::SysResult;

cases!(
    bytes_come_out_in_order,
    end_of_file_when_all_writers_are_gone,
    nonblocking_ends_are_eagain,
    flags_of_pipe2,
    capacity_is_sixteen_pages,
    small_writes_are_atomic,
    nonblocking_write_of_up_to_a_page_is_all_or_nothing,
    write_without_reader_is_epipe,
    resizing,
    resizing_limits,
    fionread_counts,
    packet_mode,
    blocked_writer_continues,
    poll_of_both_ends,
    fifo_open_blocks_for_the_other_end,
    fifo_read_write_never_blocks,
    fifo_has_no_reader_left,
    reopened_through_proc,
    splice_between_pipe_and_file,
    splice_errors,
    tee_duplicates,
    vmsplice_copies_in_and_out,
    sendfile_from_a_file,
    sendfile_errors,
    copy_file_range_copies,
    copy_file_range_errors,
    many_processes_write_to_one_pipe,
    pipe_status_is_a_fifo,
);

fn bytes_come_out_in_order() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    writer.write(b"one")?;
    writer.write(b"two")?;
    check_eq!(reader.read(2)?, b"on");
    check_eq!(reader.read(10)?, b"etwo");
    check_eq!(sys!(SYS_write, &writer, 0, 0)?, 0);
    errno_is!(reader.write(b"x"), EBADF);
    errno_is!(writer.read(1), EBADF);
    Ok(())
}

fn end_of_file_when_all_writers_are_gone() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let copy = Fd::own(sys!(SYS_dup, &writer)?);
    writer.write(b"x")?;
    drop(writer);
    check_eq!(reader.read(5)?, b"x");
    check_eq!(fd::poll_one(&reader, libc::POLLIN, 0)?, 0);
    drop(copy);
    check_eq!(reader.read(5)?, b"");
    check_eq!(fd::poll_one(&reader, libc::POLLIN, 0)?, libc::POLLHUP);
    Ok(())
}

fn nonblocking_ends_are_eagain() -> Outcome {
    let (reader, writer) = fd::pipe(libc::O_NONBLOCK)?;
    errno_is!(reader.read(1), EAGAIN);
    let mut total = 0;
    while let Ok(done) = writer.write(&[0; 4096]) {
        total += done;
    }
    check_eq!(total, 65536);
    errno_is!(writer.write(b"x"), EAGAIN);
    Ok(())
}

fn flags_of_pipe2() -> Outcome {
    let (reader, writer) = fd::pipe(libc::O_CLOEXEC | libc::O_NONBLOCK)?;
    for (end, access) in [(&reader, libc::O_RDONLY), (&writer, libc::O_WRONLY)] {
        check_eq!(sys!(SYS_fcntl, end, libc::F_GETFD)?, 1);
        check_eq!(fd::status_flags(end)?, access | libc::O_NONBLOCK);
    }
    errno_is!(fd::pipe(libc::O_TRUNC), EINVAL);
    errno_is!(sys!(SYS_pipe2, 8, 0), EFAULT);
    // Nothing is left open after a bad address.
    check_eq!(fd::pipe(0)?.0.number(), writer.number() + 1);
    Ok(())
}

fn capacity_is_sixteen_pages() -> Outcome {
    let (_reader, writer) = fd::pipe(libc::O_NONBLOCK)?;
    check_eq!(sys!(SYS_fcntl, &writer, libc::F_GETPIPE_SZ)?, 65536);
    check_eq!(writer.write(&vec![0; 100_000])?, 65536);
    Ok(())
}

fn small_writes_are_atomic() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let mut children = Vec::new();
    for letter in b"abcd" {
        children.push(process::fork(|| {
            for _ in 0..50 {
                let _ = writer.write(&[*letter; 3000]);
            }
            0
        })?);
    }
    drop(writer);
    let mut all = Vec::new();
    loop {
        let piece = reader.read(65536)?;
        if piece.is_empty() {
            break;
        }
        all.extend(piece);
    }
    check_eq!(all.len(), 4 * 50 * 3000);
    check!(
        all.chunks(3000)
            .all(|block| block.iter().all(|byte| *byte == block[0])),
        "writes were mixed"
    );
    for mut child in children {
        child.wait()?;
    }
    Ok(())
}

fn nonblocking_write_of_up_to_a_page_is_all_or_nothing() -> Outcome {
    let (reader, writer) = fd::pipe(libc::O_NONBLOCK)?;
    writer.write(&vec![0; 65536 - 4096])?;
    writer.write(&[1; 100])?;
    errno_is!(writer.write(&[2; 4096]), EAGAIN);
    // A larger write may be partial.
    reader.read(4096)?;
    check!(writer.write(&[3; 10_000])? < 10_000);
    Ok(())
}

fn write_without_reader_is_epipe() -> Outcome {
    signal::handle(libc::SIGPIPE, signal::record, 0)?;
    let (reader, writer) = fd::pipe(0)?;
    drop(reader);
    errno_is!(writer.write(b"x"), EPIPE);
    check_eq!(signal::seen_numbers(), [libc::SIGPIPE]);
    signal::set_disposition(libc::SIGPIPE, libc::SIG_IGN)?;
    errno_is!(writer.write(b"x"), EPIPE);
    check_eq!(
        fd::poll_one(&writer, libc::POLLOUT, 0)?,
        libc::POLLOUT | libc::POLLERR
    );
    Ok(())
}

fn resize(end: &Fd, size: u64) -> SysResult {
    sys!(SYS_fcntl, end, libc::F_SETPIPE_SZ, size)
}

fn resizing() -> Outcome {
    let (reader, writer) = fd::pipe(libc::O_NONBLOCK)?;
    for (asked, given) in [
        (0, 4096),
        (1, 4096),
        (4096, 4096),
        (4097, 8192),
        (100_000, 131_072),
        (1 << 20, 1 << 20),
    ] {
        check_eq!(resize(&writer, asked)?, given);
        check_eq!(sys!(SYS_fcntl, &reader, libc::F_GETPIPE_SZ)?, given);
    }
    check_eq!(writer.write(&vec![7; 1 << 20])?, 1 << 20);
    errno_is!(resize(&reader, 4096), EBUSY);
    check_eq!(reader.read(1 << 20)?.len(), 1 << 20);
    check_eq!(resize(&reader, 4096)?, 4096);
    Ok(())
}

fn resizing_limits() -> Outcome {
    let (reader, _writer) = fd::pipe(0)?;
    errno_is!(resize(&reader, 0xffff_ffff), EINVAL);
    let file = TempDir::new()?.open_file("f", b"")?;
    errno_is!(sys!(SYS_fcntl, &file, libc::F_GETPIPE_SZ), EBADF);
    process::in_child(|| {
        crate::support::creds::become_user(1000, 1000)?;
        errno_is!(resize(&reader, 2 << 20), EPERM);
        Ok(())
    })
}

fn fionread_counts() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let mut count = 0_i32;
    sys!(SYS_ioctl, &reader, libc::FIONREAD, &mut count)?;
    check_eq!(count, 0);
    writer.write(&[0; 5000])?;
    sys!(SYS_ioctl, &writer, libc::FIONREAD, &mut count)?;
    check_eq!(count, 5000);
    Ok(())
}

/// pipe(2), `O_DIRECT`: each write is a packet; what does not fit the buffer of a read is lost.
fn packet_mode() -> Outcome {
    let (reader, writer) = fd::pipe(libc::O_DIRECT)?;
    writer.write(b"first")?;
    writer.write(b"second")?;
    check_eq!(reader.read(100)?, b"first");
    check_eq!(reader.read(3)?, b"sec");
    writer.write(b"third")?;
    check_eq!(reader.read(100)?, b"third");
    Ok(())
}

fn blocked_writer_continues() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let mut child = process::fork(|| {
        i32::from(
            writer
                .write(&vec![b'w'; 300_000])
                .is_ok_and(|done| done == 300_000),
        )
    })?;
    drop(writer);
    let mut total = 0;
    loop {
        let piece = reader.read(10_000)?;
        if piece.is_empty() {
            break;
        }
        total += piece.len();
    }
    check_eq!((total, child.wait()?.code()), (300_000, Some(1)));
    Ok(())
}

fn poll_of_both_ends() -> Outcome {
    let (reader, writer) = fd::pipe(libc::O_NONBLOCK)?;
    check_eq!(fd::poll_one(&reader, libc::POLLIN | libc::POLLOUT, 0)?, 0);
    check_eq!(
        fd::poll_one(&writer, libc::POLLIN | libc::POLLOUT, 0)?,
        libc::POLLOUT
    );
    writer.write(&vec![0; 65536])?;
    check_eq!(fd::poll_one(&writer, libc::POLLOUT, 0)?, 0);
    check_eq!(fd::poll_one(&reader, libc::POLLIN, 0)?, libc::POLLIN);
    reader.read(4095)?;
    check_eq!(fd::poll_one(&writer, libc::POLLOUT, 0)?, 0);
    reader.read(1)?;
    check_eq!(fd::poll_one(&writer, libc::POLLOUT, 0)?, libc::POLLOUT);
    Ok(())
}

fn fifo_open_blocks_for_the_other_end() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.join("fifo");
    sys!(SYS_mknod, &path, libc::S_IFIFO | 0o600, 0)?;
    let mut child = process::fork(|| {
        time::sleep_ms(50);
        let Ok(writer) = fd::open(&path, libc::O_WRONLY, 0) else {
            return 1;
        };
        i32::from(writer.write(b"hello").is_err())
    })?;
    let start = time::monotonic_ns();
    let reader = fd::open(&path, libc::O_RDONLY, 0)?;
    check!(time::monotonic_ns() - start >= 40 * time::MS);
    check_eq!(reader.read_all()?, b"hello");
    check_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

fn fifo_read_write_never_blocks() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.join("fifo");
    sys!(SYS_mknod, &path, libc::S_IFIFO | 0o600, 0)?;
    let both = fd::open(&path, libc::O_RDWR, 0)?;
    both.write(b"loop")?;
    check_eq!(both.read(10)?, b"loop");
    check_eq!(both.stat()?.st_mode & libc::S_IFMT, libc::S_IFIFO);
    Ok(())
}

fn fifo_has_no_reader_left() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.join("fifo");
    sys!(SYS_mknod, &path, libc::S_IFIFO | 0o600, 0)?;
    signal::set_disposition(libc::SIGPIPE, libc::SIG_IGN)?;
    let reader = fd::open(&path, libc::O_RDONLY | libc::O_NONBLOCK, 0)?;
    // No writer yet: end of file.
    check_eq!(reader.read(1)?, b"");
    let writer = fd::open(&path, libc::O_WRONLY, 0)?;
    errno_is!(reader.read(1), EAGAIN);
    writer.write(b"kept")?;
    drop(reader);
    errno_is!(writer.write(b"x"), EPIPE);
    // A new reader of the same fifo finds what was not read.
    let again = fd::open(&path, libc::O_RDONLY | libc::O_NONBLOCK, 0)?;
    check_eq!(again.read(10)?, b"kept");
    drop((again, writer));
    // With both ends closed the contents are gone.
    let fresh = fd::open(&path, libc::O_RDWR | libc::O_NONBLOCK, 0)?;
    errno_is!(fresh.read(1), EAGAIN);
    Ok(())
}

fn reopened_through_proc() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let path = file::cstring(&format!("/proc/self/fd/{}", reader.number()));
    let other = fd::open(&path, libc::O_WRONLY, 0)?;
    other.write(b"in")?;
    writer.write(b"out")?;
    check_eq!(reader.read(10)?, b"inout");
    let link = std::fs::read_link(format!("/proc/self/fd/{}", reader.number()))?;
    check_eq!(
        link.to_string_lossy(),
        format!("pipe:[{}]", reader.stat()?.st_ino)
    );
    Ok(())
}

fn splice_between_pipe_and_file() -> Outcome {
    let dir = TempDir::new()?;
    let (source, target) = (dir.open_file("a", b"0123456789")?, dir.open_file("b", b"")?);
    let (reader, writer) = fd::pipe(0)?;
    let mut offset = 2_i64;
    check_eq!(
        sys!(SYS_splice, &source, &raw mut offset, &writer, 0, 5, 0)?,
        5
    );
    check_eq!((offset, source.seek(0, libc::SEEK_CUR)?), (7, 0));
    check_eq!(sys!(SYS_splice, &reader, 0, &target, 0, 100, 0)?, 5);
    check_eq!(target.pread(10, 0)?, b"23456");
    // Pipe to pipe.
    let (reader2, writer2) = fd::pipe(0)?;
    writer.write(b"through")?;
    check_eq!(sys!(SYS_splice, &reader, 0, &writer2, 0, 4, 0)?, 4);
    check_eq!(
        (reader2.read(10)?, reader.read(10)?),
        (b"thro".to_vec(), b"ugh".to_vec())
    );
    Ok(())
}

fn splice_errors() -> Outcome {
    let dir = TempDir::new()?;
    let (one, two) = (dir.open_file("a", b"0123456789")?, dir.open_file("b", b"")?);
    let (reader, writer) = fd::pipe(libc::O_NONBLOCK)?;
    let offset = 0_i64;
    errno_is!(sys!(SYS_splice, &one, 0, &two, 0, 5, 0), EINVAL);
    errno_is!(sys!(SYS_splice, &reader, &offset, &two, 0, 5, 0), ESPIPE);
    errno_is!(sys!(SYS_splice, &one, 0, &reader, 0, 5, 0), EBADF);
    errno_is!(sys!(SYS_splice, &reader, 0, &writer, 0, 5, 0), EINVAL);
    errno_is!(
        sys!(SYS_splice, &reader, 0, &two, 0, 5, libc::SPLICE_F_NONBLOCK),
        EAGAIN
    );
    check_eq!(sys!(SYS_splice, &one, 0, &writer, 0, 0, 0)?, 0);
    let append = fd::open(&dir.join("b"), libc::O_WRONLY | libc::O_APPEND, 0)?;
    writer.write(b"x")?;
    errno_is!(sys!(SYS_splice, &reader, 0, &append, 0, 5, 0), EINVAL);
    Ok(())
}

fn tee_duplicates() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let (reader2, writer2) = fd::pipe(0)?;
    writer.write(b"twice")?;
    check_eq!(sys!(SYS_tee, &reader, &writer2, 100, 0)?, 5);
    check_eq!(
        (reader.read(10)?, reader2.read(10)?),
        (b"twice".to_vec(), b"twice".to_vec())
    );
    let file = TempDir::new()?.open_file("f", b"")?;
    errno_is!(sys!(SYS_tee, &file, &writer2, 10, 0), EINVAL);
    errno_is!(sys!(SYS_tee, &reader, &writer, 10, 0), EINVAL);
    errno_is!(
        sys!(SYS_tee, &reader, &writer2, 10, libc::SPLICE_F_NONBLOCK),
        EAGAIN
    );
    Ok(())
}

fn vmsplice_copies_in_and_out() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let mut bytes = *b"user pages";
    let piece = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: 10,
    };
    check_eq!(sys!(SYS_vmsplice, &writer, &piece, 1, 0)?, 10);
    check_eq!(reader.read(20)?, b"user pages");
    writer.write(b"back again")?;
    check_eq!(sys!(SYS_vmsplice, &reader, &piece, 1, 0)?, 10);
    check_eq!(&bytes, b"back again");
    let file = TempDir::new()?.open_file("f", b"")?;
    errno_is!(sys!(SYS_vmsplice, &file, &piece, 1, 0), EBADF);
    Ok(())
}

fn sendfile_from_a_file() -> Outcome {
    let dir = TempDir::new()?;
    let (source, target) = (
        dir.open_file("a", &vec![b's'; 200_000])?,
        dir.open_file("b", b"")?,
    );
    check_eq!(sys!(SYS_sendfile, &target, &source, 0, 150_000)?, 150_000);
    check_eq!(source.seek(0, libc::SEEK_CUR)?, 150_000);
    let mut offset = 199_990_i64;
    check_eq!(sys!(SYS_sendfile, &target, &source, &mut offset, 100)?, 10);
    check_eq!(
        (
            offset,
            source.seek(0, libc::SEEK_CUR)?,
            target.stat()?.st_size
        ),
        (200_000, 150_000, 150_010)
    );
    check_eq!(sys!(SYS_sendfile, &target, &source, &mut offset, 100)?, 0);
    let (left, right) = fd::socketpair(libc::SOCK_STREAM)?;
    offset = 0;
    check_eq!(sys!(SYS_sendfile, &left, &source, &mut offset, 100)?, 100);
    check_eq!(right.read(200)?.len(), 100);
    Ok(())
}

fn sendfile_errors() -> Outcome {
    let dir = TempDir::new()?;
    let (source, target) = (dir.open_file("a", b"x")?, dir.open_file("b", b"")?);
    let (reader, writer) = fd::pipe(0)?;
    errno_is!(sys!(SYS_sendfile, &target, 800, 0, 1), EBADF);
    errno_is!(sys!(SYS_sendfile, 800, &source, 0, 1), EBADF);
    errno_is!(sys!(SYS_sendfile, &target, &source, 8, 1), EFAULT);
    let negative = -1_i64;
    errno_is!(sys!(SYS_sendfile, &target, &source, &negative, 1), EINVAL);
    let append = fd::open(&dir.join("b"), libc::O_WRONLY | libc::O_APPEND, 0)?;
    errno_is!(sys!(SYS_sendfile, &append, &source, 0, 1), EINVAL);
    let offset = 0_i64;
    errno_is!(sys!(SYS_sendfile, &writer, &reader, &offset, 1), ESPIPE);
    Ok(())
}

fn copy_file_range_copies() -> Outcome {
    let dir = TempDir::new()?;
    let (source, target) = (dir.open_file("a", b"0123456789")?, dir.open_file("b", b"")?);
    let (mut from, mut to) = (2_i64, 4_i64);
    check_eq!(
        sys!(
            SYS_copy_file_range,
            &source,
            &mut from,
            &target,
            &mut to,
            5,
            0
        )?,
        5
    );
    check_eq!((from, to), (7, 9));
    check_eq!(target.pread(20, 0)?, b"\0\0\0\x0023456");
    check_eq!(sys!(SYS_copy_file_range, &source, 0, &target, 0, 3, 0)?, 3);
    check_eq!(target.pread(20, 0)?, b"012\x0023456");
    from = 10;
    check_eq!(
        sys!(SYS_copy_file_range, &source, &mut from, &target, 0, 3, 0)?,
        0
    );
    Ok(())
}

fn copy_file_range_errors() -> Outcome {
    let dir = TempDir::new()?;
    let (source, target) = (dir.open_file("a", b"0123456789")?, dir.open_file("b", b"")?);
    let (reader, writer) = fd::pipe(0)?;
    errno_is!(
        sys!(SYS_copy_file_range, &source, 0, &target, 0, 1, 1),
        EINVAL
    );
    errno_is!(
        sys!(SYS_copy_file_range, &reader, 0, &target, 0, 1, 0),
        EINVAL
    );
    errno_is!(
        sys!(SYS_copy_file_range, &source, 0, &writer, 0, 1, 0),
        EINVAL
    );
    errno_is!(
        sys!(SYS_copy_file_range, &dir.open()?, 0, &target, 0, 1, 0),
        EISDIR
    );
    let read_only = fd::open(&dir.join("b"), libc::O_RDONLY, 0)?;
    errno_is!(
        sys!(SYS_copy_file_range, &source, 0, &read_only, 0, 1, 0),
        EBADF
    );
    let append = fd::open(&dir.join("b"), libc::O_WRONLY | libc::O_APPEND, 0)?;
    errno_is!(
        sys!(SYS_copy_file_range, &source, 0, &append, 0, 1, 0),
        EBADF
    );
    // Ranges of one file must not overlap.
    let (from, to) = (0_i64, 3_i64);
    errno_is!(
        sys!(SYS_copy_file_range, &source, &from, &source, &to, 5, 0),
        EINVAL
    );
    Ok(())
}

fn many_processes_write_to_one_pipe() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let mut children = Vec::new();
    for index in 0..30_u8 {
        children.push(process::fork(|| {
            i32::from(writer.write(&[index]).is_err())
        })?);
    }
    drop(writer);
    let mut all = Vec::new();
    while all.len() < 30 {
        let piece = reader.read(30)?;
        check!(!piece.is_empty());
        all.extend(piece);
    }
    all.sort_unstable();
    check_eq!(all, (0..30).collect::<Vec<u8>>());
    for mut child in children {
        check_eq!(child.wait()?.code(), Some(0));
    }
    Ok(())
}

fn pipe_status_is_a_fifo() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let (one, two) = (reader.stat()?, writer.stat()?);
    check_eq!(
        (one.st_mode, one.st_ino, one.st_dev),
        (libc::S_IFIFO | 0o600, two.st_ino, two.st_dev)
    );
    errno_is!(reader.truncate(0), EINVAL);
    errno_is!(sys!(SYS_fsync, &reader), EINVAL);
    Ok(())
}
