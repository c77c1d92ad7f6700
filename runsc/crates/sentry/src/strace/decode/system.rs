//! What the kernel says of itself: `uname(2)`, `sysinfo(2)`.

use crate::strace::printer::{Printer, put};

/// `struct new_utsname`: six fields of 65 bytes.
pub(crate) fn utsname(p: &mut Printer<'_>, address: usize) {
    const NAMES: [&str; 6] = [
        "sysname",
        "nodename",
        "release",
        "version",
        "machine",
        "domainname",
    ];
    let Some(fields) = p.value::<[[u8; 65]; 6]>(address) else {
        return;
    };
    p.text("{");
    for (index, (name, field)) in NAMES.iter().zip(fields).enumerate() {
        p.text(if index > 0 { ", " } else { "" });
        put!(p, "{name}=");
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(65);
        p.quoted(&field[..end]);
    }
    p.text("}");
}

pub(crate) fn sysinfo(p: &mut Printer<'_>, address: usize) {
    let Some(words) = p.value::<[u64; 14]>(address) else {
        return;
    };
    let [
        up,
        l1,
        l2,
        l3,
        total,
        free,
        shared,
        buffers,
        swap,
        free_swap,
        procs,
        high,
        free_high,
        unit,
    ] = words;
    put!(
        p,
        "{{uptime={up}, loads=[{l1}, {l2}, {l3}], totalram={total}, freeram={free}, sharedram={shared}, \
         bufferram={buffers}, totalswap={swap}, freeswap={free_swap}, procs={}, totalhigh={high}, \
         freehigh={free_high}, mem_unit={}}}",
        procs & 0xffff,
        unit & 0xffff_ffff
    );
}
