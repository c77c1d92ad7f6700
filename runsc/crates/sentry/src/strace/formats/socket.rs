//! Calls about sockets.

use abi::raw::general as nr;

use super::Arg::{After, Before, Buffer, Filled, Flags, In, Int, OneOf, Out, Size, Unsigned};
use super::{Row, row};
use crate::strace::decode::{id, socket, time};
use crate::strace::names::socket as names;

pub(super) const ROWS: &[Row] = &[
    row(
        nr::__NR_socket,
        &[
            OneOf(&names::FAMILY),
            Before(socket::print_type),
            Before(socket::print_protocol),
        ],
    ),
    row(
        nr::__NR_socketpair,
        &[
            OneOf(&names::FAMILY),
            Before(socket::print_type),
            Before(socket::print_protocol),
            Out(id::pair),
        ],
    ),
    row(nr::__NR_bind, &[Int, Before(socket::address_in), Unsigned]),
    row(nr::__NR_listen, &[Int, Int]),
    row(
        nr::__NR_accept,
        &[Int, After(socket::address_out), Out(socket::length)],
    ),
    row(
        nr::__NR_accept4,
        &[
            Int,
            After(socket::address_out),
            Out(socket::length),
            Flags(&names::SOCK_FLAGS),
        ],
    ),
    row(
        nr::__NR_connect,
        &[Int, Before(socket::address_in), Unsigned],
    ),
    row(
        nr::__NR_getsockname,
        &[Int, After(socket::address_out), Out(socket::length)],
    ),
    row(
        nr::__NR_getpeername,
        &[Int, After(socket::address_out), Out(socket::length)],
    ),
    row(nr::__NR_shutdown, &[Int, OneOf(&names::SHUTDOWN)]),
    row(
        nr::__NR_sendto,
        &[
            Int,
            Buffer(2),
            Size,
            Flags(&names::MSG),
            Before(socket::address_in),
            Unsigned,
        ],
    ),
    row(
        nr::__NR_recvfrom,
        &[
            Int,
            Filled,
            Size,
            Flags(&names::MSG),
            After(socket::address_out),
            Out(socket::length),
        ],
    ),
    row(
        nr::__NR_sendmsg,
        &[Int, In(socket::message_in), Flags(&names::MSG)],
    ),
    row(
        nr::__NR_recvmsg,
        &[Int, Out(socket::message_out), Flags(&names::MSG)],
    ),
    row(
        nr::__NR_sendmmsg,
        &[
            Int,
            Before(socket::messages_in),
            Unsigned,
            Flags(&names::MSG),
        ],
    ),
    row(
        nr::__NR_recvmmsg,
        &[
            Int,
            After(socket::messages_out),
            Unsigned,
            Flags(&names::MSG),
            In(time::timespec),
        ],
    ),
    row(
        nr::__NR_getsockopt,
        &[
            Int,
            OneOf(&names::LEVEL),
            Before(socket::print_option),
            After(socket::option_out),
            Out(socket::length),
        ],
    ),
    row(
        nr::__NR_setsockopt,
        &[
            Int,
            OneOf(&names::LEVEL),
            Before(socket::print_option),
            Before(socket::option_in),
            Unsigned,
        ],
    ),
];
