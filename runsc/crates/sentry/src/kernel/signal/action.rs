//! Dispositions: what a process does about each signal (`man 2 sigaction`, `man 7 signal`).

use abi::signal::{SIG_DFL, SIG_IGN, SaFlags};

use super::{Signal, SignalSet};

/// What happens to a signal without a handler (`man 7 signal`, *Standard signals*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// The process ends.
    Terminate,
    /// The process ends and dumps core.
    Core,
    /// Nothing.
    Ignore,
    /// The process stops.
    Stop,
    /// The process goes on if stopped.
    Continue,
}

impl Signal {
    /// What happens without a handler.
    #[must_use]
    pub fn default_action(self) -> DefaultAction {
        match self {
            Signal::SIGQUIT
            | Signal::SIGILL
            | Signal::SIGTRAP
            | Signal::SIGABRT
            | Signal::SIGBUS
            | Signal::SIGFPE
            | Signal::SIGSEGV
            | Signal::SIGXCPU
            | Signal::SIGXFSZ
            | Signal::SIGSYS => DefaultAction::Core,
            Signal::SIGCHLD | Signal::SIGURG | Signal::SIGWINCH => DefaultAction::Ignore,
            Signal::SIGCONT => DefaultAction::Continue,
            Signal::SIGSTOP | Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU => {
                DefaultAction::Stop
            }
            _ => DefaultAction::Terminate,
        }
    }
}

/// The signals that stop a process.
pub const STOPS: SignalSet = SignalSet::EMPTY
    .with(Signal::SIGSTOP)
    .with(Signal::SIGTSTP)
    .with(Signal::SIGTTIN)
    .with(Signal::SIGTTOU);

/// What a process does about one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// What it does.
    pub handler: Handler,
    /// How.
    pub flags: SaFlags,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Blocked while the handler runs.
    pub mask: SignalSet,
}

/// `sa_handler`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handler {
    /// `SIG_DFL`
    #[default]
    Default,
    /// `SIG_IGN`
    Ignore,
    /// The function at this address.
    At(u64),
}

impl Handler {
    /// As the application wrote it.
    #[must_use]
    pub fn from_raw(raw: u64) -> Handler {
        match raw {
            SIG_DFL => Handler::Default,
            SIG_IGN => Handler::Ignore,
            address => Handler::At(address),
        }
    }

    /// As the application reads it.
    #[must_use]
    pub fn to_raw(self) -> u64 {
        match self {
            Handler::Default => SIG_DFL,
            Handler::Ignore => SIG_IGN,
            Handler::At(address) => address,
        }
    }
}

impl Action {
    /// Whether `signal` would have no effect.
    #[must_use]
    pub fn ignores(&self, signal: Signal) -> bool {
        match self.handler {
            Handler::Ignore => true,
            Handler::At(_) => false,
            Handler::Default => matches!(
                signal.default_action(),
                DefaultAction::Ignore | DefaultAction::Continue
            ),
        }
    }

    /// Whether `signal` would end the process.
    #[must_use]
    pub fn is_fatal(&self, signal: Signal) -> bool {
        self.handler == Handler::Default
            && matches!(
                signal.default_action(),
                DefaultAction::Terminate | DefaultAction::Core
            )
    }
}

/// The dispositions of all signals: what `CLONE_SIGHAND` shares.
#[derive(Clone, Debug)]
pub struct Dispositions {
    actions: [Action; Signal::MAX as usize],
}

impl Default for Dispositions {
    fn default() -> Dispositions {
        Dispositions {
            actions: [Action::default(); Signal::MAX as usize],
        }
    }
}

fn index(signal: Signal) -> usize {
    usize::from(signal.number() - 1)
}

impl Dispositions {
    /// What is done about `signal`.
    #[must_use]
    pub fn get(&self, signal: Signal) -> Action {
        self.actions[index(signal)]
    }

    /// Changes what is done about `signal`.
    pub fn set(&mut self, signal: Signal, action: Action) {
        self.actions[index(signal)] = action;
    }

    /// For `execve` and `CLONE_CLEAR_SIGHAND`: what has a handler becomes default, what is ignored stays so.
    #[must_use]
    pub fn cleared(&self) -> Dispositions {
        let mut cleared = self.clone();
        for action in &mut cleared.actions {
            let handler = match action.handler {
                Handler::Ignore => Handler::Ignore,
                _ => Handler::Default,
            };
            *action = Action {
                handler,
                ..Action::default()
            };
        }
        cleared
    }

    /// The signals that are ignored on purpose (`SigIgn` of `/proc/[pid]/status`).
    #[must_use]
    pub fn ignored(&self) -> SignalSet {
        self.all_with(|action| action.handler == Handler::Ignore)
    }

    /// The signals that have a handler (`SigCgt`).
    #[must_use]
    pub fn caught(&self) -> SignalSet {
        self.all_with(|action| matches!(action.handler, Handler::At(_)))
    }

    fn all_with(&self, matches: impl Fn(&Action) -> bool) -> SignalSet {
        (1..=u64::from(Signal::MAX))
            .filter_map(Signal::new)
            .filter(|signal| matches(&self.get(*signal)))
            .fold(SignalSet::EMPTY, SignalSet::with)
    }
}
