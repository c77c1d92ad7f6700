//! The report for people: per place the first difference with what is around it, then the others in a line each.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use crate::repro::session::{Difference, Side};
use crate::repro::{End, PlaceReport, Report};

/// The longest line that is shown whole.
const WIDTH: usize = 160;
/// Most differences that are listed behind the first.
const MOST: usize = 20;
/// Most lines of output that are shown.
const MOST_LINES: usize = 20;

/// The report; `known` says that known differences count as others do.
pub(super) fn render(report: &Report, known: bool) -> String {
    let places = report.places.iter().map(|place| of_place(place, known));
    places.collect::<Vec<_>>().join("\n")
}

fn of_place(place: &PlaceReport, known: bool) -> String {
    let mut text = String::new();
    let session = &place.session;
    let is_new = |it: &&Difference| known || it.known.is_none();
    let new: Vec<&Difference> = session.differences.iter().filter(is_new).collect();
    let old: Vec<&Difference> = session
        .differences
        .iter()
        .filter(|it| !is_new(it))
        .collect();
    let verdict = if place.differs { "" } else { "no difference: " };
    // Writing to a string can't fail.
    let _ = writeln!(
        text,
        "{}: {verdict}{} calls agree, {} differ, {} differ as known; {} threads",
        place.name,
        session.agreed,
        new.len(),
        old.len(),
        session.threads,
    );
    if let Some((first, others)) = new.split_first() {
        in_full(&mut text, first);
        list(&mut text, "further differences", others);
    }
    for End { what, how, known } in &place.ends {
        let _ = match known {
            Some(why) => writeln!(text, "  {what} differs ({why})"),
            None => writeln!(text, "  {what}:{}", indent(how)),
        };
    }
    list(&mut text, "known", &old);
    alone(
        &mut text,
        "only on the host",
        &session.only_host,
        session.unpaired.0,
    );
    alone(
        &mut text,
        "only in the sandbox",
        &session.only_sandbox,
        session.unpaired.1,
    );
    text
}

/// The first difference.
fn in_full(text: &mut String, difference: &Difference) {
    let Difference {
        call, what, thread, ..
    } = difference;
    let _ = writeln!(text, "  first difference: {call}, thread {thread}: {what}");
    if let Some(support) = &difference.support {
        let _ = writeln!(text, "  the table says of {call}: {support}");
    }
    around(text, "on the host", &difference.host);
    around(text, "in the sandbox", &difference.sandbox);
}

fn around(text: &mut String, title: &str, side: &Side) {
    let _ = writeln!(text, "  {title}:");
    for (index, line) in side.lines.iter().enumerate() {
        let mark = if index == side.which { '>' } else { ' ' };
        let _ = writeln!(text, "  {mark} {}", shorten(line));
    }
}

/// Differences in a line each; those that are alike in one.
fn list(text: &mut String, title: &str, differences: &[&Difference]) {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for difference in differences {
        let reason = difference.known.as_ref().or(difference.support.as_ref());
        let reason = reason.map_or_else(String::new, |why| format!(" ({why})"));
        let line = shorten(&format!("{}: {}", difference.call, difference.what)) + &reason;
        match lines.iter_mut().find(|(known, _)| *known == line) {
            Some((_, count)) => *count += 1,
            None => lines.push((line, 1)),
        }
    }
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "  {title}:");
    for (line, count) in lines.iter().take(MOST) {
        let times = if *count > 1 {
            format!(", {count} times")
        } else {
            String::new()
        };
        let _ = writeln!(text, "    {line}{times}");
    }
    if lines.len() > MOST {
        let _ = writeln!(text, "    and {} more", lines.len() - MOST);
    }
}

/// Calls that one side alone saw.
fn alone(text: &mut String, title: &str, calls: &BTreeMap<String, usize>, threads: usize) {
    let mut parts: Vec<String> = calls
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if threads > 0 {
        parts.push(format!("threads {threads}"));
    }
    if !parts.is_empty() {
        let _ = writeln!(text, "  {title}: {}", parts.join(", "));
    }
}

/// What differs in two texts, line by line.
pub(super) fn changes(host: &str, sandbox: &str) -> String {
    let diff = TextDiff::from_lines(host, sandbox);
    let sign = |tag| match tag {
        ChangeTag::Delete => Some("host"),
        ChangeTag::Insert => Some("sandbox"),
        ChangeTag::Equal => None,
    };
    let lines = diff.iter_all_changes().filter_map(|change| {
        let line = change.value().trim_end_matches('\n');
        Some(format!("\n{:<8}{}", sign(change.tag())?, shorten(line)))
    });
    let mut lines: Vec<String> = lines.collect();
    let more = lines.len().saturating_sub(MOST_LINES);
    lines.truncate(MOST_LINES);
    if more > 0 {
        lines.push(format!("\nand {more} more lines"));
    }
    lines.concat()
}

/// Behind a colon: in the same line, or indented below it.
fn indent(text: &str) -> String {
    let gap = if text.starts_with('\n') { "" } else { " " };
    format!("{gap}{}", text.replace('\n', "\n    "))
}

/// A line without its middle, if it is long.
fn shorten(line: &str) -> String {
    let count = line.chars().count();
    if count <= WIDTH {
        return line.to_owned();
    }
    let end = WIDTH / 3;
    let begin: String = line.chars().take(WIDTH - end).collect();
    let rest: String = line.chars().skip(count - end).collect();
    format!("{begin} … {rest}")
}

#[cfg(test)]
mod tests {
    use super::{changes, render, shorten};
    use crate::repro::session::{Difference, Session, Side};
    use crate::repro::{End, PlaceReport, Report};

    fn difference(call: &str, known: Option<&str>) -> Difference {
        let side = |line: &str| Side {
            lines: vec!["before() = 0".to_owned(), line.to_owned()],
            which: 1,
        };
        Difference {
            call: call.to_owned(),
            what: "returned 0 on the host, ENOSYS in the sandbox".to_owned(),
            known: known.map(str::to_owned),
            support: Some("partial: half".to_owned()),
            thread: 2,
            at: 0,
            host: side("x() = 0"),
            sandbox: side("x() = -1 ENOSYS (Function not implemented)"),
            error: None,
        }
    }

    #[test]
    fn the_first_difference_is_shown_in_full() {
        let place = PlaceReport {
            name: "runsc-kvm".to_owned(),
            session: Session {
                agreed: 5,
                only_host: [("futex".to_owned(), 2)].into(),
                threads: 3,
                differences: vec![
                    difference("a", Some("as told")),
                    difference("b", None),
                    difference("c", None),
                    difference("c", None),
                ],
                ..Session::default()
            },
            ends: vec![End {
                what: "standard output".to_owned(),
                how: changes("a\nb\n", "a\nc\n"),
                known: None,
            }],
            differs: true,
        };
        let text = render(
            &Report {
                places: vec![place],
            },
            false,
        );
        assert_eq!(
            text,
            "runsc-kvm: 5 calls agree, 3 differ, 1 differ as known; 3 threads
  first difference: b, thread 2: returned 0 on the host, ENOSYS in the sandbox
  the table says of b: partial: half
  on the host:
    before() = 0
  > x() = 0
  in the sandbox:
    before() = 0
  > x() = -1 ENOSYS (Function not implemented)
  further differences:
    c: returned 0 on the host, ENOSYS in the sandbox (partial: half), 2 times
  standard output:
    host    b
    sandbox c
  known:
    a: returned 0 on the host, ENOSYS in the sandbox (as told)
  only on the host: futex 2
"
        );
    }

    #[test]
    fn long_lines_lose_their_middle() {
        let line = "é".repeat(500);
        assert!(shorten(&line).chars().count() < 170);
        assert_eq!(shorten("short"), "short");
    }
}
