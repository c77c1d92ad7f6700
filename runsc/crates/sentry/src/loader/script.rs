//! Scripts: the `#!` line (`man 2 execve`, *Interpreter scripts*).

use abi::Errno;

use crate::error::Result;

/// What a `#!` line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// The interpreter's path.
    pub(super) path: Vec<u8>,
    /// All that follows, as one argument.
    pub(super) argument: Option<Vec<u8>>,
}

/// The interpreter that the head of a file names; none if it is not a script. ENOEXEC: a `#!` line without a
/// path, or one cut off within its path.
pub(super) fn interpreter(head: &[u8]) -> Result<Option<Interpreter>> {
    let Some(rest) = head.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let end = rest.iter().position(|byte| *byte == b'\n');
    let line = trim(&rest[..end.unwrap_or(rest.len())]);
    let path_end = line
        .iter()
        .position(|byte| is_blank(*byte))
        .unwrap_or(line.len());
    let (path, argument) = line.split_at(path_end);
    if path.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let cut_off = end.is_none() && head.len() >= super::HEAD && path_end == line.len();
    if cut_off {
        return Err(Errno::ENOEXEC);
    }
    let argument = trim(argument);
    Ok(Some(Interpreter {
        path: path.to_vec(),
        argument: (!argument.is_empty()).then(|| argument.to_vec()),
    }))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0)
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(head: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        interpreter(head)
            .unwrap()
            .map(|line| (line.path, line.argument))
    }

    #[test]
    fn path_and_one_argument() {
        assert_eq!(
            parse(b"#! /bin/sh -e x \nrest"),
            Some((b"/bin/sh".to_vec(), Some(b"-e x".to_vec())))
        );
        assert_eq!(parse(b"#!/bin/sh"), Some((b"/bin/sh".to_vec(), None)));
        assert_eq!(parse(b"\x7fELF"), None);
    }

    #[test]
    fn no_path_is_enoexec() {
        assert_eq!(interpreter(b"#!   \n").unwrap_err(), Errno::ENOEXEC);
    }

    proptest! {
        /// The byte classes that matter are frequent, so that lines of all shapes come up.
        #[test]
        fn any_head_is_a_script_or_not(
            body in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b" \t\n\0/#!a"[..])], 0..300),
        ) {
            let mut head = b"#!".to_vec();
            head.extend(body);
            head.truncate(super::super::HEAD);
            if let Ok(Some(line)) = interpreter(&head) {
                prop_assert!(!line.path.is_empty() && !line.path.iter().copied().any(is_blank));
                let argument = line.argument.unwrap_or(b"x".to_vec());
                prop_assert_eq!(trim(&argument), argument.as_slice());
                prop_assert!(!argument.is_empty() && !argument.contains(&b'\n'));
            }
        }
    }
}
