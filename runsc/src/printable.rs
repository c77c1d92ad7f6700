//! Text that others have a say in, made safe for a terminal and for logs that are read line by line.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with everything escaped that a terminal would act on or that begins another line.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |safe, char| {
        // Writing to a string does not fail.
        let _ = write!(safe, "{}", char.escape_default());
    })
}

/// A string of JSON, with what its own rules leave unescaped of that.
pub(crate) fn json_string(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let safe = escaped(&quoted, |safe, char| {
        let _ = write!(safe, "\\u{:04x}", u32::from(char));
    });
    safe.into_owned()
}

fn escaped(text: &str, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_unsafe(char) {
            escape(&mut safe, char);
        } else {
            safe.push(char);
        }
    }
    Cow::Owned(safe)
}

/// Control characters (C0, DEL, C1), separators of lines, and what changes the direction of text.
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::{json_string, printable};

    #[test]
    fn what_a_terminal_acts_on_is_escaped() {
        for (text, safe) in [
            ("plain ünïcode 名", "plain ünïcode 名"),
            ("\u{1b}[2J", r"\u{1b}[2J"),
            ("two\nlines\r\t", r"two\nlines\r\t"),
            ("\u{9b}31m\u{7f}", r"\u{9b}31m\u{7f}"),
            ("\u{202e}txt.exe", r"\u{202e}txt.exe"),
        ] {
            assert_eq!(printable(text), safe);
        }
    }

    #[test]
    fn json_stays_the_same_text() {
        let text = "\u{1b}[2J \u{9b} \u{7f} \u{202e} \"quoted\" \\ é";
        let json = json_string(text);
        assert!(!json.contains(super::is_unsafe), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
