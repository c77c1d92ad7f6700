//! The line discipline's output side: post-processing, echo, and the queue to the other end.

use std::collections::VecDeque;

use abi::termios::{LocalFlags, OutputFlags, Termios};

/// Bytes that a program may have under way to the other end.
pub(super) const CAPACITY: usize = 16 << 10;
/// Echo is dropped beyond this: nobody reads the other end.
const MOST: usize = 64 << 10;

/// What is on its way to the other end.
#[derive(Debug, Default)]
pub(super) struct Output {
    queue: VecDeque<u8>,
    column: usize,
    stopped: bool,
}

impl Output {
    /// Where the cursor is.
    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// Bytes under way.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether programs may write.
    pub(super) fn has_room(&self) -> bool {
        !self.stopped && self.queue.len() < CAPACITY
    }

    /// Stopped by `^S`, or going on.
    pub(super) fn set_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// Whether it is stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Drops what is under way.
    pub(super) fn flush(&mut self) {
        self.queue.clear();
    }

    /// Takes up to `count` bytes for the other end.
    pub(super) fn take(&mut self, count: usize) -> Vec<u8> {
        let len = count.min(self.queue.len());
        self.queue.drain(..len).collect()
    }

    /// Puts bytes back that the other end did not take.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().rev() {
            self.queue.push_front(*byte);
        }
    }

    /// Bytes of a program or of the discipline's own, post-processed.
    pub(super) fn post_all(&mut self, bytes: &[u8], termios: &Termios) {
        if self.queue.len() < MOST {
            bytes.iter().for_each(|byte| self.post(*byte, termios));
        }
    }

    /// Shows a typed byte: control characters as `^X` if ECHOCTL says so.
    pub(super) fn echo(&mut self, byte: u8, termios: &Termios) {
        let shows_control = termios.local().contains(LocalFlags::ECHOCTL);
        if shows_control && byte.is_ascii_control() && byte != b'\t' {
            self.post_all(&[b'^', byte ^ 0x40], termios);
        } else {
            self.post_all(&[byte], termios);
        }
    }

    /// `man 3 termios`, `c_oflag`.
    fn post(&mut self, byte: u8, termios: &Termios) {
        let flags = termios.output();
        if !flags.contains(OutputFlags::OPOST) {
            self.queue.push_back(byte);
            return;
        }
        match byte {
            b'\n' if flags.contains(OutputFlags::ONLCR) => {
                self.column = 0;
                self.queue.extend(b"\r\n");
            }
            b'\n' => {
                if flags.contains(OutputFlags::ONLRET) {
                    self.column = 0;
                }
                self.queue.push_back(byte);
            }
            b'\r' if flags.contains(OutputFlags::ONOCR) && self.column == 0 => {}
            b'\r' if flags.contains(OutputFlags::OCRNL) => {
                if flags.contains(OutputFlags::ONLRET) {
                    self.column = 0;
                }
                self.queue.push_back(b'\n');
            }
            b'\r' => {
                self.column = 0;
                self.queue.push_back(byte);
            }
            b'\t' => {
                let spaces = 8 - self.column % 8;
                self.column += spaces;
                if flags.contains(OutputFlags::XTABS) {
                    self.queue.extend(std::iter::repeat_n(b' ', spaces));
                } else {
                    self.queue.push_back(byte);
                }
            }
            8 => {
                self.column = self.column.saturating_sub(1);
                self.queue.push_back(byte);
            }
            _ => {
                let byte = if flags.contains(OutputFlags::OLCUC) {
                    byte.to_ascii_uppercase()
                } else {
                    byte
                };
                if !byte.is_ascii_control() {
                    self.column += 1;
                }
                self.queue.push_back(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newlines_and_tabs() {
        let mut output = Output::default();
        let mut termios = Termios::default();
        output.post_all(b"ab\tc\n", &termios);
        assert_eq!(output.take(100), b"ab\tc\r\n");
        termios.oflag |= OutputFlags::XTABS.bits();
        output.post_all(b"ab\tc", &termios);
        assert_eq!(output.take(100), b"ab      c");
        termios.oflag = 0;
        output.post_all(b"\n", &termios);
        assert_eq!(output.take(100), b"\n");
    }

    #[test]
    fn stopped_output_has_no_room() {
        let mut output = Output::default();
        output.set_stopped(true);
        assert!(!output.has_room());
        output.set_stopped(false);
        assert!(output.has_room());
    }
}
