//! `runsc list`: all containers of a state directory.

use anyhow::Result;
use clap::Args;
use container::state::{State, StateDir};

use crate::cli::state::full;
use crate::cli::{Format, print};
use crate::config::Config;
use crate::printable::printable;

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print ids only
    #[arg(long, short)]
    quiet: bool,
    /// Form of the list
    #[arg(long, short, default_value = "text")]
    format: Format,
}

impl List {
    pub(crate) fn run(&self, config: &Config) -> Result<u8> {
        let states = StateDir::new(&config.settings.root).list()?;
        if self.quiet {
            states
                .iter()
                .for_each(|state| print(&format!("{}\n", state.id)));
            return Ok(0);
        }
        match self.format {
            Format::Text | Format::Table => print(&table(&states)),
            Format::Json => print(&format!("{}\n", json(&states)?)),
        }
        Ok(0)
    }
}

fn json(states: &[State]) -> Result<String> {
    if states.is_empty() {
        return Ok("null".to_owned());
    }
    let all: Vec<_> = states.iter().map(full).collect();
    Ok(serde_json::to_string(&all)?)
}

fn table(states: &[State]) -> String {
    let heading = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(ToOwned::to_owned);
    let mut rows = vec![heading];
    for state in states {
        let status = state.status().as_str();
        let pid = if status == "stopped" {
            0
        } else {
            state.sandbox.pid
        };
        rows.push([
            state.id.clone(),
            pid.to_string(),
            status.to_owned(),
            state.bundle.to_string_lossy().into_owned(),
            state.created.clone(),
            state.owner.clone(),
        ]);
    }
    columns(&rows)
}

/// Rows with their columns aligned, three spaces apart. What a terminal would act on is escaped.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| printable(cell).into_owned()))
        .collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("   ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{columns, json, table};

    #[test]
    fn no_containers() {
        assert_eq!(json(&[]).unwrap(), "null");
        assert_eq!(table(&[]), "ID   PID   STATUS   BUNDLE   CREATED   OWNER\n");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["a", "bb"], ["ccc", "d"]].map(|row| row.map(ToOwned::to_owned));
        assert_eq!(columns(&rows), "a     bb\nccc   d\n");
    }

    #[test]
    fn no_cell_acts_on_the_terminal() {
        let rows = [["\u{1b}[2J\n", "d"]].map(|row| row.map(ToOwned::to_owned));
        assert_eq!(columns(&rows), "\\u{1b}[2J\\n   d\n");
    }
}
