//! `/proc/[pid]/maps` and `smaps`: the areas of an address space as texts (`man 5 proc_pid_maps`).

use std::fmt::Write as _;
use std::ops::Range;

use abi::PAGE_SIZE;
use mm::AddressSpace;
use mm::report::Resident;
use mm::vma::{Vma, VmaFlags, VmaName};
use platform::Access;

use crate::kernel::task::Task;
use crate::vfs::file::OpenFile;

/// Column at which names start in `/proc/[pid]/maps`.
const NAME_COLUMN: usize = 73;

/// `/proc/[pid]/maps` as `viewer` sees it.
pub(super) fn maps_text(mm: &AddressSpace, viewer: &Task) -> Vec<u8> {
    let mut text = Vec::new();
    for (range, vma) in mm.vmas() {
        text.extend(maps_line(&range, &vma, viewer));
    }
    text
}

/// `/proc/[pid]/smaps` as `viewer` sees it.
pub(super) fn smaps_text(mm: &AddressSpace, viewer: &Task) -> Vec<u8> {
    let mut text = Vec::new();
    for (range, vma) in mm.vmas() {
        let resident = mm.resident(&range);
        text.extend(maps_line(&range, &vma, viewer));
        text.extend(smaps_lines(range.len(), &vma, &resident).into_bytes());
    }
    text
}

/// `/proc/[pid]/smaps_rollup`: the sums of what `smaps` tells of each area.
pub(super) fn smaps_rollup_text(mm: &AddressSpace) -> Vec<u8> {
    let mut sums: Vec<(&'static str, usize)> = Vec::new();
    let (mut start, mut end) = (usize::MAX, 0);
    for (range, vma) in mm.vmas() {
        let resident = mm.resident(&range);
        let fields = smaps_fields(&vma, &resident);
        start = start.min(range.start);
        end = end.max(range.end);
        if sums.is_empty() {
            sums.extend(fields);
        } else {
            for (sum, (_, bytes)) in sums.iter_mut().zip(fields) {
                sum.1 += bytes;
            }
        }
    }
    let mut text = format!("{:08x}-{end:08x} ---p 00000000 00:00 0 ", start.min(end));
    let _ = writeln!(
        text,
        "{:>width$}",
        "[rollup]",
        width = NAME_COLUMN + 8 - text.len()
    );
    write_fields(&mut text, &sums);
    text.into_bytes()
}

/// One line of `/proc/[pid]/maps`.
fn maps_line(range: &Range<usize>, vma: &Vma, viewer: &Task) -> Vec<u8> {
    let mark = |access, letter| {
        if vma.access.contains(access) {
            letter
        } else {
            '-'
        }
    };
    let sharing = if vma.flags.contains(VmaFlags::SHARED) {
        's'
    } else {
        'p'
    };
    let (offset, device_and_inode, name) = origin(vma, viewer);
    let mut line = format!(
        "{:08x}-{:08x} {}{}{}{sharing} {offset:08x} {device_and_inode} ",
        range.start,
        range.end,
        mark(Access::READ, 'r'),
        mark(Access::WRITE, 'w'),
        mark(Access::EXECUTE, 'x'),
    )
    .into_bytes();
    if !name.is_empty() {
        line.resize(line.len().max(NAME_COLUMN), b' ');
        // A newline in a name would start a line of its own.
        for byte in name {
            if byte == b'\n' {
                line.extend(b"\\012");
            } else {
                line.push(byte);
            }
        }
    }
    line.push(b'\n');
    line
}

/// Offset, device and inode, and name of what an area maps.
fn origin(vma: &Vma, viewer: &Task) -> (u64, String, Vec<u8>) {
    let none = || "00:00 0".to_owned();
    let special = match &vma.name {
        VmaName::None => None,
        VmaName::Heap => Some(b"[heap]".to_vec()),
        VmaName::Stack => Some(b"[stack]".to_vec()),
        VmaName::Special(name) => Some(name.as_bytes().to_vec()),
        VmaName::Anonymous(name) => Some([b"[anon:", &name[..], b"]"].concat()),
    };
    if let Some(name) = special {
        return (0, none(), name);
    }
    let Some(file) = &vma.file else {
        return (0, none(), Vec::new());
    };
    let open = file.file.as_ref();
    if let Some(open) = open.and_then(|open| open.downcast_ref::<OpenFile>()) {
        let device = open.inode().file_system().device();
        let ino = open.inode().attr().map_or(0, |attr| attr.ino);
        let text = format!("{:02x}:{:02x} {ino}", device.major, device.minor);
        return (file.offset, text, open.path().text(viewer));
    }
    // "device inode name"
    let description = file.mappable.describe().unwrap_or_else(none);
    let mut parts = description.splitn(3, ' ');
    let device_and_inode = [parts.next().unwrap_or("00:00"), parts.next().unwrap_or("0")].join(" ");
    (
        file.offset,
        device_and_inode,
        parts.next().unwrap_or("").as_bytes().to_vec(),
    )
}

/// What `/proc/[pid]/smaps` has below the line of `maps`.
fn smaps_lines(len: usize, vma: &Vma, resident: &Resident) -> String {
    let mut text = String::new();
    let sizes = [
        ("Size", len),
        ("KernelPageSize", PAGE_SIZE),
        ("MMUPageSize", PAGE_SIZE),
    ];
    write_fields(&mut text, &sizes);
    write_fields(&mut text, &smaps_fields(vma, resident));
    let _ = writeln!(text, "THPeligible:           0");
    let _ = writeln!(text, "VmFlags: {}", vm_flags(vma));
    text
}

fn write_fields(text: &mut String, fields: &[(&'static str, usize)]) {
    for (name, bytes) in fields {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:<16}{:>8} kB", format!("{name}:"), bytes >> 10);
    }
}

fn smaps_fields(vma: &Vma, resident: &Resident) -> [(&'static str, usize); 19] {
    let rss = resident.anonymous + resident.file + resident.shared_memory;
    let shared = resident.shared.min(rss);
    let private = rss - shared;
    let dirty = |bytes: usize| if resident.file > 0 { 0 } else { bytes };
    let locked = if vma.flags.contains(VmaFlags::LOCKED) {
        rss
    } else {
        0
    };
    [
        ("Rss", rss),
        ("Pss", private + shared / 2),
        ("Pss_Dirty", dirty(private + shared / 2)),
        ("Shared_Clean", shared - dirty(shared)),
        ("Shared_Dirty", dirty(shared)),
        ("Private_Clean", private - dirty(private)),
        ("Private_Dirty", dirty(private)),
        ("Referenced", rss),
        ("Anonymous", resident.anonymous),
        ("KSM", 0),
        ("LazyFree", 0),
        ("AnonHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FilePmdMapped", 0),
        ("Shared_Hugetlb", 0),
        ("Private_Hugetlb", 0),
        ("Swap", 0),
        ("SwapPss", 0),
        ("Locked", locked),
    ]
}

fn vm_flags(vma: &Vma) -> String {
    let has = |flag| vma.flags.contains(flag);
    let flags = [
        (vma.access.contains(Access::READ), "rd "),
        (vma.access.contains(Access::WRITE), "wr "),
        (vma.access.contains(Access::EXECUTE), "ex "),
        (has(VmaFlags::SHARED), "sh "),
        (has(VmaFlags::MAY_READ), "mr "),
        (has(VmaFlags::MAY_WRITE), "mw "),
        (has(VmaFlags::MAY_EXEC), "me "),
        (has(VmaFlags::SHARED | VmaFlags::MAY_WRITE), "ms "),
        (has(VmaFlags::GROWS_DOWN), "gd "),
        (has(VmaFlags::LOCKED), "lo "),
        (has(VmaFlags::SEQUENTIAL), "sr "),
        (has(VmaFlags::RANDOM), "rr "),
        (has(VmaFlags::DONT_FORK), "dc "),
        (has(VmaFlags::SPECIAL), "de "),
        (
            vma.is_private() && vma.access.contains(Access::WRITE) && !has(VmaFlags::NORESERVE),
            "ac ",
        ),
        (has(VmaFlags::NORESERVE), "nr "),
        (has(VmaFlags::WIPE_ON_FORK), "wf "),
        (has(VmaFlags::DONT_DUMP), "dd "),
        (has(VmaFlags::HUGE_PAGE), "hg "),
        (has(VmaFlags::NO_HUGE_PAGE), "nh "),
        (has(VmaFlags::MERGEABLE), "mg "),
    ];
    flags
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, text)| text)
        .collect()
}
