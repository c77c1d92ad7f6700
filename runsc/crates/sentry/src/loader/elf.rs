//! Mapping an ELF program and its interpreter.

use std::ops::Range;
use std::sync::Arc;

use abi::elf::{self, Header, ProgramHeader};
use abi::{Errno, PAGE_SIZE};
use mm::AddressSpace;
use mm::address_space::{Backing, MapAt, MapRequest, MmLimits};
use platform::Access;
use zerocopy::{FromBytes, IntoBytes};

use super::{Loader, read_at};
use crate::error::Result;
use crate::vfs::file::OpenFile;

/// Linux refuses more program headers than fit 64 KiB.
const MAX_HEADERS: usize = 65536 / size_of::<ProgramHeader>();

/// A program in place.
#[derive(Debug)]
pub(super) struct Mapped {
    /// Where to start: the interpreter's entry, or the program's own.
    pub(super) start: usize,
    /// The program's own entry (`AT_ENTRY`).
    pub(super) entry: usize,
    /// Where its program headers are in memory (`AT_PHDR`), and how many.
    pub(super) headers: usize,
    pub(super) header_count: usize,
    /// Where the interpreter is (`AT_BASE`), 0 without one.
    pub(super) base: usize,
    /// The heap's start.
    pub(super) brk: usize,
    pub(super) code: Range<usize>,
    pub(super) data: Range<usize>,
    /// `PT_GNU_STACK` asks for an executable stack.
    pub(super) executable_stack: bool,
}

/// An ELF file whose headers have been read and checked.
struct Program {
    file: Arc<OpenFile>,
    header: Header,
    segments: Vec<ProgramHeader>,
}

/// Where a program was put.
struct Placed {
    bias: usize,
    code: Range<usize>,
    data: Range<usize>,
    end: usize,
}

/// Maps the program and the interpreter that it names.
pub(super) fn map_program(
    loader: &Loader<'_>,
    mm: &AddressSpace,
    file: &Arc<OpenFile>,
    limits: &MmLimits,
) -> Result<Mapped> {
    let program = read_program(loader, file)?;
    let interpreter = read_interpreter(loader, &program)?;
    let placed = place(loader, mm, &program, limits, interpreter.is_some())?;
    let entry = address(program.header.entry, placed.bias)?;
    let mut mapped = Mapped {
        start: entry,
        entry,
        headers: headers_address(&program, placed.bias)?,
        header_count: program.segments.len(),
        base: 0,
        brk: random_brk(placed.end),
        code: placed.code,
        data: placed.data,
        executable_stack: program
            .segments
            .iter()
            .any(|segment| segment.kind == elf::PT_GNU_STACK && segment.flags & elf::PF_X != 0),
    };
    if let Some(interpreter) = interpreter {
        let placed = place(loader, mm, &interpreter, limits, false)?;
        mapped.base = placed.bias;
        mapped.start = address(interpreter.header.entry, placed.bias)?;
    }
    Ok(mapped)
}

fn address(vaddr: u64, bias: usize) -> Result<usize> {
    let vaddr = usize::try_from(vaddr).map_err(|_| Errno::ENOEXEC)?;
    vaddr.checked_add(bias).ok_or(Errno::ENOEXEC)
}

fn read_program(loader: &Loader<'_>, file: &Arc<OpenFile>) -> Result<Program> {
    let mut bytes = [0; size_of::<Header>()];
    if read_at(loader.task, file, 0, &mut bytes)? < bytes.len() {
        return Err(Errno::ENOEXEC);
    }
    let header = Header::read_from_bytes(&bytes).map_err(|_| Errno::ENOEXEC)?;
    check_header(&header)?;
    let count = usize::from(header.phnum);
    let mut segments = vec![zeroed_header(); count];
    let wanted = segments.as_mut_bytes();
    if read_at(loader.task, file, header.phoff, wanted)? < wanted.len() {
        return Err(Errno::ENOEXEC);
    }
    Ok(Program {
        file: file.clone(),
        header,
        segments,
    })
}

fn check_header(header: &Header) -> Result<()> {
    let ours = header.ident[..4] == elf::MAGIC
        && header.ident[4] == elf::CLASS_64
        && header.ident[5] == elf::LITTLE_ENDIAN
        && header.machine == elf::MACHINE_X86_64
        && matches!(header.file_type, elf::TYPE_EXECUTABLE | elf::TYPE_DYNAMIC)
        && usize::from(header.phentsize) == size_of::<ProgramHeader>()
        && (1..=MAX_HEADERS).contains(&usize::from(header.phnum));
    if ours { Ok(()) } else { Err(Errno::ENOEXEC) }
}

fn read_interpreter(loader: &Loader<'_>, program: &Program) -> Result<Option<Program>> {
    let Some(segment) = program
        .segments
        .iter()
        .find(|segment| segment.kind == elf::PT_INTERP)
    else {
        return Ok(None);
    };
    let len = usize::try_from(segment.filesz).map_err(|_| Errno::ENOEXEC)?;
    if !(2..=PAGE_SIZE).contains(&len) {
        return Err(Errno::ENOEXEC);
    }
    let mut path = vec![0; len];
    if read_at(loader.task, &program.file, segment.offset, &mut path)? < len
        || path.pop() != Some(0)
    {
        return Err(Errno::ENOEXEC);
    }
    let file = crate::kernel::exec::open_executable(
        loader.task,
        None,
        &path,
        crate::vfs::walk::WalkFlags::FOLLOW,
    )?;
    // An interpreter that is no ELF file is ELIBBAD, as on Linux.
    read_program(loader, &file).map(Some).map_err(|errno| {
        if errno == Errno::ENOEXEC {
            Errno::ELIBBAD
        } else {
            errno
        }
    })
}

/// The page-aligned range of addresses that the segments take, before the bias.
fn span(program: &Program) -> Result<Range<usize>> {
    let mut span = Range {
        start: usize::MAX,
        end: 0,
    };
    for segment in loadable(program) {
        let start = usize::try_from(segment.vaddr).map_err(|_| Errno::ENOEXEC)?;
        let len = usize::try_from(segment.memsz).map_err(|_| Errno::ENOEXEC)?;
        let end = start.checked_add(len).ok_or(Errno::ENOEXEC)?;
        span = span.start.min(page_floor(start))..span.end.max(page_ceil(end)?);
    }
    if span.start < span.end {
        Ok(span)
    } else {
        Err(Errno::ENOEXEC)
    }
}

fn loadable(program: &Program) -> impl Iterator<Item = &ProgramHeader> {
    program
        .segments
        .iter()
        .filter(|segment| segment.kind == elf::PT_LOAD)
}

fn page_floor(address: usize) -> usize {
    address & !(PAGE_SIZE - 1)
}

fn page_ceil(address: usize) -> Result<usize> {
    Ok(page_floor(
        address.checked_add(PAGE_SIZE - 1).ok_or(Errno::ENOMEM)?,
    ))
}

/// Maps every segment; a program that can go anywhere goes where there is room.
fn place(
    loader: &Loader<'_>,
    mm: &AddressSpace,
    program: &Program,
    limits: &MmLimits,
    is_main_with_interpreter: bool,
) -> Result<Placed> {
    let span = span(program)?;
    let bias = if program.header.file_type == elf::TYPE_DYNAMIC {
        let hint = if is_main_with_interpreter {
            pie_hint(loader)
        } else {
            0
        };
        let at = reserve(mm, hint, span.end - span.start, limits)?;
        at.wrapping_sub(span.start)
    } else {
        0
    };
    let mut placed = Placed {
        bias,
        code: Range {
            start: usize::MAX,
            end: 0,
        },
        data: Range {
            start: usize::MAX,
            end: 0,
        },
        end: span.end.wrapping_add(bias),
    };
    for segment in loadable(program) {
        map_segment(mm, program, segment, &mut placed, limits)?;
    }
    Ok(placed)
}

/// Two thirds up the address space, plus up to 4 GiB at random: where Linux puts programs that can go
/// anywhere and have an interpreter (`ELF_ET_DYN_BASE`).
fn pie_hint(loader: &Loader<'_>) -> usize {
    let top = loader.platform.limits().user_range.end;
    let random = usize::try_from(u32::from_le_bytes(super::random())).unwrap_or(0);
    page_floor(top / 3 * 2 + random)
}

/// Up to 32 MiB above the program's end, as Linux randomises the heap.
fn random_brk(end: usize) -> usize {
    let random = usize::from(u16::from_le_bytes(super::random()) & 0x1fff);
    end.saturating_add(random * PAGE_SIZE)
}

/// Finds room for the whole span; the segments are then mapped into it at fixed addresses.
fn reserve(mm: &AddressSpace, hint: usize, len: usize, limits: &MmLimits) -> Result<usize> {
    let request = MapRequest {
        at: MapAt::Hint(hint),
        len,
        access: Access::empty(),
        ..anonymous()
    };
    let at = mm.map(&request, limits)?;
    mm.unmap(at, len)?;
    Ok(at)
}

fn anonymous() -> MapRequest {
    MapRequest {
        at: MapAt::Hint(0),
        len: 0,
        access: Access::empty(),
        max_access: Access::all(),
        private: true,
        backing: Backing::Anonymous,
        grows_down: false,
        locked: false,
        no_reserve: false,
        populate: false,
        stack: false,
    }
}

fn map_segment(
    mm: &AddressSpace,
    program: &Program,
    segment: &ProgramHeader,
    placed: &mut Placed,
    limits: &MmLimits,
) -> Result<()> {
    let access = segment_access(segment.flags);
    let start = address(segment.vaddr, placed.bias)?;
    let file_end = start
        .checked_add(len(segment.filesz)?)
        .ok_or(Errno::ENOEXEC)?;
    let end = start
        .checked_add(len(segment.memsz)?)
        .ok_or(Errno::ENOEXEC)?;
    let in_page = start - page_floor(start);
    if segment.filesz > segment.memsz || segment.offset % PAGE_SIZE as u64 != in_page as u64 {
        return Err(Errno::ENOEXEC);
    }
    if segment.filesz > 0 {
        let backing = Backing::File {
            mappable: program.file.file().mappable().map_err(|_| Errno::ENOEXEC)?,
            offset: segment.offset - in_page as u64,
            open: Some(program.file.clone()),
        };
        let at = MapAt::Fixed(page_floor(start));
        let len = file_end - page_floor(start);
        mm.map(
            &MapRequest {
                at,
                len,
                access,
                backing,
                ..anonymous()
            },
            limits,
        )?;
    }
    map_zeros(mm, access, file_end, end, segment.filesz > 0, limits)?;
    let range = if access.contains(Access::EXECUTE) {
        &mut placed.code
    } else {
        &mut placed.data
    };
    *range = range.start.min(start)..range.end.max(file_end);
    Ok(())
}

fn len(bytes: u64) -> Result<usize> {
    usize::try_from(bytes).map_err(|_| Errno::ENOEXEC)
}

/// What lies behind a segment's file content: zeros in its last page, then anonymous pages.
fn map_zeros(
    mm: &AddressSpace,
    access: Access,
    from: usize,
    end: usize,
    has_file_page: bool,
    limits: &MmLimits,
) -> Result<()> {
    let mut anonymous_from = page_floor(from);
    if has_file_page {
        let page_end = page_ceil(from)?;
        if access.contains(Access::WRITE) && from < page_end && end > from {
            mm.write_bytes(from, &vec![0; page_end - from])?;
        }
        anonymous_from = page_end;
    }
    if anonymous_from >= end {
        return Ok(());
    }
    let request = MapRequest {
        at: MapAt::Fixed(anonymous_from),
        len: end - anonymous_from,
        access,
        ..anonymous()
    };
    mm.map(&request, limits).map(|_| ())
}

fn segment_access(flags: u32) -> Access {
    let mut access = Access::empty();
    access.set(Access::READ, flags & elf::PF_R != 0);
    access.set(Access::WRITE, flags & elf::PF_W != 0);
    access.set(Access::EXECUTE, flags & elf::PF_X != 0);
    access
}

/// Where the program headers are in memory: `PT_PHDR`, or the first segment that holds them.
fn headers_address(program: &Program, bias: usize) -> Result<usize> {
    let header = &program.header;
    if let Some(segment) = program
        .segments
        .iter()
        .find(|segment| segment.kind == elf::PT_PHDR)
    {
        return address(segment.vaddr, bias);
    }
    let holds = |segment: &&ProgramHeader| {
        segment.offset <= header.phoff && header.phoff - segment.offset < segment.filesz
    };
    loadable(program).find(holds).map_or(Ok(0), |segment| {
        address(
            segment.vaddr.wrapping_add(header.phoff - segment.offset),
            bias,
        )
    })
}

fn zeroed_header() -> ProgramHeader {
    zerocopy::FromZeros::new_zeroed()
}
