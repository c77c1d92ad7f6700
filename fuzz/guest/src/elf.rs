//! Damaged programs: ELF files and `#!` lines, executed in children, which may fail or die of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::dice::Dice;

/// The program that is damaged, which ends at once if it is whole.
const WHOLE: &str = "/fuzz-guest";
/// Where the damaged one is written.
const DAMAGED: &str = "elf";
/// The size of the file header and of a program header.
const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;

/// Damages and executes programs until this process is killed.
pub(crate) fn run(dice: &mut Dice) {
    let Ok(whole) = fs::read(WHOLE) else { return };
    loop {
        crate::supervisor::beat();
        let bytes = match dice.below(4) {
            0 => script(dice),
            1 => tiny(dice),
            _ => damage(whole.clone(), dice),
        };
        // A program that runs is not written to (ETXTBSY): it gets a new file each time.
        let _ = fs::remove_file(DAMAGED);
        if fs::write(DAMAGED, bytes).is_ok() {
            execute(Path::new(DAMAGED));
        }
    }
}

/// Executes it for a moment.
fn execute(path: &Path) {
    // Without permission it fails, which is one of the outcomes.
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o755));
    let child = Command::new(format!("./{}", path.display()))
        .arg("ping")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return };
    for _ in 0..50 {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // It may end by itself just now.
    let _ = child.kill();
    let _ = child.wait();
}

/// Changes one to four fields of the headers, or cuts the file.
fn damage(mut bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    for _ in 0..=dice.below(4) {
        let at = field(&bytes, dice);
        let value = value(bytes.len() as u64, dice).to_le_bytes();
        let len = *dice.pick(&[1_usize, 2, 4, 8]).unwrap_or(&1);
        if let Some(to) = bytes.get_mut(at..at + len) {
            to.copy_from_slice(value.get(..len).unwrap_or_default());
        }
    }
    if dice.one_in(8) {
        let len = dice.below(bytes.len() as u64);
        let len = if dice.one_in(2) { len } else { len % 1200 };
        bytes.truncate(usize::try_from(len).unwrap_or(0));
    }
    bytes
}

/// Where a field begins: in the file header, in a program header, or in what the program headers point to.
fn field(bytes: &[u8], dice: &mut Dice) -> usize {
    let table = usize::from(u8::MAX) + 1;
    match dice.below(8) {
        0 | 1 => index(dice, HEADER_BYTES),
        7 => index(dice, bytes.len()),
        6 => HEADER_BYTES + index(dice, table * 4),
        _ => {
            let nr = usize::from(bytes.get(56).copied().unwrap_or(1));
            let header = HEADER_BYTES + index(dice, nr.max(1)) * PROGRAM_HEADER_BYTES;
            // Its fields begin at these places (elf(5)).
            header + dice.pick(&[0, 4, 8, 16, 24, 32, 40, 48]).unwrap_or(&0)
        }
    }
}

fn index(dice: &mut Dice, len: usize) -> usize {
    usize::try_from(dice.below(len as u64)).unwrap_or(0)
}

/// Numbers at the limits of what loaders check.
fn value(len: u64, dice: &mut Dice) -> u64 {
    let edges = [
        0,
        1,
        2,
        3,
        6,
        7,
        0x1000,
        0xfff,
        0x1001,
        len,
        len + 1,
        len - 1,
        0x6474_e551,
        0x6474_e552,
        0x6474_e553,
        0x7fff_ffff_f000,
        0x7fff_ffff_ffff,
        0x8000_0000_0000,
        0xffff_ffff_ffff_f000,
        u64::MAX,
        1 << 63,
        1 << 31,
        0xffff_ffff,
        0x40_0000,
    ];
    match dice.below(4) {
        0 => dice.next(),
        1 => 1 << dice.below(64),
        _ => dice.pick(&edges).copied().unwrap_or(0),
    }
}

/// A file header and program headers made of nothing but plausible numbers.
fn tiny(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let kind: u16 = if dice.one_in(2) { 2 } else { 3 };
    let nr: u16 = u16::try_from(dice.below(12)).unwrap_or(0);
    bytes.extend(kind.to_le_bytes());
    bytes.extend(62_u16.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for word in [0x40_0100_u64, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, nr, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for _ in 0..nr {
        program_header(&mut bytes, dice);
    }
    bytes.extend(b"/fuzz-guest\0");
    bytes.resize(
        bytes.len() + usize::try_from(dice.below(9000)).unwrap_or(0),
        0x90,
    );
    bytes
}

fn program_header(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let kinds = [1_u32, 1, 1, 1, 2, 3, 4, 6, 7, 0x6474_e551, 0x6474_e553];
    let kind = dice.pick(&kinds).copied().unwrap_or(1);
    bytes.extend(kind.to_le_bytes());
    bytes.extend(u32::try_from(dice.below(8)).unwrap_or(0).to_le_bytes());
    let page = dice.below(16) * 0x1000;
    let offset = dice.below(3) * 0x1000;
    let small = dice.below(0x3000);
    let size = if dice.one_in(6) {
        value(4096, dice)
    } else {
        dice.below(0x3000)
    };
    let align = if dice.one_in(6) {
        value(4096, dice)
    } else {
        0x1000
    };
    for word in [offset, 0x40_0000 + page, 0, small, size.max(small), align] {
        bytes.extend(word.to_le_bytes());
    }
}

/// A `#!` line at the limits.
fn script(dice: &mut Dice) -> Vec<u8> {
    let interpreters: [&[u8]; 10] = [
        b"/fuzz-guest",
        b"./elf",
        b"/dev/null",
        b"",
        b"   \t ",
        b"/no/such",
        b"d",
        b"/proc/self/exe",
        b"\0",
        b"/fuzz-guest ping  x\ty",
    ];
    let mut bytes = b"#!".to_vec();
    bytes.extend(dice.pick(&interpreters).copied().unwrap_or_default());
    let filler = usize::try_from(dice.below(600)).unwrap_or(0);
    bytes.resize(bytes.len() + filler, *dice.pick(b" x/\n").unwrap_or(&b' '));
    if dice.one_in(2) {
        bytes.push(b'\n');
    }
    bytes
}
