//! Comparing what two calls stored, member by member, as the rules say.

use crate::repro::pairs::{Pairs, Spaces};
use crate::repro::rules::{self, Treatment};
use crate::repro::value::{self, Item, Value};

/// A difference, in words; `expected` says why it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// What differs.
    pub(super) what: String,
    /// Why it is expected, if it is.
    pub(super) expected: Option<&'static str>,
}

impl Finding {
    /// A difference that nobody expects.
    pub(super) fn new(what: String) -> Self {
        Self {
            what,
            expected: None,
        }
    }
}

/// What is known while two threads are compared.
#[derive(Debug)]
pub(super) struct Context<'a> {
    /// Ids of processes and threads.
    pub(super) ids: &'a mut Pairs,
    /// Addresses and descriptors.
    pub(super) spaces: &'a mut Spaces,
    /// When the first run began, in seconds since 1970.
    pub(super) since: u64,
    /// The call.
    pub(super) call: &'a str,
}

impl Context<'_> {
    /// Notes which addresses of what a call was asked for stand for each other.
    pub(super) fn bind(&mut self, host: &Value, sandbox: &Value) {
        match (host, sandbox) {
            (Value::Word(host), Value::Word(sandbox))
                if is_address(host) && is_address(sandbox) =>
            {
                self.spaces.addresses.bind(host, sandbox);
            }
            (Value::Group(hosts), Value::Group(sandboxes)) => {
                for (host, sandbox) in hosts.iter().zip(sandboxes) {
                    self.bind(&host.value, &sandbox.value);
                }
            }
            _ => {}
        }
    }

    /// The first difference of two values; `field` is the name of the member that they are.
    pub(super) fn compare(
        &mut self,
        field: Option<&str>,
        host: &Value,
        sandbox: &Value,
    ) -> Option<Finding> {
        if host == sandbox || host.is_ellipsis() || sandbox.is_ellipsis() {
            return None;
        }
        let rule = rules::of_stored(self.call, field);
        let found = match rule.map(|rule| rule.treatment) {
            Some(Treatment::Hidden) => return None,
            Some(Treatment::Recent) if self.is_recent(host) || self.is_recent(sandbox) => {
                return None;
            }
            treatment => self.by_form(field, treatment, host, sandbox)?,
        };
        let is_expected = |rule: &&rules::Rule| rule.treatment == Treatment::Expected;
        Some(Finding {
            expected: found
                .expected
                .or(rule.filter(is_expected).map(|rule| rule.why)),
            ..found
        })
    }

    fn by_form(
        &mut self,
        field: Option<&str>,
        treatment: Option<Treatment>,
        host: &Value,
        sandbox: &Value,
    ) -> Option<Finding> {
        match (host, sandbox) {
            (Value::Word(host), Value::Word(sandbox)) => {
                let agree = self.words(treatment, host, sandbox);
                let what = || {
                    format!(
                        "{}{host} on the host, {sandbox} in the sandbox",
                        prefix(field)
                    )
                };
                (!agree).then(|| Finding::new(what()))
            }
            (
                Value::Text { bytes: host, cut },
                Value::Text {
                    bytes: sandbox,
                    cut: also_cut,
                },
            ) => {
                let most = if *cut || *also_cut {
                    host.len().min(sandbox.len())
                } else {
                    usize::MAX
                };
                let start = |bytes: &[u8]| bytes.get(..most).unwrap_or(bytes).to_owned();
                self.texts(field, &start(host), &start(sandbox))
            }
            (Value::Group(host), Value::Group(sandbox)) => self.groups(field, host, sandbox),
            (Value::Change(_, host), Value::Change(_, sandbox)) => {
                self.compare(field, host, sandbox)
            }
            // One side shows where it is, the other what it is.
            _ => None,
        }
    }

    /// Whether two words say the same.
    fn words(&mut self, treatment: Option<Treatment>, host: &str, sandbox: &str) -> bool {
        let is_number = |word: &str| word.parse::<i64>().is_ok_and(|number| number > 0);
        match treatment {
            _ if is_address(host) && is_address(sandbox) && treatment.is_none() => {
                // A number in hexadecimal, unless both are too long to be one.
                host.len() > 8 && sandbox.len() > 8 && self.spaces.addresses.agree(host, sandbox)
            }
            Some(Treatment::Address) if is_address(host) && is_address(sandbox) => {
                self.spaces.addresses.agree(host, sandbox)
            }
            Some(Treatment::Descriptor) if is_number(host) && is_number(sandbox) => {
                self.spaces.descriptors.bind(host, sandbox);
                true
            }
            Some(Treatment::Id) if is_number(host) && is_number(sandbox) => {
                self.ids.agree(host, sandbox)
            }
            _ => value::sorted_flags(host) == value::sorted_flags(sandbox),
        }
    }

    fn texts(&self, field: Option<&str>, host: &[u8], sandbox: &[u8]) -> Option<Finding> {
        if host == sandbox || self.same_but_ids(host, sandbox) {
            return None;
        }
        let same = host
            .iter()
            .zip(sandbox)
            .take_while(|(host, sandbox)| host == sandbox)
            .count();
        let from = |bytes: &[u8]| {
            let end = bytes.len().min(same + 24);
            bytes
                .get(same..end)
                .unwrap_or_default()
                .escape_ascii()
                .to_string()
        };
        Some(Finding::new(format!(
            "{}from byte {same} on \"{}\" on the host, \"{}\" in the sandbox",
            prefix(field),
            from(host),
            from(sandbox)
        )))
    }

    /// Whether two texts differ in numbers alone that are ids of the same process.
    fn same_but_ids(&self, host: &[u8], sandbox: &[u8]) -> bool {
        let (hosts, sandboxes) = (pieces(host), pieces(sandbox));
        let same =
            |(host, sandbox): (&String, &String)| host == sandbox || self.ids.has(host, sandbox);
        hosts.len() == sandboxes.len() && hosts.iter().zip(&sandboxes).all(same)
    }

    fn groups(&mut self, field: Option<&str>, host: &[Item], sandbox: &[Item]) -> Option<Finding> {
        if let (Some(host), Some(sandbox)) = (entries(host), entries(sandbox)) {
            return listings(&host, &sandbox);
        }
        if host.iter().any(|item| item.name.is_some()) {
            let of_name = |name: &str| {
                sandbox
                    .iter()
                    .find(|item| item.name.as_deref() == Some(name))
            };
            let both = host.iter().filter_map(|item| {
                let name = item.name.as_deref()?;
                Some((name, &item.value, &of_name(name)?.value))
            });
            return both
                .into_iter()
                .find_map(|(name, host, sandbox)| self.compare(Some(name), host, sandbox));
        }
        if sandbox.iter().any(|item| item.name.is_some()) {
            // One side names the members, the other sums them up.
            return None;
        }
        let found = host.iter().zip(sandbox);
        let found = found
            .into_iter()
            .find_map(|(host, sandbox)| self.compare(field, &host.value, &sandbox.value));
        let is_open = |items: &[Item]| items.last().is_some_and(|item| item.value.is_ellipsis());
        let counts = (host.len(), sandbox.len());
        found.or_else(|| {
            let differ = counts.0 != counts.1 && !is_open(host) && !is_open(sandbox);
            differ.then(|| {
                let (host, sandbox) = counts;
                Finding::new(format!(
                    "{}{host} members on the host, {sandbox} in the sandbox",
                    prefix(field)
                ))
            })
        })
    }

    /// Whether a time, or what holds one, is since the runs began.
    fn is_recent(&self, value: &Value) -> bool {
        let seconds = value.field("tv_sec").unwrap_or(value).word();
        let seconds = seconds.and_then(|word| word.parse::<u64>().ok());
        seconds.is_some_and(|seconds| seconds >= self.since)
    }
}

fn prefix(field: Option<&str>) -> String {
    field.map_or_else(String::new, |field| format!("{field}: "))
}

/// Whether a word is printed as addresses are.
pub(super) fn is_address(word: &str) -> bool {
    word.strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|it| it.is_ascii_hexdigit()))
}

/// Runs of digits, and what is between them.
fn pieces(text: &[u8]) -> Vec<String> {
    let chunks = text.chunk_by(|left, right| left.is_ascii_digit() == right.is_ascii_digit());
    chunks
        .map(|chunk| chunk.escape_ascii().to_string())
        .collect()
}

/// Name and type of each entry of a listing, sorted: the order is the file system's own.
fn entries(items: &[Item]) -> Option<Vec<String>> {
    let entry = |item: &Item| {
        let Value::Text { bytes, .. } = item.value.field("d_name")? else {
            return None;
        };
        let kind = item.value.field("d_type")?.word()?;
        Some(format!("{} ({kind})", bytes.escape_ascii()))
    };
    let mut all: Vec<String> = items.iter().map(entry).collect::<Option<_>>()?;
    all.sort();
    (!all.is_empty()).then_some(all)
}

fn listings(host: &[String], sandbox: &[String]) -> Option<Finding> {
    let without = |all: &[String], others: &[String]| -> Vec<String> {
        all.iter()
            .filter(|it| others.binary_search(it).is_err())
            .cloned()
            .collect()
    };
    let (on_host, in_sandbox) = (without(host, sandbox), without(sandbox, host));
    if on_host.is_empty() && in_sandbox.is_empty() {
        return None;
    }
    let list = |names: &[String]| {
        let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
        let more = names.len().saturating_sub(5);
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        if names.is_empty() {
            "none".to_owned()
        } else {
            format!("{}{more}", shown.join(", "))
        }
    };
    Some(Finding::new(format!(
        "entries only on the host: {}; only in the sandbox: {}",
        list(&on_host),
        list(&in_sandbox)
    )))
}

#[cfg(test)]
mod tests {
    use super::{Context, Finding};
    use crate::repro::pairs::{Pairs, Spaces};
    use crate::repro::value::Value;

    fn compare(call: &str, host: &str, sandbox: &str) -> Option<Finding> {
        let (mut ids, mut spaces) = (Pairs::default(), Spaces::default());
        ids.bind("12345", "2");
        let mut context = Context {
            ids: &mut ids,
            spaces: &mut spaces,
            since: 1000,
            call,
        };
        context.compare(None, &Value::parse(host), &Value::parse(sandbox))
    }

    #[test]
    fn what_may_differ_does_not_count() {
        for (call, host, sandbox) in [
            (
                "fstat",
                "{st_ino=5, st_mode=S_IFREG|0644}",
                "{st_dev=makedev(0, 1), st_ino=6, st_mode=S_IFREG|0644, ...}",
            ),
            ("fstat", "{st_mtime=1000}", "{st_mtime=2000}"),
            (
                "statx",
                "{stx_mtime={tv_sec=10, tv_nsec=4}}",
                "{stx_mtime={tv_sec=1001, tv_nsec=4}}",
            ),
            ("read", "\"pid 12345\\n\"", "\"pid 2\\n\""),
            ("read", "\"abc\"...", "\"abcdef\""),
            ("rt_sigaction", "{sa_handler=0x5555}", "{sa_handler=0x7777}"),
            ("fcntl", "O_RDWR|O_APPEND", "O_APPEND|O_RDWR"),
            (
                "poll",
                "[{fd=3, revents=POLLIN}]",
                "[{fd=4, revents=POLLIN}]",
            ),
            (
                "getdents64",
                "[{d_ino=1, d_type=DT_DIR, d_name=\"a\"}, {d_ino=2, d_type=DT_REG, d_name=\"b\"}]",
                "[{d_ino=3, d_type=DT_REG, d_name=\"b\"}, {d_ino=4, d_type=DT_DIR, d_name=\"a\"}]",
            ),
        ] {
            assert_eq!(compare(call, host, sandbox), None, "{call} {host}");
        }
    }

    #[test]
    fn what_differs_is_said() {
        for (call, host, sandbox, what) in [
            (
                "fstat",
                "{st_mode=S_IFREG|0644, st_size=5}",
                "{st_size=6}",
                "st_size: 5 on the host, 6 in the sandbox",
            ),
            (
                "fstat",
                "{st_mtime=10}",
                "{st_mtime=11}",
                "st_mtime: 10 on the host, 11 in the sandbox",
            ),
            (
                "read",
                "\"pid 3\"",
                "\"pid 4\"",
                "from byte 4 on \"3\" on the host, \"4\" in the sandbox",
            ),
            (
                "pipe",
                "[3, 4]",
                "[3]",
                "2 members on the host, 1 in the sandbox",
            ),
            (
                "getdents64",
                "[{d_type=DT_DIR, d_name=\"a\"}]",
                "[{d_type=DT_REG, d_name=\"a\"}]",
                "entries only on the host: a (DT_DIR); only in the sandbox: a (DT_REG)",
            ),
            (
                "ioctl",
                "0x10",
                "0x20",
                "0x10 on the host, 0x20 in the sandbox",
            ),
        ] {
            let found = compare(call, host, sandbox);
            assert_eq!(
                found.map(|it| it.what).as_deref(),
                Some(what),
                "{call} {host}"
            );
        }
        let found = compare("uname", "{release=\"6.1\"}", "{release=\"5.4\"}").unwrap();
        assert!(found.expected.is_some());
    }
}
