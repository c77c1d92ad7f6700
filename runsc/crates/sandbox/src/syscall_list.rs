//! `runsc help syscalls`: the kernel's table for people and for programs.

use std::fmt::Write;

use sentry::syscalls::table::rows;
use sentry::syscalls::{Call, Support};

/// Gives one line per call: number, name, support.
#[must_use]
pub fn describe_syscalls() -> String {
    let mut text = String::new();
    for call in rows() {
        let (support, detail) = support(call);
        let _ = write!(text, "{:>3}  {:<24} ", call.number, call.name);
        let _ = match call.support {
            Support::Full => writeln!(text, "{support}"),
            Support::Refused(errno, _) => {
                writeln!(text, "{support} with {}: {detail}", errno.name())
            }
            Support::Partial(_) | Support::Hint => writeln!(text, "{support}: {detail}"),
        };
    }
    text
}

/// Gives the table as JSON: an array with an object per call.
#[must_use]
pub fn syscalls_json() -> String {
    let object = |call: &Call| {
        let (support, detail) = support(call);
        serde_json::json!({
            "number": call.number,
            "name": call.name,
            "arguments": call.arguments().collect::<Vec<_>>(),
            "support": support,
            "detail": detail,
            "error": error(call),
            "tests": call.tests,
        })
    };
    let all: Vec<_> = rows().map(object).collect();
    format!("{}\n", serde_json::Value::from(all))
}

/// Gives the table as CSV (RFC 4180) with a line of names; lists in a field are separated by spaces.
#[must_use]
pub fn syscalls_csv() -> String {
    let mut text = String::from("number,name,arguments,support,error,detail,tests\r\n");
    for call in rows() {
        let (support, detail) = support(call);
        let arguments: Vec<_> = call.arguments().collect();
        let _ = write!(
            text,
            "{},{},{},{support},{},{},{}\r\n",
            call.number,
            call.name,
            arguments.join(" "),
            error(call).unwrap_or_default(),
            quoted(detail),
            call.tests.join(" ")
        );
    }
    text
}

/// How far a call is supported, in a word, and what there is to say of it.
fn support(call: &Call) -> (&'static str, &'static str) {
    match call.support {
        Support::Full => ("full", ""),
        Support::Partial(missing) => ("partial", missing),
        Support::Hint => ("hint", "accepted without effect"),
        Support::Refused(_, why) => ("refused", why),
    }
}

/// The error that a call is refused with.
fn error(call: &Call) -> Option<&'static str> {
    match call.support {
        Support::Refused(errno, _) => Some(errno.name()),
        _ => None,
    }
}

/// A field in quotes, which are doubled inside.
fn quoted(field: &str) -> String {
    format!("\"{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::{describe_syscalls, syscalls_csv, syscalls_json};

    #[test]
    fn forms_say_the_same() {
        let text = describe_syscalls();
        let csv = syscalls_csv();
        let json: Vec<serde_json::Value> = serde_json::from_str(&syscalls_json()).unwrap();
        assert_eq!(json.len(), text.lines().count());
        assert_eq!(json.len() + 1, csv.lines().count());
        for ((line, row), object) in text.lines().zip(csv.lines().skip(1)).zip(&json) {
            let (number, name) = (
                object["number"].as_u64().unwrap(),
                object["name"].as_str().unwrap(),
            );
            let support = object["support"].as_str().unwrap();
            assert!(line.starts_with(&format!("{number:>3}  {name}")), "{line}");
            assert!(line.contains(support), "{line}");
            assert!(row.starts_with(&format!("{number},{name},")), "{row}");
            assert!(row.contains(&format!(",{support},")), "{row}");
        }
    }

    #[test]
    fn rows_say_what_there_is_to_say() {
        let text = describe_syscalls();
        assert!(
            text.contains("\n  1  write                    full\n"),
            "{text}"
        );
        assert!(
            text.contains("refused with ENOSYS: the Sentry does not see"),
            "{text}"
        );
        assert!(text.contains("hint: accepted without effect"), "{text}");
        let csv = syscalls_csv();
        assert!(csv.contains("\r\n62,kill,pid signal,full,,\"\","), "{csv}");
        assert!(csv.contains("\r\n323,userfaultfd,flags,refused,ENOSYS,\"as a kernel without CONFIG_USERFAULTFD\",\r\n"));
    }
}
