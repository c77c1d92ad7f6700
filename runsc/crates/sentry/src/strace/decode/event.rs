//! What `poll(2)`, `select(2)` and `epoll(7)` wait for.

use abi::poll::{EpollEvent, PollFd};

use crate::strace::names;
use crate::strace::printer::{Printer, low, put, size};

/// Before `poll(2)`: what is asked for.
pub(crate) fn poll_fds(p: &mut Printer<'_>, _n: usize) {
    let count = size(u64::from(p.arg32(1)));
    p.array(p.address(0), count, |p, entry: PollFd| {
        put!(p, "{{fd={}, events=", entry.fd);
        p.flags(&names::file::POLL, u64::from(entry.events));
        p.text("}");
    });
}

/// After `poll(2)`: the number of descriptors, and which they are.
pub(crate) fn polled(p: &mut Printer<'_>, ready: u64) {
    put!(p, "{ready}");
    if ready == 0 {
        return p.text(" (Timeout)");
    }
    let count = size(u64::from(p.arg32(1))).min(1024);
    let mut shown = Vec::new();
    for index in 0..count {
        let at = p.address(0).wrapping_add(index * size_of::<PollFd>());
        let Some(entry) = p.peek::<PollFd>(at) else {
            break;
        };
        if entry.revents != 0 {
            let events = names::file::POLL.flags(u64::from(entry.revents));
            shown.push(format!("{{fd={}, revents={events}}}", entry.fd));
        }
    }
    put!(p, " ([{}])", shown.join(", "));
}

fn set_text(p: &Printer<'_>, n: usize) -> Option<String> {
    let count = size(u64::from(p.arg32(0))).min(1024);
    let address = p.address(n);
    if address == 0 {
        return None;
    }
    let bytes = p.bytes(address, count.div_ceil(64) * 8);
    let members: Vec<String> = (0..count)
        .filter(|fd| {
            bytes
                .get(fd / 8)
                .is_some_and(|byte| byte >> (fd % 8) & 1 == 1)
        })
        .map(|fd| fd.to_string())
        .collect();
    Some(format!("[{}]", members.join(" ")))
}

/// A set of descriptors before `select(2)`.
pub(crate) fn fd_set(p: &mut Printer<'_>, n: usize) {
    let text = set_text(p, n).unwrap_or_else(|| "NULL".to_owned());
    p.text(&text);
}

/// After `select(2)`: how many are ready, and which.
pub(crate) fn selected(p: &mut Printer<'_>, ready: u64) {
    put!(p, "{ready}");
    if ready == 0 {
        return p.text(" (Timeout)");
    }
    let sets: Vec<String> = [(1, "in"), (2, "out"), (3, "except")]
        .into_iter()
        .filter_map(|(n, name)| Some(format!("{name} {}", set_text(p, n)?)))
        .filter(|text| !text.ends_with("[]"))
        .collect();
    put!(p, " ({})", sets.join(", "));
}

fn print_event(p: &mut Printer<'_>, event: EpollEvent) {
    let (events, data) = (event.events, event.data);
    p.text("{events=");
    p.flags(&names::file::EPOLL, u64::from(events));
    put!(p, ", data={{u32={}, u64={data}}}}}", low(data));
}

pub(crate) fn epoll_event(p: &mut Printer<'_>, address: usize) {
    if let Some(event) = p.value(address) {
        print_event(p, event);
    }
}

/// What `epoll_wait(2)` returned.
pub(crate) fn epoll_events(p: &mut Printer<'_>, n: usize) {
    match p.result() {
        Some(count) => p.array(p.address(n), size(count), print_event),
        None => p.pointer(p.arg(n)),
    }
}
