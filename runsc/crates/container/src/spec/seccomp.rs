//! `linux.seccomp` compiled to classic BPF: what seccomp(2) of the sandbox's kernel runs for every call of the application
//! (runtime-spec, *Seccomp*).
//!
//! The program looks the call's number up in a binary tree whose leaves are an action, or the call's rules. Rules of one
//! call are tried in the order of the profile; one without conditions decides, whatever comes after it.

use std::collections::BTreeMap;

use abi::syscall_names;
use control::SeccompProfile;
use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};

use crate::spec::bpf::{Block, Condition, MAX_INSTRUCTIONS, Test, Tree};
use crate::spec::invalid;
use crate::{ContainerError, Result};

/// `SECCOMP_FILTER_FLAG_LOG`
const FLAG_LOG: u64 = 2;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`
const FLAG_SPEC_ALLOW: u64 = 4;
/// `SECCOMP_RET_ERRNO`
const RET_ERRNO: u32 = 0x0005_0000;
/// `SECCOMP_RET_ALLOW`
const RET_ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// Calls of the x32 table have this bit.
const X32_BIT: u32 = 0x4000_0000;

/// One rule of a call: the action, if all conditions hold.
type Rule = (Vec<Condition>, u32);

/// Compiles the profile.
///
/// # Errors
/// [`ContainerError::Unsupported`] for what needs a listener, [`ContainerError::Spec`] for what makes no sense.
pub(super) fn compile(profile: &LinuxSeccomp) -> Result<SeccompProfile> {
    if profile.listener_path().is_some() || profile.listener_metadata().is_some() {
        return unsupported("linux.seccomp.listenerPath: notifications are not supported");
    }
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let mut calls: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
    for syscall in profile.syscalls().as_deref().unwrap_or_default() {
        add(&mut calls, syscall, default)?;
    }
    let tree = Tree {
        blocks: blocks(calls, default),
        // What has no table here: as libseccomp has it for an architecture that the profile does not name.
        other_architecture: 0,
    };
    let program = tree.program();
    if program.len() > MAX_INSTRUCTIONS {
        return Err(invalid(
            "linux.seccomp: the profile is too large for a BPF program",
        ));
    }
    Ok(SeccompProfile {
        program,
        flags: flags(profile)?,
    })
}

fn unsupported<T>(reason: &str) -> Result<T> {
    Err(ContainerError::Unsupported(reason.to_owned()))
}

fn flags(profile: &LinuxSeccomp) -> Result<u64> {
    let mut bits = 0;
    for flag in profile.flags().as_deref().unwrap_or_default() {
        bits |= match flag {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => FLAG_LOG,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => FLAG_SPEC_ALLOW,
            // The process has one thread when the filter is installed.
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => {
                return unsupported(
                    "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is for listeners, \
                     which are not supported",
                );
            }
        };
    }
    Ok(bits)
}

/// The value that a filter returns for an action.
fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<u32> {
    let takes_errno = matches!(
        action,
        LinuxSeccompAction::ScmpActErrno | LinuxSeccompAction::ScmpActTrace
    );
    if errno.is_some() && !takes_errno {
        return Err(invalid(format!(
            "linux.seccomp: {action} takes no errnoRet"
        )));
    }
    let data = errno.unwrap_or(EPERM);
    if data > 0xffff {
        return Err(invalid(format!(
            "linux.seccomp: errnoRet {data} is too large"
        )));
    }
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => 0,
        LinuxSeccompAction::ScmpActKillProcess => 0x8000_0000,
        LinuxSeccompAction::ScmpActTrap => 0x0003_0000,
        LinuxSeccompAction::ScmpActErrno => RET_ERRNO | data,
        LinuxSeccompAction::ScmpActTrace => 0x7ff0_0000 | data,
        LinuxSeccompAction::ScmpActLog => 0x7ffc_0000,
        LinuxSeccompAction::ScmpActAllow => RET_ALLOW,
        LinuxSeccompAction::ScmpActNotify => {
            return unsupported("linux.seccomp: SCMP_ACT_NOTIFY is not supported");
        }
    })
}

/// Enters the rules of one entry. Names that no call of this architecture has mean nothing here, as for runc.
fn add(calls: &mut BTreeMap<u32, Vec<Rule>>, syscall: &LinuxSyscall, default: u32) -> Result<()> {
    if syscall.names().is_empty() {
        return Err(invalid("linux.seccomp.syscalls has an entry without names"));
    }
    let wanted = action(syscall.action(), syscall.errno_ret())?;
    let args = syscall.args().as_deref().unwrap_or_default();
    let alternatives = alternatives(args)?;
    for number in syscall
        .names()
        .iter()
        .filter_map(|name| syscall_names::number(name))
    {
        let rules = calls.entry(number).or_default();
        if wanted == default {
            continue;
        }
        rules.extend(
            alternatives
                .iter()
                .map(|conditions| (conditions.clone(), wanted)),
        );
    }
    Ok(())
}

/// Conditions that must hold together; several on the same argument are alternatives.
fn alternatives(args: &[LinuxSeccompArg]) -> Result<Vec<Vec<Condition>>> {
    let conditions: Vec<Condition> = args.iter().map(condition).collect::<Result<_>>()?;
    let repeated = conditions.iter().enumerate().any(|(at, c)| {
        conditions
            .iter()
            .take(at)
            .any(|other| other.index == c.index)
    });
    Ok(if repeated {
        conditions
            .into_iter()
            .map(|condition| vec![condition])
            .collect()
    } else {
        vec![conditions]
    })
}

fn condition(arg: &LinuxSeccompArg) -> Result<Condition> {
    let index = u32::try_from(arg.index())
        .ok()
        .filter(|index| *index < 6)
        .ok_or_else(|| {
            invalid(format!(
                "linux.seccomp: there is no argument {}",
                arg.index()
            ))
        })?;
    let value = arg.value();
    let test = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => Test::Ne(value),
        LinuxSeccompOperator::ScmpCmpLt => Test::Lt(value),
        LinuxSeccompOperator::ScmpCmpLe => Test::Le(value),
        LinuxSeccompOperator::ScmpCmpEq => Test::Eq(value),
        LinuxSeccompOperator::ScmpCmpGe => Test::Ge(value),
        LinuxSeccompOperator::ScmpCmpGt => Test::Gt(value),
        LinuxSeccompOperator::ScmpCmpMaskedEq => Test::MaskedEq {
            mask: value,
            value: arg.value_two().unwrap_or(0),
        },
    };
    Ok(Condition { index, test })
}

/// What to do for every number, from 0 on, each block up to the next one.
fn blocks(calls: BTreeMap<u32, Vec<Rule>>, default: u32) -> Vec<(u32, Block)> {
    let beyond = beyond(calls.last_key_value().map(|(last, _)| *last), default);
    let mut blocks: Vec<(u32, Block)> = Vec::new();
    let mut push = |from: u32, block: Block| {
        if blocks.last().is_none_or(|(_, last)| *last != block) {
            blocks.push((from, block));
        }
    };
    let mut next = 0;
    for (number, rules) in calls {
        if number > next {
            push(next, Block::always(default));
        }
        push(number, block(rules, default));
        next = number.saturating_add(1);
    }
    push(next, Block::always(beyond));
    push(X32_BIT, Block::always(0));
    blocks
}

/// Calls newer than any that the profile knows: where it answers unknown ones with an errno, ENOSYS has programs fall
/// back on older calls (as runc does).
fn beyond(last: Option<u32>, default: u32) -> u32 {
    let answers_errno = default & 0xffff_0000 == RET_ERRNO;
    if last.is_some() && answers_errno {
        RET_ERRNO | ENOSYS
    } else {
        default
    }
}

fn block(rules: Vec<Rule>, default: u32) -> Block {
    let mut block = Block {
        rules: Vec::new(),
        otherwise: default,
    };
    // libseccomp: what is said of a call without conditions counts more than what is said with them.
    if let Some((_, action)) = rules.iter().find(|(conditions, _)| conditions.is_empty()) {
        return Block::always(*action);
    }
    block.rules = rules;
    block
}

#[cfg(test)]
mod tests {
    use control::SeccompProfile;
    use oci_spec::runtime::LinuxSeccomp;
    use serde_json::{Value, json};

    use super::{RET_ALLOW, RET_ERRNO, compile};
    use crate::Result;
    use crate::spec::bpf::tests::{X86_64, run};

    fn profile(value: Value) -> Result<SeccompProfile> {
        let spec: LinuxSeccomp = serde_json::from_value(value).unwrap();
        compile(&spec)
    }

    fn answer(profile: &SeccompProfile, number: u32, args: [u64; 6]) -> u32 {
        run(&profile.program, number, X86_64, args)
    }

    const NONE: [u64; 6] = [0; 6];

    #[test]
    fn actions_by_number() {
        let profile = profile(json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                {"names": ["getcwd", "no_such_call"], "action": "SCMP_ACT_ERRNO"},
                {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30},
                {"names": ["rmdir"], "action": "SCMP_ACT_KILL_PROCESS"},
            ],
        }))
        .unwrap();
        for (number, wanted) in [
            (79, RET_ERRNO | 1),
            (83, RET_ERRNO | 30),
            (84, 0x8000_0000),
            (0, RET_ALLOW),
            (82, RET_ALLOW),
            (500, RET_ALLOW),
            (0x4000_0000, 0),
        ] {
            assert_eq!(answer(&profile, number, NONE), wanted, "{number}");
        }
        assert_eq!(run(&profile.program, 79, 0x4000_0003, NONE), 0);
    }

    #[test]
    fn newer_calls_are_not_implemented() {
        let profile = profile(json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{"names": ["read", "close"], "action": "SCMP_ACT_ALLOW"}],
        }))
        .unwrap();
        for (number, wanted) in [
            (0, RET_ALLOW),
            (1, RET_ERRNO | 1),
            (3, RET_ALLOW),
            (4, RET_ERRNO | 38),
        ] {
            assert_eq!(answer(&profile, number, NONE), wanted, "{number}");
        }
    }

    #[test]
    fn conditions_hold_together_and_on_one_argument_they_are_alternatives() {
        let profile = profile(json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [
                {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
                 "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"},
                          {"index": 0, "value": 0xffff_ffff_u32, "op": "SCMP_CMP_EQ"}]},
                {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
                 "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_GE"},
                          {"index": 1, "value": 3, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]},
            ],
        }))
        .unwrap();
        for (number, args, allowed) in [
            (135, [0, 0, 0, 0, 0, 0], true),
            (135, [0xffff_ffff, 0, 0, 0, 0, 0], true),
            (135, [0x1_0000_0000, 0, 0, 0, 0, 0], false),
            (135, [8, 0, 0, 0, 0, 0], false),
            (41, [1, 2, 0, 0, 0, 0], true),
            (41, [5, 6, 0, 0, 0, 0], true),
            (41, [0, 2, 0, 0, 0, 0], false),
            (41, [1, 1, 0, 0, 0, 0], false),
        ] {
            assert_eq!(
                answer(&profile, number, args) == RET_ALLOW,
                allowed,
                "{number} {args:?}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for (value, part) in [
            (
                json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
                "SCMP_ACT_NOTIFY",
            ),
            (
                json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"}),
                "listenerPath",
            ),
            (
                json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}),
                "errnoRet",
            ),
            (
                json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_KILL"}]}),
                "names",
            ),
            (
                json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL",
                    "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}),
                "argument 6",
            ),
        ] {
            let error = profile(value).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
