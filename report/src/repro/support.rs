//! What the kernel's own table says of each call: `runsc help syscalls`.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fixtures::command;

/// The table: a call's name and what is said of it.
#[derive(Debug, Default)]
pub(super) struct Table(HashMap<String, String>);

impl Table {
    /// Asks the program.
    ///
    /// # Errors
    /// It can't be run.
    pub(super) fn of(runsc: &Path) -> anyhow::Result<Self> {
        let mut help = Command::new(runsc);
        help.args(["help", "syscalls"]);
        let output = command::run(&mut help, Duration::from_secs(20))?.success()?;
        Ok(Self::parse(&output.stdout))
    }

    /// Lines of number, name and support.
    fn parse(text: &str) -> Self {
        let row = |line: &str| {
            let (_, rest) = line.trim().split_once(' ')?;
            let (name, support) = rest.trim().split_once(' ')?;
            Some((name.to_owned(), support.trim().to_owned()))
        };
        Self(text.lines().filter_map(row).collect())
    }

    /// What is said of a call that it does not do in full.
    pub(super) fn remark(&self, call: &str) -> Option<&str> {
        let support = self.0.get(call).map(String::as_str);
        support.filter(|support| *support != "full")
    }

    /// Why a call is refused with this error, if the table says so.
    pub(super) fn refusal(&self, call: &str, error: &str) -> Option<&str> {
        let rest = self.0.get(call)?.strip_prefix("refused with ")?;
        rest.starts_with(error).then(|| self.remark(call)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn refusals_count_for_their_error_alone() {
        let table = Table::parse(
            "  0  read                     full\n334  rseq      refused with ENOSYS: no preemption is seen\n \
             9  mmap  partial: huge pages\n",
        );
        assert_eq!(table.remark("read"), None);
        assert_eq!(table.remark("mmap"), Some("partial: huge pages"));
        assert_eq!(table.refusal("rseq", "ENOSYS"), table.remark("rseq"));
        assert!(table.remark("rseq").is_some());
        assert_eq!(table.refusal("rseq", "EINVAL"), None);
    }
}
