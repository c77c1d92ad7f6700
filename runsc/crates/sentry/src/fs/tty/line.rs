//! The line discipline's input side (`man 3 termios`): what typed bytes do. A state machine without locks
//! or signals of its own; what it wants done is in its return values.

use std::collections::VecDeque;

use abi::termios::{InputFlags, LocalFlags, Termios, cc};

use super::output::Output;
use crate::kernel::signal::Signal;

/// Most bytes that are kept unread (`N_TTY_BUF_SIZE`).
pub(super) const CAPACITY: usize = 4096;
const BELL: u8 = 7;
const TAB: u8 = b'\t';
/// A control character that means nothing.
const DISABLED: u8 = 0;

/// Bytes that were typed and not yet read.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What can be read.
    ready: VecDeque<u8>,
    /// The lengths of the lines in it, in canonical mode. 0: end of file.
    lines: VecDeque<usize>,
    /// The line that is being typed, in canonical mode.
    edit: Vec<u8>,
    /// The next byte is taken as it is.
    literal: bool,
    /// Where the cursor was when the line was begun.
    start_column: usize,
}

impl Line {
    /// Bytes that a read would find: whole lines in canonical mode.
    pub(super) fn readable(&self) -> usize {
        self.ready.len()
    }

    /// Whether a read finds something, end of file included; `canonical` as the terminal is set.
    pub(super) fn has_input(&self, canonical: bool) -> bool {
        if canonical {
            !self.lines.is_empty()
        } else {
            !self.ready.is_empty()
        }
    }

    /// How many more bytes are taken now. A line that is too long is cut rather than held up, unless
    /// there is another one to be read first.
    pub(super) fn room(&self, canonical: bool) -> usize {
        let room = (CAPACITY - 1).saturating_sub(self.ready.len() + self.edit.len());
        if room == 0 && canonical && self.lines.is_empty() {
            1
        } else {
            room
        }
    }

    /// Drops everything that is unread.
    pub(super) fn flush(&mut self) {
        *self = Line::default();
    }

    /// Canonical mode was switched on or off: what is there can be read either way.
    pub(super) fn mode_changed(&mut self, canonical: bool) {
        if canonical {
            if !self.ready.is_empty() {
                self.lines = VecDeque::from([self.ready.len()]);
            }
        } else {
            self.ready.extend(self.edit.drain(..));
            self.lines.clear();
            self.literal = false;
        }
    }

    /// Takes up to `count` bytes, of one line at most in canonical mode.
    pub(super) fn take(&mut self, count: usize, canonical: bool) -> Vec<u8> {
        let mut len = count.min(self.ready.len());
        if canonical {
            let Some(line) = self.lines.front_mut() else {
                return Vec::new();
            };
            len = len.min(*line);
            *line -= len;
            if *line == 0 {
                self.lines.pop_front();
            }
        }
        self.ready.drain(..len).collect()
    }

    /// A byte was typed. Returns the signal that it stands for.
    pub(super) fn receive(
        &mut self,
        byte: u8,
        termios: &Termios,
        output: &mut Output,
    ) -> Option<Signal> {
        let input = termios.input();
        let local = termios.local();
        let mut byte = byte;
        if input.contains(InputFlags::ISTRIP) {
            byte &= 0x7f;
        }
        if input.contains(InputFlags::IUCLC) && local.contains(LocalFlags::IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if self.literal {
            self.literal = false;
            self.insert(byte, termios, output);
            return None;
        }
        if input.contains(InputFlags::IXON) {
            if is(termios, byte, cc::VSTART) {
                output.set_stopped(false);
                return None;
            }
            if is(termios, byte, cc::VSTOP) {
                output.set_stopped(true);
                return None;
            }
            if input.contains(InputFlags::IXANY) {
                output.set_stopped(false);
            }
        }
        if local.contains(LocalFlags::ISIG)
            && let Some(signal) = signal_of(termios, byte)
        {
            return Some(self.signal(signal, byte, termios, output));
        }
        match byte {
            b'\r' if input.contains(InputFlags::IGNCR) => return None,
            b'\r' if input.contains(InputFlags::ICRNL) => byte = b'\n',
            b'\n' if input.contains(InputFlags::INLCR) => byte = b'\r',
            _ => {}
        }
        if local.contains(LocalFlags::ICANON) {
            self.edit(byte, termios, output);
        } else {
            self.insert(byte, termios, output);
        }
        None
    }

    fn signal(
        &mut self,
        signal: Signal,
        byte: u8,
        termios: &Termios,
        output: &mut Output,
    ) -> Signal {
        if !termios.local().contains(LocalFlags::NOFLSH) {
            self.flush();
            output.flush();
        }
        output.set_stopped(false);
        if termios.local().contains(LocalFlags::ECHO) {
            output.echo(byte, termios);
        }
        signal
    }

    /// Canonical mode: editing, ends of lines, ordinary bytes.
    fn edit(&mut self, byte: u8, termios: &Termios, output: &mut Output) {
        let local = termios.local();
        let extended = local.contains(LocalFlags::IEXTEN);
        let echo = local.contains(LocalFlags::ECHO);
        if is(termios, byte, cc::VERASE) {
            self.erase(Erase::Character, byte, termios, output);
        } else if is(termios, byte, cc::VKILL) {
            self.erase(Erase::Line, byte, termios, output);
        } else if extended && is(termios, byte, cc::VWERASE) {
            self.erase(Erase::Word, byte, termios, output);
        } else if extended && is(termios, byte, cc::VLNEXT) {
            self.literal = true;
            if echo && local.contains(LocalFlags::ECHOCTL) {
                output.post_all(b"^\x08", termios);
            }
        } else if extended && echo && is(termios, byte, cc::VREPRINT) {
            output.echo(byte, termios);
            output.post_all(b"\n", termios);
            for byte in &self.edit {
                output.echo(*byte, termios);
            }
        } else if byte == b'\n' {
            if echo || local.contains(LocalFlags::ECHONL) {
                output.post_all(b"\n", termios);
            }
            self.finish(Some(byte));
        } else if is(termios, byte, cc::VEOF) {
            self.finish(None);
        } else if is(termios, byte, cc::VEOL) || extended && is(termios, byte, cc::VEOL2) {
            if echo {
                output.echo(byte, termios);
            }
            self.finish(Some(byte));
        } else {
            self.insert(byte, termios, output);
        }
    }

    /// The line is complete, with the byte that ended it unless that was the end-of-file character.
    fn finish(&mut self, end: Option<u8>) {
        self.edit.extend(end);
        self.lines.push_back(self.edit.len());
        self.ready.extend(self.edit.drain(..));
    }

    fn insert(&mut self, byte: u8, termios: &Termios, output: &mut Output) {
        let canonical = termios.local().contains(LocalFlags::ICANON);
        if self.ready.len() + self.edit.len() >= CAPACITY - 1 {
            if termios.input().contains(InputFlags::IMAXBEL) {
                output.post_all(&[BELL], termios);
            }
            return;
        }
        if termios.local().contains(LocalFlags::ECHO) {
            if self.edit.is_empty() {
                self.start_column = output.column();
            }
            // A newline here is one that was typed as it is, or one in raw mode.
            if byte == b'\n' && !canonical {
                output.post_all(b"\n", termios);
            } else {
                output.echo(byte, termios);
            }
        }
        if canonical {
            self.edit.push(byte);
        } else {
            self.ready.push_back(byte);
        }
    }

    fn erase(&mut self, what: Erase, byte: u8, termios: &Termios, output: &mut Output) {
        let local = termios.local();
        if self.edit.is_empty() {
            return;
        }
        let echo = local.contains(LocalFlags::ECHO);
        let visibly = LocalFlags::ECHOK | LocalFlags::ECHOKE | LocalFlags::ECHOE;
        if what == Erase::Line && !(echo && local.contains(visibly)) {
            self.edit.clear();
            if echo {
                output.echo(byte, termios);
                if local.contains(LocalFlags::ECHOK) {
                    output.post_all(b"\n", termios);
                }
            }
            return;
        }
        let mut in_word = false;
        while let Some(last) = self.last_character(termios) {
            if what == Erase::Word {
                let letter = last[0].is_ascii_alphanumeric() || last[0] == b'_' || last[0] >= 0x80;
                if in_word && !letter {
                    return;
                }
                in_word |= letter;
            }
            self.edit.truncate(self.edit.len() - last.len());
            if echo {
                if local.contains(LocalFlags::ECHOE) {
                    self.rub_out(last[0], termios, output);
                } else {
                    output.echo(byte, termios);
                }
            }
            if what == Erase::Character {
                return;
            }
        }
    }

    /// The last character of the line: several bytes if it is UTF-8.
    fn last_character(&self, termios: &Termios) -> Option<Vec<u8>> {
        let is_continuation = |byte: u8| byte & 0xc0 == 0x80;
        let mut len = 1;
        if termios.input().contains(InputFlags::IUTF8) {
            let tail = self.edit.iter().rev();
            len += tail.take_while(|byte| is_continuation(**byte)).count();
        }
        let start = self.edit.len().checked_sub(len.min(self.edit.len()))?;
        Some(self.edit[start..].to_vec()).filter(|bytes| !bytes.is_empty())
    }

    /// Moves the cursor back over `byte`, which is no longer in the line.
    fn rub_out(&self, byte: u8, termios: &Termios, output: &mut Output) {
        if byte == TAB {
            let mut column = self.start_column;
            for byte in &self.edit {
                column += width(*byte, column, termios);
            }
            for _ in 0..width(TAB, column, termios) {
                output.post_all(b"\x08", termios);
            }
            return;
        }
        for _ in 0..width(byte, 0, termios) {
            output.post_all(b"\x08 \x08", termios);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Erase {
    Character,
    Word,
    Line,
}

/// Whether `byte` is the control character at `index`.
fn is(termios: &Termios, byte: u8, index: usize) -> bool {
    byte != DISABLED && termios.cc[index] == byte
}

fn signal_of(termios: &Termios, byte: u8) -> Option<Signal> {
    [
        (cc::VINTR, Signal::SIGINT),
        (cc::VQUIT, Signal::SIGQUIT),
        (cc::VSUSP, Signal::SIGTSTP),
    ]
    .into_iter()
    .find(|(index, _)| is(termios, byte, *index))
    .map(|(_, signal)| signal)
}

/// How many columns the echo of `byte` takes at `column`.
fn width(byte: u8, column: usize, termios: &Termios) -> usize {
    let shows_control = termios.local().contains(LocalFlags::ECHOCTL);
    match byte {
        TAB => 8 - column % 8,
        byte if byte.is_ascii_control() => {
            if shows_control {
                2
            } else {
                0
            }
        }
        byte if byte & 0xc0 == 0x80 && termios.input().contains(InputFlags::IUTF8) => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
