//! `runsc events`: what a container uses, once or again and again, and when it runs out of memory.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use container::events::{Event, Watch};
use serde_json::{Value, json};

use crate::cli::print;
use crate::config::Config;

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Time between two samples: 5s, 1m30s, 500ms, or seconds
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    interval: Duration,
    /// Print one sample and end
    #[arg(long)]
    stats: bool,
    /// The container's id
    #[arg(value_name = "ID")]
    id: String,
}

fn interval(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text)
        .filter(|interval| !interval.is_zero())
        .ok_or("want a time such as 5s")
}

impl Events {
    pub(crate) fn run(&self, config: &Config) -> Result<u8> {
        let id = self.id.as_str();
        let mut watch = Watch::new(&config.settings, id)?;
        if self.stats {
            emit("stats", id, Some(serde_json::to_value(watch.stats())?));
            return Ok(0);
        }
        let mut next = Instant::now() + self.interval;
        loop {
            match watch.next(next) {
                Event::Due => {
                    emit("stats", id, Some(serde_json::to_value(watch.stats())?));
                    next += self.interval;
                }
                Event::OutOfMemory => emit("oom", id, None),
                Event::Ended => return Ok(0),
            }
        }
    }
}

fn emit(kind: &str, id: &str, data: Option<Value>) {
    let mut line = json!({ "type": kind, "id": id });
    if let Some(data) = data {
        line["data"] = data;
    }
    print(&format!("{line}\n"));
}

/// A Go duration, or a number of seconds.
fn parse_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let value: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let name = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = rest.get(..name)?;
        rest = rest.get(name..)?;
        let factor = match unit {
            "" if seconds == 0.0 && rest.is_empty() => 1.0,
            unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        seconds += value * factor;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse_duration;

    #[test]
    fn durations_of_go() {
        for (text, milliseconds) in [
            ("5s", 5000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("7", 7000),
            ("0.25", 250),
        ] {
            let expected = Some(Duration::from_millis(milliseconds));
            assert_eq!(parse_duration(text), expected, "{text}");
        }
        for bad in ["s", "5x", "-1s", "1s5", "1..2s", "ß"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
