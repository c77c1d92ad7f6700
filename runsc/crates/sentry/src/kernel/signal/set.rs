//! Signal numbers and sets of them.

/// A signal number, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(u8);

macro_rules! signals {
    ($($name:ident = $number:literal;)*) => {
        impl Signal {
            $(#[doc = concat!("Signal ", stringify!($number), ", `man 7 signal`.")] pub const $name: Signal = Signal($number);)*

            /// Its name with `SIG`; real-time signals are `SIGRTMIN`, then `SIGRT_n` with *n* counted from 32, as
            /// strace shows them.
            #[must_use]
            pub fn name(self) -> String {
                match self {
                    $(Signal::$name => stringify!($name).to_owned(),)*
                    Signal(Signal::REAL_TIME_MIN) => "SIGRTMIN".to_owned(),
                    Signal(number) => format!("SIGRT_{}", number.saturating_sub(32)),
                }
            }
        }
    };
}

signals! {
    SIGHUP = 1; SIGINT = 2; SIGQUIT = 3; SIGILL = 4; SIGTRAP = 5; SIGABRT = 6; SIGBUS = 7; SIGFPE = 8;
    SIGKILL = 9; SIGUSR1 = 10; SIGSEGV = 11; SIGUSR2 = 12; SIGPIPE = 13; SIGALRM = 14; SIGTERM = 15;
    SIGSTKFLT = 16; SIGCHLD = 17; SIGCONT = 18; SIGSTOP = 19; SIGTSTP = 20; SIGTTIN = 21; SIGTTOU = 22;
    SIGURG = 23; SIGXCPU = 24; SIGXFSZ = 25; SIGVTALRM = 26; SIGPROF = 27; SIGWINCH = 28; SIGIO = 29;
    SIGPWR = 30; SIGSYS = 31;
}

impl Signal {
    /// The first real-time signal.
    pub const REAL_TIME_MIN: u8 = 32;
    /// The highest signal.
    pub const MAX: u8 = 64;

    /// The signal of this number, none outside 1 to 64.
    #[must_use]
    pub const fn new(number: u64) -> Option<Signal> {
        if number >= 1 && number <= 64 {
            Some(Signal((number & 0x7f) as u8))
        } else {
            None
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether every instance is queued.
    #[must_use]
    pub const fn is_real_time(self) -> bool {
        self.0 >= Signal::REAL_TIME_MIN
    }
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

/// A `sigset_t`: bit *n* − 1 is signal *n*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: SignalSet = SignalSet(0);
    /// Those that can't be blocked, caught or ignored.
    pub const UNBLOCKABLE: SignalSet = SignalSet::EMPTY.with(Signal::SIGKILL).with(Signal::SIGSTOP);

    /// With `signal` in it.
    #[must_use]
    pub const fn with(self, signal: Signal) -> SignalSet {
        SignalSet(self.0 | (1 << (signal.0 - 1)))
    }

    /// Without `signal`.
    #[must_use]
    pub const fn without(self, signal: Signal) -> SignalSet {
        SignalSet(self.0 & !(1 << (signal.0 - 1)))
    }

    /// Whether `signal` is in it.
    #[must_use]
    pub const fn has(self, signal: Signal) -> bool {
        self.0 & (1 << (signal.0 - 1)) != 0
    }

    /// What is in `self` but not in `other`.
    #[must_use]
    pub const fn minus(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & !other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & other.0)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lowest signal in it.
    #[must_use]
    pub const fn first(self) -> Option<Signal> {
        if self.0 == 0 {
            None
        } else {
            Signal::new(self.0.trailing_zeros() as u64 + 1)
        }
    }
}
