//! The BPF programs of seccomp filters (`man 2 seccomp`): a binary tree over call numbers, and tests of 64-bit arguments
//! in two halves, which is all that the machine's 32-bit accumulator can compare.

/// `BPF_MAXINSNS`
pub(super) const MAX_INSTRUCTIONS: usize = 4096;

/// `BPF_LD | BPF_W | BPF_ABS`
const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JA`
const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`
const JUMP_EQ: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`
const JUMP_GT: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`
const JUMP_GE: u16 = 0x35;
/// `BPF_ALU | BPF_AND | BPF_K`
const AND: u16 = 0x54;
/// `BPF_RET | BPF_K`
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
/// `AUDIT_ARCH_X86_64`
const X86_64: u32 = 0xc000_003e;

/// `struct sock_filter`: code, two jump offsets, a constant; as the eight bytes that it is.
type Instruction = [u8; 8];

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    let [c0, c1] = code.to_ne_bytes();
    let [k0, k1, k2, k3] = k.to_ne_bytes();
    [c0, c1, jt, jf, k0, k1, k2, k3]
}

/// A test of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Eq(u64),
    Ne(u64),
    Lt(u64),
    Le(u64),
    Gt(u64),
    Ge(u64),
    MaskedEq { mask: u64, value: u64 },
}

/// A test of the argument `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0 to 5.
    pub(super) index: u32,
    pub(super) test: Test,
}

/// What to do for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The action of the first whose conditions all hold.
    pub(super) rules: Vec<(Vec<Condition>, u32)>,
    /// Else.
    pub(super) otherwise: u32,
}

impl Block {
    /// The same action always.
    pub(super) fn always(action: u32) -> Block {
        Block {
            rules: Vec::new(),
            otherwise: action,
        }
    }

    fn emit(&self, out: &mut Vec<Instruction>) {
        for (conditions, action) in &self.rules {
            let mut tests = Vec::new();
            // From behind, so that the way to the rule's end is known.
            for condition in conditions.iter().rev() {
                let to_end = tests.len() + 1;
                let mut test = condition.emit(to_end);
                test.append(&mut tests);
                tests = test;
            }
            out.append(&mut tests);
            out.push(instruction(RETURN, 0, 0, *action));
        }
        out.push(instruction(RETURN, 0, 0, self.otherwise));
    }
}

/// Where a jump leads.
#[derive(Clone, Copy)]
enum To {
    Next,
    /// The condition holds.
    Pass,
    /// It does not: to the end of the rule.
    Fail,
}

impl Condition {
    /// The test. It falls through if it holds, else skips the `after` instructions that follow it.
    fn emit(&self, after: usize) -> Vec<Instruction> {
        let steps = self.test.steps(ARGUMENTS + 8 * self.index);
        let len = steps.len();
        let offset = |at: usize, to: To| {
            let distance = match to {
                To::Next => 0,
                To::Pass => len - at - 1,
                To::Fail => len - at - 1 + after,
            };
            // Six conditions of at most seven instructions.
            u8::try_from(distance).unwrap_or(u8::MAX)
        };
        let emit = |(at, (code, jt, jf, k)): (usize, Step)| {
            instruction(code, offset(at, jt), offset(at, jf), k)
        };
        steps.into_iter().enumerate().map(emit).collect()
    }
}

type Step = (u16, To, To, u32);

impl Test {
    /// The upper half lies behind the lower one on x86-64.
    fn steps(self, at: u32) -> Vec<Step> {
        let load = |at: u32| (LOAD, To::Next, To::Next, at);
        let and = |mask: u32| (AND, To::Next, To::Next, mask);
        let (low, high) = (load(at), load(at + 4));
        // Ge and Gt, and with their outcomes exchanged, Lt and Le.
        let ordered = |code: u16, value: u64, yes: To, no: To| {
            let (value_low, value_high) = halves(value);
            vec![
                high,
                (JUMP_GT, yes, To::Next, value_high),
                (JUMP_EQ, To::Next, no, value_high),
                low,
                (code, yes, no, value_low),
            ]
        };
        match self {
            Test::Eq(value) => Test::MaskedEq {
                mask: u64::MAX,
                value,
            }
            .steps(at),
            Test::MaskedEq { mask, value } => {
                let (value_low, value_high) = halves(value);
                let (mask_low, mask_high) = halves(mask);
                vec![
                    high,
                    and(mask_high),
                    (JUMP_EQ, To::Next, To::Fail, value_high),
                    low,
                    and(mask_low),
                    (JUMP_EQ, To::Pass, To::Fail, value_low),
                ]
            }
            Test::Ne(value) => {
                let (value_low, value_high) = halves(value);
                vec![
                    high,
                    (JUMP_EQ, To::Next, To::Pass, value_high),
                    low,
                    (JUMP_EQ, To::Fail, To::Pass, value_low),
                ]
            }
            Test::Ge(value) => ordered(JUMP_GE, value, To::Pass, To::Fail),
            Test::Gt(value) => ordered(JUMP_GT, value, To::Pass, To::Fail),
            Test::Lt(value) => ordered(JUMP_GE, value, To::Fail, To::Pass),
            Test::Le(value) => ordered(JUMP_GT, value, To::Fail, To::Pass),
        }
    }
}

/// Lower and upper half.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves are what is wanted"
)]
fn halves(value: u64) -> (u32, u32) {
    (value as u32, (value >> 32) as u32)
}

/// A whole filter.
#[derive(Debug)]
pub(super) struct Tree {
    /// What to do from which number on; the first is 0.
    pub(super) blocks: Vec<(u32, Block)>,
    /// The action for calls of another architecture's table.
    pub(super) other_architecture: u32,
}

impl Tree {
    /// The instructions.
    pub(super) fn program(&self) -> Vec<Instruction> {
        let mut out = vec![
            instruction(LOAD, 0, 0, ARCHITECTURE),
            instruction(JUMP_EQ, 1, 0, X86_64),
            instruction(RETURN, 0, 0, self.other_architecture),
            instruction(LOAD, 0, 0, NUMBER),
        ];
        emit(&self.blocks, &mut out);
        out
    }
}

/// Halves the blocks until one is left.
fn emit(blocks: &[(u32, Block)], out: &mut Vec<Instruction>) {
    let (left, right) = blocks.split_at(blocks.len() / 2);
    match (left, right) {
        ([], []) => {}
        ([], [(_, block), ..]) => block.emit(out),
        (left, [(from, _), ..]) => {
            let mut first = Vec::new();
            emit(left, &mut first);
            let skip = u32::try_from(first.len()).unwrap_or(u32::MAX);
            out.push(instruction(JUMP_GE, 0, 1, *from));
            out.push(instruction(JUMP, 0, 0, skip));
            out.append(&mut first);
            emit(right, out);
        }
        (left, []) => emit(left, out),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::{any, prop_oneof, proptest};
    use proptest::strategy::{Just, Strategy};

    use super::{
        AND, Block, Condition, Instruction, JUMP, JUMP_EQ, JUMP_GE, JUMP_GT, LOAD, RETURN, Test,
        Tree,
    };

    pub(in crate::spec) const X86_64: u32 = super::X86_64;

    /// The machine, for programs as they are made here.
    pub(in crate::spec) fn run(
        program: &[Instruction],
        number: u32,
        architecture: u32,
        args: [u64; 6],
    ) -> u32 {
        let word = |at: u32| match at {
            0 => number,
            4 => architecture,
            at => {
                let arg = args[usize::try_from((at - 16) / 8).unwrap()];
                let (low, high) = super::halves(arg);
                if at % 8 == 0 { low } else { high }
            }
        };
        let (mut at, mut accumulator) = (0_usize, 0);
        loop {
            let [c0, c1, jt, jf, k @ ..] = program[at];
            let k = u32::from_ne_bytes(k);
            let jump = |taken: bool| usize::from(if taken { jt } else { jf });
            at += 1;
            match u16::from_ne_bytes([c0, c1]) {
                LOAD => accumulator = word(k),
                AND => accumulator &= k,
                JUMP => at += usize::try_from(k).unwrap(),
                JUMP_EQ => at += jump(accumulator == k),
                JUMP_GT => at += jump(accumulator > k),
                JUMP_GE => at += jump(accumulator >= k),
                RETURN => return k,
                code => panic!("code {code:#x}"),
            }
        }
    }

    fn holds(condition: &Condition, args: [u64; 6]) -> bool {
        let arg = args[usize::try_from(condition.index).unwrap()];
        match condition.test {
            Test::Eq(value) => arg == value,
            Test::Ne(value) => arg != value,
            Test::Lt(value) => arg < value,
            Test::Le(value) => arg <= value,
            Test::Gt(value) => arg > value,
            Test::Ge(value) => arg >= value,
            Test::MaskedEq { mask, value } => arg & mask == value,
        }
    }

    /// Values that often are equal, in one half or both.
    fn value() -> impl Strategy<Value = u64> {
        let half = || prop_oneof![Just(0_u64), Just(1), Just(2), Just(0xffff_ffff)];
        (half(), half()).prop_map(|(low, high)| low | high << 32)
    }

    fn test() -> impl Strategy<Value = Test> {
        (0..7_u8, value(), value()).prop_map(|(kind, value, mask)| match kind {
            0 => Test::Eq(value),
            1 => Test::Ne(value),
            2 => Test::Lt(value),
            3 => Test::Le(value),
            4 => Test::Gt(value),
            5 => Test::Ge(value),
            _ => Test::MaskedEq { mask, value },
        })
    }

    proptest! {
        #[test]
        fn tests_mean_what_they_say(
            tests in proptest::collection::vec((0..6_u32, test()), 1..7),
            args in proptest::array::uniform6(value()),
        ) {
            let conditions: Vec<Condition> =
                tests.into_iter().map(|(index, test)| Condition { index, test }).collect();
            let block = Block { rules: vec![(conditions.clone(), 7)], otherwise: 9 };
            let tree = Tree { blocks: vec![(0, block)], other_architecture: 1 };
            let wanted = if conditions.iter().all(|c| holds(c, args)) { 7 } else { 9 };
            assert_eq!(run(&tree.program(), 3, X86_64, args), wanted);
        }

        #[test]
        fn every_number_finds_its_block(
            mut starts in proptest::collection::btree_set(1..60_u32, 0..40),
            number in 0..70_u32,
            far in any::<u32>(),
        ) {
            starts.insert(0);
            let blocks: Vec<(u32, Block)> =
                starts.iter().map(|start| (*start, Block::always(*start))).collect();
            let program = Tree { blocks, other_architecture: 1 }.program();
            for number in [number, far] {
                let wanted = *starts.range(..=number).next_back().unwrap();
                assert_eq!(run(&program, number, X86_64, [0; 6]), wanted);
            }
        }
    }
}
