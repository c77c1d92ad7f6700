//! Classic BPF as seccomp allows it (`man 2 seccomp`, *Filters*; `Documentation/networking/filter.rst`).
//!
//! A [`Program`] has been checked: every load is inside [`CallData`], every jump goes forward and stays
//! inside, every way ends with a return, and no scratch word is read before it is written. So it always
//! ends, after at most as many steps as it has instructions.

use abi::Errno;

use crate::error::Result;

/// The most instructions of a program (`BPF_MAXINSNS`).
pub const MAX_LEN: usize = 4096;
/// Bytes of `struct seccomp_data`.
const DATA_LEN: u32 = 64;
/// Words of scratch memory (`BPF_MEMWORDS`).
const MEMORY_WORDS: usize = 16;

const CLASS: u16 = 0x07;
const LD: u16 = 0x00;
const LDX: u16 = 0x01;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ALU: u16 = 0x04;
const JMP: u16 = 0x05;
const RET: u16 = 0x06;
const IMM: u16 = 0x00;
const ABS: u16 = 0x20;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const OPERATION: u16 = 0xf0;
const ADD: u16 = 0x00;
const SUB: u16 = 0x10;
const MUL: u16 = 0x20;
const DIV: u16 = 0x30;
const OR: u16 = 0x40;
const AND: u16 = 0x50;
const LSH: u16 = 0x60;
const RSH: u16 = 0x70;
const NEG: u16 = 0x80;
const XOR: u16 = 0xa0;
const JA: u16 = 0x00;
const JEQ: u16 = 0x10;
const JGT: u16 = 0x20;
const JGE: u16 = 0x30;
const JSET: u16 = 0x40;
/// The operand is the index register, not the constant.
const X: u16 = 0x08;
/// A return gives the accumulator.
const A: u16 = 0x10;
const TAX: u16 = 0x00;
const TXA: u16 = 0x80;

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How far to jump if the condition holds.
    pub jt: u8,
    /// How far to jump if it does not.
    pub jf: u8,
    /// The constant.
    pub k: u32,
}

impl Instruction {
    /// From its eight bytes, as `struct sock_filter` lies in memory.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Instruction {
        let [c0, c1, jt, jf, k0, k1, k2, k3] = bytes;
        Instruction {
            code: u16::from_ne_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        }
    }
}

/// `struct seccomp_data`: what a filter knows of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallData {
    /// The call's number.
    pub number: u32,
    /// The architecture.
    pub arch: u32,
    /// The instruction behind the call.
    pub instruction_pointer: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl CallData {
    /// The word at `offset`, which is a multiple of 4 below 64.
    fn word(&self, offset: u32) -> u32 {
        let half = |value: u64| {
            let [low, high] = [value & 0xffff_ffff, value >> 32];
            u32::try_from(if offset & 4 == 0 { low } else { high }).unwrap_or_default()
        };
        match offset {
            0 => self.number,
            4 => self.arch,
            8 | 12 => half(self.instruction_pointer),
            other => {
                let index = usize::try_from((other - 16) / 8).unwrap_or(usize::MAX);
                self.arguments
                    .get(index)
                    .map_or(0, |argument| half(*argument))
            }
        }
    }
}

/// What a program says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Action and data.
    pub value: u32,
    /// The program looked at no more than the number and the architecture: it will say the same of every
    /// such call.
    pub is_constant: bool,
}

/// A program that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    /// Checks a program as Linux does (`bpf_check_classic`, `seccomp_check_filter`); EINVAL.
    pub fn new(instructions: Vec<Instruction>) -> Result<Program> {
        if instructions.is_empty() || instructions.len() > MAX_LEN {
            return Err(Errno::EINVAL);
        }
        for (at, instruction) in instructions.iter().enumerate() {
            check_one(instruction, instructions.len() - at - 1)?;
        }
        let last = instructions.last().map_or(0, |last| last.code);
        if last & CLASS != RET {
            return Err(Errno::EINVAL);
        }
        check_scratch(&instructions)?;
        Ok(Program { instructions })
    }

    /// How many instructions it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a program is never empty")]
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Runs it.
    #[must_use]
    pub fn run(&self, data: &CallData) -> Verdict {
        let mut machine = Machine::default();
        let mut at = 0;
        while let Some(instruction) = self.instructions.get(at) {
            at += 1;
            match machine.step(instruction, data) {
                Step::Next => {}
                Step::Jump(by) => at += by,
                Step::Return(value) => {
                    return Verdict {
                        value,
                        is_constant: !machine.looked,
                    };
                }
            }
        }
        // A checked program ends with a return: this is never reached, and would kill.
        Verdict {
            value: 0,
            is_constant: false,
        }
    }
}

/// Checks one instruction with `behind` others after it.
fn check_one(instruction: &Instruction, behind: usize) -> Result<()> {
    let Instruction { code, jt, jf, k } = *instruction;
    let valid = match code & CLASS {
        LD => match code & !CLASS {
            ABS => k < DATA_LEN && k.is_multiple_of(4),
            MEM => is_scratch(k),
            IMM | LEN => true,
            _ => false,
        },
        LDX => match code & !CLASS {
            MEM => is_scratch(k),
            IMM | LEN => true,
            _ => false,
        },
        ST | STX => code & !CLASS == 0 && is_scratch(k),
        ALU => check_alu(code, k),
        JMP => check_jump(code, jt, jf, k, behind),
        RET => matches!(code & !CLASS, 0 | A),
        _ => matches!(code & !CLASS, TAX | TXA),
    };
    if valid { Ok(()) } else { Err(Errno::EINVAL) }
}

fn is_scratch(k: u32) -> bool {
    usize::try_from(k).is_ok_and(|k| k < MEMORY_WORDS)
}

fn check_alu(code: u16, k: u32) -> bool {
    let constant = code & X == 0;
    if code & !(CLASS | X | OPERATION) != 0 {
        return false;
    }
    match code & OPERATION {
        ADD | SUB | MUL | OR | AND | XOR => true,
        DIV => !constant || k != 0,
        LSH | RSH => !constant || k < 32,
        NEG => constant,
        _ => false,
    }
}

fn check_jump(code: u16, jt: u8, jf: u8, k: u32, behind: usize) -> bool {
    if code & !(CLASS | X | OPERATION) != 0 {
        return false;
    }
    match code & OPERATION {
        JA => code & X == 0 && usize::try_from(k).is_ok_and(|k| k < behind),
        JEQ | JGT | JGE | JSET => usize::from(jt) < behind && usize::from(jf) < behind,
        _ => false,
    }
}

/// No word of scratch memory may be read on any way before it was written (`check_load_and_stores`).
fn check_scratch(instructions: &[Instruction]) -> Result<()> {
    // For each instruction, the words that are written on every way to it.
    let mut written = vec![u16::MAX; instructions.len()];
    let mut valid: u16 = 0;
    for (at, instruction) in instructions.iter().enumerate() {
        valid &= written[at];
        let bit = 1_u16.checked_shl(instruction.k).unwrap_or(0);
        let mut reach = |by: usize, valid: u16| {
            if let Some(target) = written.get_mut(at + 1 + by) {
                *target &= valid;
            }
        };
        match instruction.code & CLASS {
            ST | STX => valid |= bit,
            LD | LDX if instruction.code & !CLASS == MEM && valid & bit == 0 => {
                return Err(Errno::EINVAL);
            }
            JMP if instruction.code & OPERATION == JA => {
                reach(
                    usize::try_from(instruction.k).unwrap_or(usize::MAX - at - 1),
                    valid,
                );
                valid = u16::MAX;
            }
            JMP => {
                reach(instruction.jt.into(), valid);
                reach(instruction.jf.into(), valid);
                valid = u16::MAX;
            }
            // What follows is reached by jumps only.
            RET => valid = u16::MAX,
            _ => {}
        }
    }
    Ok(())
}

enum Step {
    Next,
    Jump(usize),
    Return(u32),
}

#[derive(Default)]
struct Machine {
    accumulator: u32,
    index: u32,
    memory: [u32; MEMORY_WORDS],
    /// It has loaded more than number and architecture.
    looked: bool,
}

impl Machine {
    fn step(&mut self, instruction: &Instruction, data: &CallData) -> Step {
        let Instruction { code, k, .. } = *instruction;
        let slot = usize::try_from(k).unwrap_or(0) % MEMORY_WORDS;
        match code & CLASS {
            LD => self.accumulator = self.load(code, k, slot, data),
            LDX => self.index = self.load(code, k, slot, data),
            ST => self.memory[slot] = self.accumulator,
            STX => self.memory[slot] = self.index,
            ALU => {
                let operand = self.operand(code, k);
                match calculate(code, self.accumulator, operand) {
                    Some(value) => self.accumulator = value,
                    // A division by zero ends the program with 0.
                    None => return Step::Return(0),
                }
            }
            JMP => return Step::Jump(self.jump(instruction)),
            RET if code & A != 0 => return Step::Return(self.accumulator),
            RET => return Step::Return(k),
            _ if code & !CLASS == TXA => self.accumulator = self.index,
            _ => self.index = self.accumulator,
        }
        Step::Next
    }

    fn load(&mut self, code: u16, k: u32, slot: usize, data: &CallData) -> u32 {
        match code & !CLASS {
            ABS => {
                self.looked |= k >= 8;
                data.word(k)
            }
            MEM => self.memory[slot],
            LEN => DATA_LEN,
            _ => k,
        }
    }

    fn operand(&self, code: u16, k: u32) -> u32 {
        if code & X != 0 { self.index } else { k }
    }

    fn jump(&self, instruction: &Instruction) -> usize {
        let operand = self.operand(instruction.code, instruction.k);
        let holds = match instruction.code & OPERATION {
            JEQ => self.accumulator == operand,
            JGT => self.accumulator > operand,
            JGE => self.accumulator >= operand,
            JSET => self.accumulator & operand != 0,
            _ => return usize::try_from(instruction.k).unwrap_or(MAX_LEN),
        };
        usize::from(if holds {
            instruction.jt
        } else {
            instruction.jf
        })
    }
}

fn calculate(code: u16, accumulator: u32, operand: u32) -> Option<u32> {
    Some(match code & OPERATION {
        ADD => accumulator.wrapping_add(operand),
        SUB => accumulator.wrapping_sub(operand),
        MUL => accumulator.wrapping_mul(operand),
        DIV => return accumulator.checked_div(operand),
        OR => accumulator | operand,
        AND => accumulator & operand,
        LSH => accumulator.wrapping_shl(operand),
        RSH => accumulator.wrapping_shr(operand),
        XOR => accumulator ^ operand,
        _ => accumulator.wrapping_neg(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(number: u32) -> CallData {
        CallData {
            number,
            arch: super::super::AUDIT_ARCH_X86_64,
            instruction_pointer: 0x1_0000_0002,
            arguments: [0x11_0000_0022, 0, 0, 0, 0, 7],
        }
    }

    fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
        Instruction { code, jt, jf, k }
    }

    #[test]
    fn number_decides() {
        let program = Program::new(vec![
            instruction(LD | ABS, 0, 0, 0),
            instruction(JMP | JEQ, 0, 1, 39),
            instruction(RET, 0, 0, 1),
            instruction(RET, 0, 0, 2),
        ])
        .unwrap();
        let expected = |value| Verdict {
            value,
            is_constant: true,
        };
        assert_eq!(program.run(&data(39)), expected(1));
        assert_eq!(program.run(&data(40)), expected(2));
    }

    #[test]
    fn arguments_are_words() {
        let word = |offset| {
            let load = instruction(LD | ABS, 0, 0, offset);
            let program = Program::new(vec![load, instruction(RET | A, 0, 0, 0)]).unwrap();
            program.run(&data(1)).value
        };
        assert_eq!([word(16), word(20), word(56)], [0x22, 0x11, 7]);
        assert_eq!([word(8), word(12)], [2, 1]);
    }

    #[test]
    fn bad_programs_are_einval() {
        let ret = instruction(RET, 0, 0, 0);
        for bad in [
            vec![],
            vec![instruction(LD | ABS, 0, 0, 0)],
            vec![instruction(LD | ABS, 0, 0, 64), ret],
            vec![instruction(LD | ABS, 0, 0, 2), ret],
            vec![instruction(LD | MEM, 0, 0, 0), ret],
            vec![instruction(LD | MEM, 0, 0, 16), ret],
            vec![instruction(JMP | JA, 0, 0, 1), ret],
            vec![instruction(JMP | JEQ, 1, 0, 0), ret],
            vec![instruction(ALU | DIV, 0, 0, 0), ret],
            vec![instruction(ALU | LSH, 0, 0, 32), ret],
            vec![instruction(LD | 0x40, 0, 0, 0), ret],
            vec![instruction(ALU | 0x90, 0, 0, 3), ret],
            vec![ret; MAX_LEN + 1],
        ] {
            assert_eq!(Program::new(bad), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn division_by_zero_returns_zero() {
        let program = Program::new(vec![
            instruction(ALU | DIV | X, 0, 0, 0),
            instruction(RET, 0, 0, 5),
        ])
        .unwrap();
        assert_eq!(program.run(&data(0)).value, 0);
    }

    proptest! {
        #[test]
        fn any_program_is_refused_or_ends(
            codes in prop::collection::vec((0_u16..0x100, 0_u8..6, 0_u8..6, prop_oneof![0_u32..70, any::<u32>()]), 1..40),
            number in any::<u32>(),
        ) {
            let mut instructions: Vec<_> =
                codes.into_iter().map(|(code, jt, jf, k)| instruction(code, jt, jf, k)).collect();
            instructions.push(instruction(RET | A, 0, 0, 0));
            if let Ok(program) = Program::new(instructions) {
                let _ = program.run(&data(number));
            }
        }
    }
}
