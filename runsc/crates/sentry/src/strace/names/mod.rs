//! The names of flags and constants, a file for each subject.

pub(crate) mod file;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod terminal;
pub(crate) mod time;

/// The names of the values of one type of argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    /// What strace(1) writes behind a value without a name.
    unknown: &'static str,
    /// Values and names; combinations of flags before the flags that are in them.
    pairs: &'static [(u64, &'static str)],
}

/// A table of names.
macro_rules! names {
    ($($(#[$doc:meta])* $table:ident($unknown:literal) { $($name:ident = $value:expr),* $(,)? })*) => {
        $(
            $(#[$doc])*
            pub(crate) const $table: $crate::strace::names::Names =
                $crate::strace::names::Names::new($unknown, &[$(($value, stringify!($name))),*]);
        )*
    };
}
use names;

impl Names {
    pub(crate) const fn new(unknown: &'static str, pairs: &'static [(u64, &'static str)]) -> Names {
        Names { unknown, pairs }
    }

    /// The name of exactly this value.
    pub(crate) fn exact(&self, value: u64) -> Option<&'static str> {
        let found = self.pairs.iter().find(|(v, _)| *v == value);
        found.map(|(_, name)| *name)
    }

    /// The name, or the number and a remark.
    pub(crate) fn one_of(&self, value: u64) -> String {
        match self.exact(value) {
            Some(name) => name.to_owned(),
            None => format!("{value:#x} /* {} */", self.unknown),
        }
    }

    /// The names of the flags in `value`, separated by bars.
    pub(crate) fn flags(&self, value: u64) -> String {
        if value == 0 {
            return self.exact(0).unwrap_or("0").to_owned();
        }
        let (found, rest) = self.split(value);
        let mut text = found.join("|");
        if rest == 0 {
            return text;
        }
        if text.is_empty() {
            return format!("{rest:#x} /* {} */", self.unknown);
        }
        text.push_str(&format!("|{rest:#x}"));
        text
    }

    /// The names of the flags, and what has none.
    pub(crate) fn split(&self, value: u64) -> (Vec<&'static str>, u64) {
        let mut rest = value;
        let mut found = Vec::new();
        for (flag, name) in self.pairs {
            if *flag != 0 && rest & flag == *flag {
                found.push(*name);
                rest &= !flag;
            }
        }
        (found, rest)
    }
}
