//! Terminals: `struct termios` and its flags, window sizes, the requests of `man 2 ioctl_tty`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use flags::{InputFlags, LocalFlags, OutputFlags};

/// Control characters in [`Termios`].
pub const NCCS: usize = 19;

/// The kernel's `struct termios` (`asm-generic/termbits.h`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Termios {
    /// [`InputFlags`]
    pub iflag: u32,
    /// [`OutputFlags`]
    pub oflag: u32,
    /// Control modes: speed, character size.
    pub cflag: u32,
    /// [`LocalFlags`]
    pub lflag: u32,
    /// The line discipline, 0.
    pub line: u8,
    /// Control characters, by the indices of [`cc`].
    pub cc: [u8; NCCS],
}

/// `struct termios2`: with speeds as numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Termios2 {
    /// All but the speeds.
    pub base: Termios,
    /// Input speed.
    pub ispeed: u32,
    /// Output speed.
    pub ospeed: u32,
}

/// `struct winsize`
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[expect(missing_docs, reason = "the fields are those of man 2 ioctl_tty")]
pub struct Winsize {
    pub row: u16,
    pub col: u16,
    pub xpixel: u16,
    pub ypixel: u16,
}

#[expect(missing_docs, reason = "the constants are those of man 3 termios")]
mod flags {
    use bitflags::bitflags;

    bitflags! {
        /// `c_iflag`
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct InputFlags: u32 {
            const IGNBRK = 0o1;
            const BRKINT = 0o2;
            const IGNPAR = 0o4;
            const PARMRK = 0o10;
            const INPCK = 0o20;
            const ISTRIP = 0o40;
            const INLCR = 0o100;
            const IGNCR = 0o200;
            const ICRNL = 0o400;
            const IUCLC = 0o1000;
            const IXON = 0o2000;
            const IXANY = 0o4000;
            const IXOFF = 0o10000;
            const IMAXBEL = 0o20000;
            const IUTF8 = 0o40000;
            const _ = !0;
        }

        /// `c_oflag`
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct OutputFlags: u32 {
            const OPOST = 0o1;
            const OLCUC = 0o2;
            const ONLCR = 0o4;
            const OCRNL = 0o10;
            const ONOCR = 0o20;
            const ONLRET = 0o40;
            const XTABS = 0o14000;
            const _ = !0;
        }

        /// `c_lflag`
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct LocalFlags: u32 {
            const ISIG = 0o1;
            const ICANON = 0o2;
            const ECHO = 0o10;
            const ECHOE = 0o20;
            const ECHOK = 0o40;
            const ECHONL = 0o100;
            const NOFLSH = 0o200;
            const TOSTOP = 0o400;
            const ECHOCTL = 0o1000;
            const ECHOPRT = 0o2000;
            const ECHOKE = 0o4000;
            const IEXTEN = 0o100_000;
            const _ = !0;
        }
    }
}

/// Indices of control characters.
#[expect(missing_docs, reason = "man 3 termios")]
pub mod cc {
    pub const VINTR: usize = 0;
    pub const VQUIT: usize = 1;
    pub const VERASE: usize = 2;
    pub const VKILL: usize = 3;
    pub const VEOF: usize = 4;
    pub const VTIME: usize = 5;
    pub const VMIN: usize = 6;
    pub const VSTART: usize = 8;
    pub const VSTOP: usize = 9;
    pub const VSUSP: usize = 10;
    pub const VEOL: usize = 11;
    pub const VREPRINT: usize = 12;
    pub const VWERASE: usize = 14;
    pub const VLNEXT: usize = 15;
    pub const VEOL2: usize = 16;
}

/// B38400, CS8, CREAD.
const DEFAULT_CFLAG: u32 = 0o17 | 0o60 | 0o200;

impl Default for Termios {
    /// What Linux gives a new terminal (`tty_std_termios`, and the control flags of a pseudo terminal).
    fn default() -> Termios {
        let mut cc = [0; NCCS];
        let control = [
            3, 0o34, 0o177, 0o25, 4, 0, 1, 0, 0o21, 0o23, 0o32, 0, 0o22, 0o17, 0o27, 0o26,
        ];
        cc[..control.len()].copy_from_slice(&control);
        Termios {
            iflag: (InputFlags::ICRNL | InputFlags::IXON).bits(),
            oflag: (OutputFlags::OPOST | OutputFlags::ONLCR).bits(),
            cflag: DEFAULT_CFLAG,
            lflag: (LocalFlags::ISIG
                | LocalFlags::ICANON
                | LocalFlags::ECHO
                | LocalFlags::ECHOE
                | LocalFlags::ECHOK
                | LocalFlags::ECHOCTL
                | LocalFlags::ECHOKE
                | LocalFlags::IEXTEN)
                .bits(),
            line: 0,
            cc,
        }
    }
}

impl Termios {
    /// Input modes.
    #[must_use]
    pub fn input(&self) -> InputFlags {
        InputFlags::from_bits_retain(self.iflag)
    }

    /// Output modes.
    #[must_use]
    pub fn output(&self) -> OutputFlags {
        OutputFlags::from_bits_retain(self.oflag)
    }

    /// Local modes.
    #[must_use]
    pub fn local(&self) -> LocalFlags {
        LocalFlags::from_bits_retain(self.lflag)
    }
}

/// Requests (`asm-generic/ioctls.h`).
#[expect(missing_docs, reason = "man 2 ioctl_tty")]
pub mod request {
    pub const TCGETS: u32 = 0x5401;
    pub const TCSETS: u32 = 0x5402;
    pub const TCSETSW: u32 = 0x5403;
    pub const TCSETSF: u32 = 0x5404;
    pub const TCSBRK: u32 = 0x5409;
    pub const TCXONC: u32 = 0x540a;
    pub const TCFLSH: u32 = 0x540b;
    pub const TIOCEXCL: u32 = 0x540c;
    pub const TIOCNXCL: u32 = 0x540d;
    pub const TIOCSCTTY: u32 = 0x540e;
    pub const TIOCGPGRP: u32 = 0x540f;
    pub const TIOCSPGRP: u32 = 0x5410;
    pub const TIOCOUTQ: u32 = 0x5411;
    pub const TIOCSTI: u32 = 0x5412;
    pub const TIOCGWINSZ: u32 = 0x5413;
    pub const TIOCSWINSZ: u32 = 0x5414;
    pub const FIONREAD: u32 = 0x541b;
    pub const TIOCPKT: u32 = 0x5420;
    pub const TIOCNOTTY: u32 = 0x5422;
    pub const TIOCSETD: u32 = 0x5423;
    pub const TIOCGETD: u32 = 0x5424;
    pub const TCSBRKP: u32 = 0x5425;
    pub const TIOCGSID: u32 = 0x5429;
    pub const TCGETS2: u32 = 0x802c_542a;
    pub const TCSETS2: u32 = 0x402c_542b;
    pub const TCSETSW2: u32 = 0x402c_542c;
    pub const TCSETSF2: u32 = 0x402c_542d;
    pub const TIOCGPTN: u32 = 0x8004_5430;
    pub const TIOCSPTLCK: u32 = 0x4004_5431;
    pub const TIOCGDEV: u32 = 0x8004_5432;
    pub const TIOCSIG: u32 = 0x4004_5436;
    pub const TIOCVHANGUP: u32 = 0x5437;
    pub const TIOCGPKT: u32 = 0x8004_5438;
    pub const TIOCGPTLCK: u32 = 0x8004_5439;
    pub const TIOCGEXCL: u32 = 0x8004_5440;
    pub const TIOCGPTPEER: u32 = 0x5441;
}

const _: () = assert!(size_of::<Termios>() == 36);
const _: () = assert!(size_of::<Termios2>() == 44);
