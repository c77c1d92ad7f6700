//! The declaration of system calls: one row says all that is known of a call.
//!
//! ```text
//! calls! {
//!     0 read(fd: Fd, buffer: UserPtr<u8> as Filled, count: usize)
//!         => full ["read::short_file_gives_what_is_left"];
//! }
//! ```
//!
//! A row is the call's number and name; its arguments with their types, which are those of the handler's
//! parameters; behind `as`, how strace prints an argument whose type does not say it
//! ([`Show`](crate::strace::show::Show); functions are those of `strace::decode`, tables those of
//! `strace::names`); behind `->`, a result that is no plain number; the support; behind `by`, a handler that is
//! not called as the call is; and the behaviour tests that make the call.

/// Declares the system calls of a file as its `CALLS`.
macro_rules! calls {
    ($(
        $number:literal $name:ident(
            $($parameter:ident: $type:ty $(as $show:ident $(($($shown:tt)*))?)?),* $(,)?
        ) $(-> $result:ident $(($($printed:tt)*))?)?
        => $support:ident $(($($why:tt)*))? $(by $handler:ident)? $([$($test:literal),* $(,)?])?;
    )*) => {
        pub(super) const CALLS: &[$crate::syscalls::table::Call] = &[$(
            $crate::syscalls::table::Call {
                number: $number,
                name: stringify!($name),
                parameters: &[$($crate::strace::show::Parameter {
                    name: stringify!($parameter),
                    show: $crate::syscalls::declare::show!($type $(, $show $(($($shown)*))?)?),
                }),*],
                result: $crate::syscalls::declare::result!($($result $(($($printed)*))?)?),
                support: $crate::syscalls::declare::support!($support $(($($why)*))?),
                handler: $crate::syscalls::declare::handler!($support, $name $($handler)?, [$($type),*]),
                tests: &[$($($test),*)?],
            }
        ),*];
    };
}

/// How strace prints an argument.
macro_rules! show {
    ($type:ty) => {
        <$type as $crate::syscalls::args::Argument>::SHOW
    };
    ($type:ty, Flags($($names:ident)::+)) => {
        $crate::strace::show::Show::Flags(&$crate::strace::names::$($names)::+)
    };
    ($type:ty, OneOf($($names:ident)::+)) => {
        $crate::strace::show::Show::OneOf(&$crate::strace::names::$($names)::+)
    };
    ($type:ty, Buffer($index:literal)) => {
        $crate::strace::show::Show::Buffer($index)
    };
    ($type:ty, $show:ident($($print:ident)::+)) => {
        $crate::strace::show::Show::$show($crate::strace::decode::$($print)::+)
    };
    ($type:ty, $show:ident) => {
        $crate::strace::show::Show::$show
    };
}

/// How strace prints a result.
macro_rules! result {
    () => {
        $crate::strace::show::ShowResult::Decimal
    };
    (Print($($print:ident)::+)) => {
        $crate::strace::show::ShowResult::Print($crate::strace::decode::$($print)::+)
    };
    ($show:ident) => {
        $crate::strace::show::ShowResult::$show
    };
}

/// How far a call is supported.
macro_rules! support {
    (full) => {
        $crate::syscalls::table::Support::Full
    };
    (partial($missing:expr)) => {
        $crate::syscalls::table::Support::Partial($missing)
    };
    (hint) => {
        $crate::syscalls::table::Support::Hint
    };
    (refused($errno:ident, $why:expr)) => {
        $crate::syscalls::table::Support::Refused(abi::Errno::$errno, $why)
    };
}

/// What answers a call: its handler, given the registers as what they are declared to hold.
macro_rules! handler {
    (refused, $name:ident, $types:tt) => {
        None
    };
    ($support:ident, $name:ident $handler:ident, $types:tt) => {
        $crate::syscalls::declare::handler!($support, $handler, $types)
    };
    ($support:ident, $handler:ident, []) => {
        Some(|task, _args| $handler(task))
    };
    ($support:ident, $handler:ident, [$($type:ty),+]) => {
        Some(|task, args| {
            let mut registers = args.registers();
            $handler(task, $(registers.next::<$type>()),+)
        })
    };
}

pub(super) use {calls, handler, result, show, support};
