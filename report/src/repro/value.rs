//! Arguments and results as strace prints them, taken apart: strings, structures, and everything else as words.
//!
//! What can't be taken apart stays a word: nothing that a trace holds is an error here.

/// Structures within structures beyond which no more are taken apart.
const MAX_DEPTH: usize = 24;

/// One argument or result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A number, a name, flags.
    Word(String),
    /// A string; `cut` if not all of it is shown.
    Text { bytes: Vec<u8>, cut: bool },
    /// A structure or an array.
    Group(Vec<Item>),
    /// What the call made of something: before and after.
    Change(Box<Value>, Box<Value>),
}

/// A member of a structure or an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Its name, in a structure.
    pub(super) name: Option<String>,
    /// What it is.
    pub(super) value: Value,
}

impl Value {
    /// Takes one value apart; the whole of `text` if it is one.
    pub(super) fn parse(text: &str) -> Self {
        let mut reader = Reader::new(text);
        reader.item(0).value
    }

    /// Whether it says of its structure that there is more.
    pub(super) fn is_ellipsis(&self) -> bool {
        matches!(self, Self::Word(word) if word == "...")
    }

    /// The word that it is.
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The text that it is, as it would be written.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text { bytes, .. } => Some(bytes.escape_ascii().to_string()),
            _ => None,
        }
    }

    /// The member of this name.
    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        let Self::Group(items) = self else {
            return None;
        };
        let found = items.iter().find(|item| item.name.as_deref() == Some(name));
        found.map(|item| &item.value)
    }
}

/// Flags in an order of their own: each printer has another.
pub(super) fn sorted_flags(word: &str) -> String {
    let mut flags: Vec<&str> = word.split('|').collect();
    flags.sort_unstable();
    flags.join("|")
}

/// The arguments of a call, and where in `text` what stands behind their closing parenthesis begins.
pub(super) fn arguments(text: &str) -> Option<(Vec<Item>, usize)> {
    let mut reader = Reader::new(text);
    let items = reader.items(b')', 0);
    reader.closed.then_some((items, reader.at))
}

/// Reads values from text.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Whether the list that was read last had an end.
    closed: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            closed: false,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    fn takes(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    /// Items up to and with the closing character.
    fn items(&mut self, close: u8, depth: usize) -> Vec<Item> {
        let mut items = Vec::new();
        self.closed = false;
        loop {
            self.skip_spaces();
            match self.peek() {
                None => break,
                Some(byte) if byte == close => {
                    self.at += 1;
                    self.closed = true;
                    break;
                }
                Some(b',') => self.at += 1,
                Some(_) => {
                    let before = self.at;
                    items.push(self.item(depth));
                    if self.at == before {
                        self.skip_character();
                    }
                }
            }
        }
        items
    }

    /// Past one character, of however many bytes.
    fn skip_character(&mut self) {
        self.at += self.rest().chars().next().map_or(1, char::len_utf8);
    }

    fn item(&mut self, depth: usize) -> Item {
        let name = self.name();
        let mut value = self.value(depth);
        self.skip_spaces();
        if self.takes("=> ") {
            let after = self.value(depth);
            value = Value::Change(Box::new(value), Box::new(after));
        }
        Item { name, value }
    }

    /// A member's name and the equals sign behind it.
    fn name(&mut self) -> Option<String> {
        let rest = self.rest();
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let (name, behind) = rest.split_at(rest.find(|it| !is_name(it))?);
        let behind = behind.strip_prefix('=')?;
        if name.is_empty() || behind.starts_with(['=', '>']) {
            return None;
        }
        self.at += name.len() + 1;
        Some(name.to_owned())
    }

    fn value(&mut self, depth: usize) -> Value {
        self.skip_spaces();
        match self.peek() {
            Some(b'"') => self.string(),
            Some(open @ (b'{' | b'[')) if depth < MAX_DEPTH => {
                self.at += 1;
                let close = if open == b'{' { b'}' } else { b']' };
                let items = self.items(close, depth + 1);
                Value::Group(items)
            }
            _ => Value::Word(self.word()),
        }
    }

    fn string(&mut self) -> Value {
        self.at += 1;
        let mut bytes = Vec::new();
        let mut is_whole = false;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => {
                    is_whole = true;
                    break;
                }
                b'\\' => bytes.extend(self.escape()),
                _ => bytes.push(byte),
            }
        }
        let cut = self.takes("...") || !is_whole;
        Value::Text { bytes, cut }
    }

    /// The byte that an escape stands for, behind its backslash.
    fn escape(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        if let b'0'..=b'7' = byte {
            return Some(self.digits(8, 3));
        }
        self.at += 1;
        Some(match byte {
            b'x' => self.digits(16, 2),
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'f' => 0x0c,
            other => other,
        })
    }

    /// As many as `most` digits, as a byte.
    fn digits(&mut self, radix: u32, most: usize) -> u8 {
        let mut value = 0_u32;
        for _ in 0..most {
            let digit = self
                .peek()
                .and_then(|byte| char::from(byte).to_digit(radix));
            let Some(digit) = digit else { break };
            value = value * radix + digit;
            self.at += 1;
        }
        u8::try_from(value & 0xff).unwrap_or(0)
    }

    /// Up to a comma or a closing character that is not within brackets; comments are left out.
    fn word(&mut self) -> String {
        let mut word = String::new();
        let mut open = 0_usize;
        loop {
            if self.takes("/*") {
                self.skip_comment();
                continue;
            }
            let rest = self.rest();
            let Some(character) = rest.chars().next() else {
                break;
            };
            match character {
                '"' => {
                    self.quoted(&mut word);
                    continue;
                }
                '(' | '[' | '{' => open += 1,
                ')' | ']' | '}' | ',' if open == 0 => break,
                '=' if open == 0 && rest.starts_with("=> ") => break,
                ')' | ']' | '}' => open -= 1,
                _ => {}
            }
            word.push(character);
            self.at += character.len_utf8();
        }
        word.truncate(word.trim_end().len());
        word
    }

    fn skip_comment(&mut self) {
        let rest = self.rest();
        self.at += rest.find("*/").map_or(rest.len(), |end| end + 2);
    }

    /// A string within a word, as it is written.
    fn quoted(&mut self, word: &mut String) {
        let begin = self.at;
        self.string();
        word.push_str(self.text.get(begin..self.at).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, Value, arguments};
    use proptest::prelude::{any, proptest};

    fn word(text: &str) -> Value {
        Value::Word(text.to_owned())
    }

    #[test]
    fn structures_are_taken_apart() {
        let text = "3, {st_dev=makedev(0xfe, 0), st_mtime=17 /* 2026, (x */, l=[1, 2], ...}, \"a\\0\\\"\\x41\"..., ~[RTMIN RT_1]) = 0";
        let (items, end) = arguments(text).unwrap();
        assert_eq!(&text[end..], " = 0");
        let values: Vec<Value> = items.into_iter().map(|item| item.value).collect();
        assert_eq!(values[0], word("3"));
        assert_eq!(
            values[1].field("st_dev").unwrap(),
            &word("makedev(0xfe, 0)")
        );
        assert_eq!(values[1].field("st_mtime").unwrap(), &word("17"));
        let item = |text| Item {
            name: None,
            value: word(text),
        };
        assert_eq!(
            values[1].field("l").unwrap(),
            &Value::Group(vec![item("1"), item("2")])
        );
        let bytes = b"a\0\"A".to_vec();
        assert_eq!(values[2], Value::Text { bytes, cut: true });
        assert_eq!(values[3], word("~[RTMIN RT_1]"));
        assert_eq!(values.len(), 4);
    }

    #[test]
    fn statuses_and_changes() {
        let (items, _) =
            arguments("[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], {flags=CLONE_VM} => {tid=[4]}, sin=inet_addr(\")\"))")
                .unwrap();
        let status = "WIFEXITED(s) && WEXITSTATUS(s) == 0";
        let text = format!("{:?}", items[0].value);
        assert!(text.contains(status), "{text}");
        let Value::Change(_, after) = &items[1].value else {
            panic!("{items:?}");
        };
        assert!(after.field("tid").is_some());
        assert_eq!(items[2].value, word("inet_addr(\")\")"));
    }

    #[test]
    fn depth_has_an_end() {
        let text = "[".repeat(100_000);
        assert!(arguments(&text).is_none());
    }

    proptest! {
        #[test]
        fn any_text_gives_something(text in any::<String>()) {
            let _ = Value::parse(&text);
            let _ = arguments(&text);
        }

        #[test]
        fn text_of_brackets_gives_something(text in "[]{}()\"\\\\=>,. a1/*]{0,60}") {
            let _ = Value::parse(&text);
            let _ = arguments(&text);
        }

        #[test]
        fn strings_come_back(bytes: Vec<u8>) {
            let text: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            let back = Value::parse(&format!("\"{text}\""));
            assert_eq!(back, Value::Text { bytes, cut: false });
        }
    }
}
