//! The calls and their arguments, read from `calls.txt`.

use std::collections::HashMap;

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// This number.
    Number(u64),
    /// Any of these bits together.
    Bits(Vec<u64>),
    /// One of these.
    OneOf(Vec<u64>),
    /// The address of one structure, or of several in a row.
    Pointer {
        /// Its index in [`Grammar::structures`].
        structure: usize,
        /// Whether there are several.
        several: bool,
    },
    /// Something with a meaning, by name.
    Word(Word),
}

macro_rules! words {
    ($($word:ident $name:literal $doc:literal,)*) => {
        /// The meanings of values.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Word {
            $(#[doc = $doc] $word,)*
        }

        impl Word {
            fn parse(name: &str) -> Option<Word> {
                match name {
                    $($name => Some(Word::$word),)*
                    _ => None,
                }
            }
        }
    };
}

words! {
    Fd "fd" "A descriptor.",
    Dir "dir" "A descriptor of a directory, or `AT_FDCWD`.",
    Path "path" "A path.",
    Text "text" "A short string.",
    FsType "fstype" "A file system's name.",
    Xattr "xattr" "An extended attribute's name.",
    MqName "mqname" "A message queue's name.",
    Prog "prog" "A program's path.",
    Buf "buf" "The address of bytes.",
    Len "len" "A number of bytes.",
    Count "count" "A number of elements.",
    Off "off" "An offset in a file.",
    PageOff "pageoff" "An offset of whole pages.",
    Addr "addr" "The address of a page.",
    Pages "pages" "A number of bytes that is mostly whole pages.",
    Int "int" "An int at the edges of its range.",
    Any "any" "Anything.",
    BitSet "bits" "Any bits.",
    Pid "pid" "A process, thread or group.",
    Uid "uid" "A user or group.",
    Sig "sig" "A signal.",
    Mode "mode" "Permissions.",
    MknodMode "mknodmode" "A kind of file with permissions.",
    Dev "dev" "A device.",
    Small "small" "A small number.",
    Nsec "nsec" "A part of a second in ns.",
    Usec "usec" "A part of a second in µs.",
    Time "time" "A time of day.",
    Clock "clock" "A clock.",
    Timer "timer" "A timer.",
    Id "id" "A System V object's id.",
    Key "key" "A System V key.",
    Port "port" "A port.",
    Limit "limit" "A resource limit.",
    Handler "handler" "A signal handler.",
    Restorer "restorer" "What a signal handler returns to.",
    Nr "nr" "A system call's number.",
}

/// A part of a structure.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its size.
    pub(crate) len_bytes: usize,
    /// What it is.
    pub(crate) kind: Kind,
}

/// A system call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Its number.
    pub(crate) number: u64,
    /// Its arguments.
    pub(crate) args: Vec<Kind>,
}

/// All that the file says.
#[derive(Debug, Default)]
pub(crate) struct Grammar {
    /// The calls that are made often.
    pub(crate) often: Vec<Call>,
    /// Those that are made rarely.
    pub(crate) rarely: Vec<Call>,
    /// The structures.
    pub(crate) structures: Vec<Vec<Field>>,
}

/// Names of calls that are not to be made, a line each.
const WITHOUT: &str = "/fuzz-without";

/// Reads the file; none if it is not known which calls are to be left out.
pub(crate) fn read() -> Option<Grammar> {
    let without = std::fs::read_to_string(WITHOUT).ok()?;
    let mut reader = Reader {
        without: without.lines().map(str::to_owned).collect(),
        ..Reader::default()
    };
    let lines = include_str!("calls.txt").lines();
    let mut lines = lines
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    if let Some(wrong) = lines.find(|line| reader.line(line).is_none()) {
        panic!("a line of calls.txt that says nothing: {wrong}");
    }
    Some(reader.grammar)
}

#[derive(Default)]
struct Reader {
    grammar: Grammar,
    sets: HashMap<String, Kind>,
    structures: HashMap<String, usize>,
    without: Vec<String>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        if let Some(name) = name.strip_prefix('$') {
            let kind = self.kind(words.next()?)?;
            self.sets.insert(name.to_owned(), kind);
        } else if let Some(name) = name.strip_prefix('%') {
            let fields = words
                .map(|word| self.field(word))
                .collect::<Option<Vec<_>>>()?;
            let index = self.structure(name);
            *self.grammar.structures.get_mut(index)? = fields;
        } else {
            let args = words
                .map(|word| self.kind(word))
                .collect::<Option<Vec<_>>>()?;
            self.call(name, args)?;
        }
        Some(())
    }

    fn call(&mut self, name: &str, args: Vec<Kind>) -> Option<()> {
        let plain = name.strip_prefix('~');
        let number = abi::syscall_names::number(plain.unwrap_or(name))?;
        if self
            .without
            .iter()
            .any(|without| without == plain.unwrap_or(name))
        {
            return Some(());
        }
        let list = match plain {
            Some(_) => &mut self.grammar.rarely,
            None => &mut self.grammar.often,
        };
        list.push(Call {
            number: u64::from(number),
            args,
        });
        Some(())
    }

    fn field(&mut self, word: &str) -> Option<Field> {
        let (len_bytes, kind) = word.split_once(':')?;
        Some(Field {
            len_bytes: len_bytes.parse().ok()?,
            kind: self.kind(kind)?,
        })
    }

    fn kind(&mut self, word: &str) -> Option<Kind> {
        match word.split_at_checked(1)? {
            ("|", list) => Some(Kind::Bits(numbers(list)?)),
            ("=", list) => Some(Kind::OneOf(numbers(list)?)),
            ("$", name) => self.sets.get(name).cloned(),
            ("*", name) => {
                let plain = name.strip_suffix("[]");
                Some(Kind::Pointer {
                    structure: self.structure(plain.unwrap_or(name)),
                    several: plain.is_some(),
                })
            }
            _ => Word::parse(word)
                .map(Kind::Word)
                .or_else(|| number(word).map(Kind::Number)),
        }
    }

    /// The index of a structure, which may be described later.
    fn structure(&mut self, name: &str) -> usize {
        if let Some(index) = self.structures.get(name) {
            return *index;
        }
        let index = self.grammar.structures.len();
        self.grammar.structures.push(Vec::new());
        self.structures.insert(name.to_owned(), index);
        index
    }
}

fn numbers(list: &str) -> Option<Vec<u64>> {
    list.split(',').map(number).collect()
}

fn number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    text.parse::<i64>().ok().map(i64::cast_unsigned)
}
