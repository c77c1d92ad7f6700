//! Arguments of `ioctl(2)`, `fcntl(2)` and their like.

/// A number or an address, as the command has it.
#[derive(Clone, Copy, Debug)]
pub struct CommandArg(pub u64);

#[expect(
    clippy::cast_possible_truncation,
    reason = "Linux takes an int argument from the low half of its register"
)]
impl CommandArg {
    /// The argument as an address.
    #[must_use]
    pub fn address(self) -> usize {
        self.0 as usize
    }

    /// The argument as `int`.
    #[must_use]
    pub fn int(self) -> i32 {
        self.0 as i32
    }

    /// The argument as `unsigned int`.
    #[must_use]
    pub fn unsigned(self) -> u32 {
        self.0 as u32
    }
}
