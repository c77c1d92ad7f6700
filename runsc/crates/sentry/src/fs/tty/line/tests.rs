use super::*;

struct Terminal {
    line: Line,
    output: Output,
    termios: Termios,
}

impl Terminal {
    fn new() -> Terminal {
        Terminal {
            line: Line::default(),
            output: Output::default(),
            termios: Termios::default(),
        }
    }

    fn raw() -> Terminal {
        let mut terminal = Terminal::new();
        terminal.termios.lflag = 0;
        terminal.termios.iflag = 0;
        terminal
    }

    fn type_in(&mut self, bytes: &[u8]) -> Vec<Signal> {
        let mut signals = Vec::new();
        for byte in bytes {
            signals.extend(self.line.receive(*byte, &self.termios, &mut self.output));
        }
        signals
    }

    fn is_canonical(&self) -> bool {
        self.termios.local().contains(LocalFlags::ICANON)
    }

    fn read(&mut self, count: usize) -> Option<Vec<u8>> {
        let canonical = self.is_canonical();
        self.line
            .has_input(canonical)
            .then(|| self.line.take(count, canonical))
    }

    fn shown(&mut self) -> Vec<u8> {
        self.output.take(usize::MAX)
    }
}

#[test]
fn a_line_is_read_when_it_is_complete() {
    let mut terminal = Terminal::new();
    terminal.type_in(b"ab");
    assert_eq!(terminal.read(10), None);
    terminal.type_in(b"c\rnext\n");
    assert_eq!(terminal.read(2), Some(b"ab".to_vec()));
    assert_eq!(terminal.read(10), Some(b"c\n".to_vec()));
    assert_eq!(terminal.read(10), Some(b"next\n".to_vec()));
    assert_eq!(terminal.read(10), None);
    assert_eq!(terminal.shown(), b"abc\r\nnext\r\n");
}

#[test]
fn erase_word_and_line() {
    let mut terminal = Terminal::new();
    terminal.type_in(b"abx\x7f");
    assert_eq!(terminal.shown(), b"abx\x08 \x08");
    terminal.type_in(b" word\x17\x17c\n");
    assert_eq!(terminal.read(10), Some(b"c\n".to_vec()));
    terminal.shown();
    terminal.type_in(b"junk\x15ok\n");
    assert_eq!(terminal.read(10), Some(b"ok\n".to_vec()));
}

#[test]
fn erase_takes_a_whole_utf8_character() {
    let mut terminal = Terminal::new();
    terminal.termios.iflag |= InputFlags::IUTF8.bits();
    terminal.type_in("a\u{fc}".as_bytes());
    terminal.shown();
    terminal.type_in(b"\x7f\n");
    assert_eq!(terminal.shown(), b"\x08 \x08\r\n");
    assert_eq!(terminal.read(10), Some(b"a\n".to_vec()));
}

#[test]
fn end_of_file_is_an_empty_read_at_the_start_of_a_line() {
    let mut terminal = Terminal::new();
    terminal.type_in(b"ab\x04\x04");
    assert_eq!(terminal.read(10), Some(b"ab".to_vec()));
    assert_eq!(terminal.read(10), Some(Vec::new()));
    assert_eq!(terminal.read(10), None);
}

#[test]
fn control_characters_are_signals_and_flush() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.type_in(b"ab\x03"), [Signal::SIGINT]);
    assert_eq!(terminal.shown(), b"^C");
    terminal.type_in(b"\n");
    assert_eq!(terminal.read(10), Some(b"\n".to_vec()));
    assert_eq!(
        terminal.type_in(b"\x1a\x1c"),
        [Signal::SIGTSTP, Signal::SIGQUIT]
    );
}

#[test]
fn literal_next_takes_the_meaning_away() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.type_in(b"\x16\x03\n"), []);
    assert_eq!(terminal.read(10), Some(b"\x03\n".to_vec()));
    assert_eq!(terminal.shown(), b"^\x08^C\r\n");
}

#[test]
fn raw_mode_passes_everything() {
    let mut terminal = Terminal::raw();
    assert_eq!(terminal.type_in(b"\x03\r\x7f"), []);
    assert_eq!(terminal.read(2), Some(b"\x03\r".to_vec()));
    assert_eq!(terminal.read(2), Some(b"\x7f".to_vec()));
    assert_eq!(terminal.shown(), b"");
}

#[test]
fn what_was_typed_survives_a_change_of_mode() {
    let mut terminal = Terminal::new();
    terminal.type_in(b"ab");
    terminal.termios.lflag &= !LocalFlags::ICANON.bits();
    terminal.line.mode_changed(false);
    assert_eq!(terminal.read(1), Some(b"a".to_vec()));
    terminal.termios.lflag |= LocalFlags::ICANON.bits();
    terminal.line.mode_changed(true);
    assert_eq!(terminal.read(10), Some(b"b".to_vec()));
}

#[test]
fn a_full_line_still_takes_its_end() {
    let mut terminal = Terminal::new();
    terminal.type_in(&[b'x'; 5000]);
    assert_eq!(terminal.line.room(true), 1);
    terminal.type_in(b"\n");
    assert_eq!(terminal.read(10_000).map(|line| line.len()), Some(CAPACITY));
}

proptest::proptest! {
    #[test]
    fn no_settings_and_no_input_break_it(
        settings in proptest::prelude::any::<[u8; 36]>(),
        inputs in proptest::collection::vec(proptest::prelude::any::<Vec<u8>>(), 0..40),
        count in 0usize..100,
    ) {
        let mut terminal = Terminal::new();
        terminal.termios = zerocopy::transmute!(settings);
        for input in inputs {
            terminal.type_in(&input);
            if let Some(line) = terminal.read(count) {
                assert!(line.len() <= count);
            }
        }
        // What is typed and read by nobody does not grow without end.
        for _ in 0..100 {
            terminal.type_in(&[b'a'; 1000]);
        }
        assert!(terminal.shown().len() < 1 << 17);
    }
}
