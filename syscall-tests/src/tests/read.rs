//! read(2), write(2), pread64(2), readv(2), lseek(2) and relatives.

use crate::case::Outcome;
use crate::support::fd;
use crate::support::file::TempDir;
use crate::support::map::{self, Map};

cases!(
    regular_file_up_to_its_end,
    write_only_descriptor_is_ebadf,
    read_only_descriptor_refuses_write,
    closed_descriptor_is_ebadf,
    directory_is_eisdir,
    bad_address_is_efault,
    write_stops_at_the_first_bad_page,
    zero_length_read_of_bad_address_succeeds,
    negative_offset_is_einval,
    pread_leaves_the_offset,
    pipe_refuses_pread,
    readv_fills_the_pieces_in_order,
    readv_of_too_many_pieces_is_einval,
    writev_appends_with_o_append,
    pwrite_with_o_append_appends,
    preadv2_at_minus_one_uses_the_offset,
    preadv2_rejects_unknown_flags,
    lseek_errors,
    lseek_past_the_end_makes_a_hole,
    null_device_is_at_its_beginning_wherever_it_came_from,
    shared_offset_after_dup_and_fork,
    write_past_file_size_limit_is_efbig,
    huge_count_is_cut,
);

fn regular_file_up_to_its_end() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    check_eq!(file.read(3)?, b"hel");
    check_eq!(file.read(100)?, b"lo");
    check_eq!(file.read(100)?, b"");
    Ok(())
}

fn write_only_descriptor_is_ebadf() -> Outcome {
    let dir = TempDir::new()?;
    let file = fd::open(&dir.file("f", b"x")?, libc::O_WRONLY, 0)?;
    errno_is!(file.read(1), EBADF);
    errno_is!(file.pread(1, 0), EBADF);
    Ok(())
}

fn read_only_descriptor_refuses_write() -> Outcome {
    let dir = TempDir::new()?;
    let file = fd::open(&dir.file("f", b"x")?, libc::O_RDONLY, 0)?;
    errno_is!(file.write(b"y"), EBADF);
    errno_is!(file.truncate(0), EINVAL);
    Ok(())
}

fn closed_descriptor_is_ebadf() -> Outcome {
    let mut byte = 0_u8;
    errno_is!(sys!(SYS_read, -1, &mut byte, 1), EBADF);
    errno_is!(sys!(SYS_read, 800, &mut byte, 1), EBADF);
    errno_is!(sys!(SYS_write, i32::MAX, &byte, 1), EBADF);
    errno_is!(sys!(SYS_close, 800), EBADF);
    Ok(())
}

fn directory_is_eisdir() -> Outcome {
    let dir = TempDir::new()?.open()?;
    errno_is!(dir.read(1), EISDIR);
    errno_is!(dir.write(b"x"), EBADF);
    Ok(())
}

fn bad_address_is_efault() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    errno_is!(sys!(SYS_read, &file, 8, 5), EFAULT);
    errno_is!(sys!(SYS_read, &file, -1_i64, 5), EFAULT);
    errno_is!(sys!(SYS_write, &file, 8, 5), EFAULT);
    check_eq!(file.seek(0, libc::SEEK_CUR)?, 0);
    Ok(())
}

fn write_stops_at_the_first_bad_page() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    let memory = Map::anonymous(2 * map::PAGE)?;
    memory.fill(map::PAGE - 4, b"abcd");
    sys!(SYS_munmap, memory.addr() + map::PAGE, map::PAGE)?;
    let done = sys!(SYS_write, &writer, memory.addr() + map::PAGE - 4, 100);
    // Linux writes what it can reach or fails; a page that is there is never skipped over.
    match done {
        Ok(done) => {
            check_eq!(done, 4);
            check_eq!(reader.read(100)?, b"abcd");
        }
        Err(error) => check_eq!(error.errno, libc::EFAULT),
    }
    Ok(())
}

fn zero_length_read_of_bad_address_succeeds() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    check_eq!(sys!(SYS_read, &file, 0, 0)?, 0);
    check_eq!(sys!(SYS_write, &file, 0, 0)?, 0);
    Ok(())
}

fn negative_offset_is_einval() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    errno_is!(file.pread(1, -1), EINVAL);
    errno_is!(file.pwrite(b"x", -1), EINVAL);
    Ok(())
}

fn pread_leaves_the_offset() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    check_eq!(file.pread(2, 3)?, b"lo");
    check_eq!(file.pwrite(b"J", 0)?, 1);
    check_eq!(file.pread(5, 100)?, b"");
    check_eq!(file.read(5)?, b"Jello");
    Ok(())
}

fn pipe_refuses_pread() -> Outcome {
    let (reader, writer) = fd::pipe(0)?;
    errno_is!(reader.pread(1, 0), ESPIPE);
    errno_is!(writer.pwrite(b"x", 0), ESPIPE);
    errno_is!(reader.seek(0, libc::SEEK_SET), ESPIPE);
    Ok(())
}

fn iovec(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}

fn readv_fills_the_pieces_in_order() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello world")?;
    let (mut first, mut second) = ([0_u8; 5], [0_u8; 10]);
    let pieces = [iovec(&mut first), iovec(&mut []), iovec(&mut second)];
    check_eq!(sys!(SYS_readv, &file, &pieces, 3)?, 11);
    check_eq!(&first, b"hello");
    check_eq!(&second[..6], b" world");
    check_eq!(sys!(SYS_readv, &file, &pieces, 0)?, 0);
    Ok(())
}

fn readv_of_too_many_pieces_is_einval() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    let mut byte = [0_u8; 1];
    let pieces = vec![iovec(&mut byte); 1025];
    errno_is!(sys!(SYS_readv, &file, pieces.as_slice(), 1025), EINVAL);
    errno_is!(sys!(SYS_readv, &file, pieces.as_slice(), -1), EINVAL);
    let negative = [libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: usize::MAX,
    }];
    errno_is!(sys!(SYS_readv, &file, &negative, 1), EINVAL);
    check_eq!(sys!(SYS_readv, &file, pieces.as_slice(), 1024)?, 5);
    Ok(())
}

fn writev_appends_with_o_append() -> Outcome {
    let dir = TempDir::new()?;
    let path = dir.file("f", b"one")?;
    let file = fd::open(&path, libc::O_RDWR | libc::O_APPEND, 0)?;
    let (mut first, mut second) = (*b"two", *b"three");
    let pieces = [iovec(&mut first), iovec(&mut second)];
    check_eq!(sys!(SYS_writev, &file, &pieces, 2)?, 8);
    check_eq!(file.pread(100, 0)?, b"onetwothree");
    check_eq!(file.seek(0, libc::SEEK_CUR)?, 11);
    Ok(())
}

/// pwrite(2), BUGS: with `O_APPEND` the data goes to the end whatever the offset.
fn pwrite_with_o_append_appends() -> Outcome {
    let dir = TempDir::new()?;
    let file = fd::open(&dir.file("f", b"one")?, libc::O_RDWR | libc::O_APPEND, 0)?;
    check_eq!(file.pwrite(b"two", 0)?, 3);
    check_eq!(file.pread(100, 0)?, b"onetwo");
    Ok(())
}

fn preadv2_at_minus_one_uses_the_offset() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    let mut bytes = [0_u8; 2];
    let pieces = [iovec(&mut bytes)];
    check_eq!(sys!(SYS_preadv2, &file, &pieces, 1, -1_i64, -1_i64, 0)?, 2);
    check_eq!(sys!(SYS_preadv2, &file, &pieces, 1, -1_i64, -1_i64, 0)?, 2);
    check_eq!(&bytes, b"ll");
    check_eq!(sys!(SYS_preadv2, &file, &pieces, 1, 0, 0, 0)?, 2);
    check_eq!(&bytes, b"he");
    check_eq!(file.seek(0, libc::SEEK_CUR)?, 4);
    check_eq!(
        sys!(SYS_pwritev2, &file, &pieces, 1, 0, 0, libc::RWF_APPEND)?,
        2
    );
    check_eq!(file.pread(10, 0)?, b"hellohe");
    Ok(())
}

fn preadv2_rejects_unknown_flags() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    let mut bytes = [0_u8; 2];
    let pieces = [iovec(&mut bytes)];
    errno_is!(
        sys!(SYS_preadv2, &file, &pieces, 1, 0, 0, 0x4000_0000),
        EOPNOTSUPP
    );
    errno_is!(
        sys!(SYS_preadv2, &file, &pieces, 1, -2_i64, -1_i64, 0),
        EINVAL
    );
    Ok(())
}

fn lseek_errors() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    errno_is!(file.seek(-1, libc::SEEK_SET), EINVAL);
    errno_is!(file.seek(-6, libc::SEEK_END), EINVAL);
    errno_is!(file.seek(0, 99), EINVAL);
    check_eq!(file.seek(-2, libc::SEEK_END)?, 3);
    check_eq!(file.seek(1, libc::SEEK_CUR)?, 4);
    errno_is!(file.seek(-5, libc::SEEK_CUR), EINVAL);
    check_eq!(file.seek(0, libc::SEEK_CUR)?, 4);
    Ok(())
}

fn lseek_past_the_end_makes_a_hole() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"ab")?;
    check_eq!(file.seek(10, libc::SEEK_SET)?, 10);
    check_eq!(file.read(1)?, b"");
    file.write(b"z")?;
    check_eq!(file.pread(20, 0)?, b"ab\0\0\0\0\0\0\0\0z");
    check_eq!(file.stat()?.st_size, 11);
    Ok(())
}

/// One that is opened here, and standard input if it is one.
fn null_device_is_at_its_beginning_wherever_it_came_from() -> Outcome {
    let here = fd::open(c"/dev/null", libc::O_RDWR, 0)?;
    let inherited = fd::Fd::own(sys!(SYS_dup, 0)?);
    let device = inherited.stat()?;
    let is_null =
        device.st_mode & libc::S_IFMT == libc::S_IFCHR && device.st_rdev == libc::makedev(1, 3);
    for null in std::iter::once(here).chain(is_null.then_some(inherited)) {
        check_eq!(null.seek(5, libc::SEEK_SET)?, 0);
        check_eq!(null.seek(0, libc::SEEK_CUR)?, 0);
        check_eq!(null.read(4)?, b"");
    }
    Ok(())
}

fn shared_offset_after_dup_and_fork() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    let copy = fd::Fd::own(sys!(SYS_dup, &file)?);
    check_eq!(copy.read(2)?, b"he");
    let status = crate::support::process::status_of(|| {
        i32::from(file.read(1).is_ok_and(|byte| byte == b"l"))
    })?;
    check_eq!(status.code(), Some(1));
    check_eq!(file.read(10)?, b"lo");
    Ok(())
}

fn write_past_file_size_limit_is_efbig() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"")?;
    let limit = libc::rlimit {
        rlim_cur: 10,
        rlim_max: libc::RLIM_INFINITY,
    };
    sys!(SYS_prlimit64, 0, libc::RLIMIT_FSIZE, &limit, 0)?;
    crate::support::signal::handle(libc::SIGXFSZ, crate::support::signal::record, 0)?;
    check_eq!(file.write(b"0123456789abcdef")?, 10);
    errno_is!(file.write(b"x"), EFBIG);
    check_eq!(crate::support::signal::seen_numbers(), [libc::SIGXFSZ]);
    errno_is!(file.truncate(11), EFBIG);
    check_eq!(file.stat()?.st_size, 10);
    Ok(())
}

fn huge_count_is_cut() -> Outcome {
    let file = TempDir::new()?.open_file("f", b"hello")?;
    let memory = Map::anonymous(map::PAGE)?;
    // The count is cut to 0x7ffff000; the file has five bytes, so the rest of the range is never touched.
    check_eq!(sys!(SYS_read, &file, &memory, 0x7fff_ffff_u64)?, 5);
    check_eq!(memory.bytes(0, 5), b"hello");
    Ok(())
}
