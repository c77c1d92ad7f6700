//! Lists compiled to BPF and installed.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::entry::{Argument, Entry, Refusal, Rule};

/// A list ready to be installed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    allowed: BTreeMap<i64, Vec<SeccompRule>>,
    refused: Vec<Refusal>,
}

/// Why a filter could not be put in force.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The list is not expressible.
    #[error("cannot compile the system call filter: {0}")]
    Compile(#[from] seccompiler::BackendError),
    /// The kernel refused it.
    #[error("cannot install the system call filter: {0}")]
    Install(#[from] seccompiler::Error),
}

impl Filter {
    /// A filter of these lists.
    ///
    /// # Errors
    /// [`FilterError::Compile`] for a list that can't be expressed.
    pub fn new(entries: &[Entry], refusals: &[Refusal]) -> Result<Filter, FilterError> {
        let mut filter = Filter::default();
        for entry in entries {
            filter.add(entry)?;
        }
        for refusal in refusals {
            // Refusals are a filter of their own, of which this one must not be stricter.
            filter.allow(refusal.number);
            filter.refused.push(*refusal);
        }
        Ok(filter)
    }

    /// Adds a line. Lines for the same call add up; one without conditions wins.
    ///
    /// # Errors
    /// [`FilterError::Compile`] for a line that can't be expressed.
    pub fn add(&mut self, entry: &Entry) -> Result<(), FilterError> {
        match entry.rule {
            Rule::Always => self.allow(entry.number),
            Rule::AnyOf(groups) => {
                let rules = self.allowed.get(&entry.number);
                if rules.is_some_and(Vec::is_empty) {
                    return Ok(());
                }
                for group in groups {
                    let conditions = group.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
                    let rule = SeccompRule::new(conditions)?;
                    self.allowed.entry(entry.number).or_default().push(rule);
                }
            }
        }
        Ok(())
    }

    /// Allows a call with these values of one argument, as requests of ioctl(2) are.
    ///
    /// # Errors
    /// [`FilterError::Compile`] for what can't be expressed.
    pub fn allow_values(
        &mut self,
        number: i64,
        argument: u8,
        values: &[u32],
    ) -> Result<(), FilterError> {
        if self.allowed.get(&number).is_some_and(Vec::is_empty) {
            return Ok(());
        }
        for &value in values {
            let rule = SeccompRule::new(vec![condition(&Argument::Is(argument, value))?])?;
            self.allowed.entry(number).or_default().push(rule);
        }
        Ok(())
    }

    /// Allows a call whatever its arguments.
    pub fn allow(&mut self, number: i64) {
        self.allowed.insert(number, Vec::new());
    }

    /// Puts the filter in force in every thread of the process, for good. Sets `no_new_privs`.
    ///
    /// # Errors
    /// [`FilterError::Install`] when the kernel refuses.
    pub fn install(self) -> Result<(), FilterError> {
        for refusal in &self.refused {
            let errno = u32::try_from(refusal.errno).unwrap_or(1);
            let program = compile(
                BTreeMap::from([(refusal.number, Vec::new())]),
                SeccompAction::Allow,
                SeccompAction::Errno(errno),
            )?;
            seccompiler::apply_filter_all_threads(&program)?;
        }
        let program = compile(self.allowed, SeccompAction::Trap, SeccompAction::Allow)?;
        seccompiler::apply_filter_all_threads(&program)?;
        Ok(())
    }
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    on_match: SeccompAction,
) -> Result<BpfProgram, FilterError> {
    let filter = SeccompFilter::new(rules, otherwise, on_match, TargetArch::x86_64)?;
    Ok(filter.try_into()?)
}

fn condition(argument: &Argument) -> Result<SeccompCondition, seccompiler::BackendError> {
    match *argument {
        Argument::Is(index, value) => SeccompCondition::new(
            index,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Eq,
            u64::from(value),
        ),
        Argument::Masked(index, mask, value) => SeccompCondition::new(
            index,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(mask),
            value,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;
    use crate::entry::Entry;
    use crate::{Refusal, gofer, oom_victim, sandbox, watcher};

    fn lists() -> [(&'static [Entry], &'static [Refusal]); 4] {
        [
            (sandbox::ENTRIES, sandbox::REFUSALS),
            (gofer::ENTRIES, gofer::REFUSALS),
            (watcher::ENTRIES, &[]),
            (oom_victim::ENTRIES, &[]),
        ]
    }

    #[test]
    fn every_list_compiles() {
        for (entries, refusals) in lists() {
            let filter = Filter::new(entries, refusals).unwrap();
            super::compile(
                filter.allowed,
                seccompiler::SeccompAction::Trap,
                seccompiler::SeccompAction::Allow,
            )
            .unwrap();
        }
    }

    #[test]
    fn every_line_has_a_reason_and_no_call_has_two_lines() {
        for (entries, _) in lists() {
            for (index, entry) in entries.iter().enumerate() {
                assert!(entry.reason.len() > 3, "{entry:?}");
                assert!(
                    entries
                        .iter()
                        .skip(index + 1)
                        .all(|other| other.number != entry.number),
                    "{entry:?}"
                );
            }
        }
    }

    #[test]
    fn no_list_can_reach_a_new_program_or_namespace() {
        let forbidden = [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_fork,
            libc::SYS_vfork,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_mount,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_setuid,
            libc::SYS_chroot,
        ];
        for (entries, _) in lists() {
            assert!(
                entries
                    .iter()
                    .all(|entry| !forbidden.contains(&entry.number))
            );
        }
    }
}
