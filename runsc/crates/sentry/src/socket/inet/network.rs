//! A network namespace: its stack, and what the stack needs of the kernel.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use locks::Mutex;
use netstack::{Config, Embedder, InterfaceChange, Stack};

use crate::kernel::kernel::Kernel;
use crate::kernel::timers::queue::{Armed, Expire};

/// A network namespace.
#[derive(Debug)]
pub struct Network {
    /// Its inode number.
    pub ino: u64,
    /// The loopback interface is up from the beginning.
    begins_up: bool,
    stack: OnceLock<Arc<Stack>>,
}

impl Network {
    /// A new namespace, whose loopback interface is down (`man 7 network_namespaces`).
    #[must_use]
    pub fn new(ino: u64) -> Arc<Network> {
        Arc::new(Network {
            ino,
            begins_up: false,
            stack: OnceLock::new(),
        })
    }

    /// The container's namespace, whose loopback interface whoever made it has brought up.
    #[must_use]
    pub fn of_container(ino: u64) -> Arc<Network> {
        Arc::new(Network {
            ino,
            begins_up: true,
            stack: OnceLock::new(),
        })
    }

    /// Its stack, made when it is first asked for.
    pub fn stack(&self, kernel: &Arc<Kernel>) -> &Arc<Stack> {
        self.stack.get_or_init(|| {
            let surroundings = Arc::new_cyclic(|this| Surroundings {
                this: this.clone(),
                kernel: Arc::downgrade(kernel),
                began: Instant::now(),
                stack: OnceLock::new(),
                alarm: Mutex::default(),
                charged: AtomicU64::new(0),
                most: kernel.total_memory() / MEMORY_PART,
            });
            let stack = Stack::new(surroundings.clone(), config(kernel));
            let _ = surroundings.stack.set(Arc::downgrade(&stack));
            let change = if self.begins_up {
                InterfaceChange::Up
            } else {
                InterfaceChange::Down
            };
            // The loopback interface is always there.
            let _ = stack.change_interface(LOOPBACK_INDEX, change);
            stack
        })
    }
}

/// The loopback interface's number.
pub const LOOPBACK_INDEX: u32 = 1;
/// What part of the memory all sockets of a namespace may hold (`net.ipv4.tcp_mem` allows about a tenth).
const MEMORY_PART: u64 = 8;

/// The stack's settings as `/proc/sys/net` has them now.
fn config(kernel: &Kernel) -> Config {
    let number = |path, place| {
        let value = kernel.sysctl.number_at(path, place);
        usize::try_from(value).unwrap_or(usize::MAX)
    };
    let three = |path| [number(path, 0), number(path, 1), number(path, 2)];
    Config {
        receive_buffer: number("net/core/rmem_default", 0),
        send_buffer: number("net/core/wmem_default", 0),
        tcp_receive_buffer: three("net/ipv4/tcp_rmem"),
        tcp_send_buffer: three("net/ipv4/tcp_wmem"),
        local_ports: local_ports(kernel),
        ..Config::default()
    }
}

/// `net.ipv4.ip_local_port_range`
fn local_ports(kernel: &Kernel) -> (u16, u16) {
    let bound = |place| {
        let value = kernel
            .sysctl
            .number_at("net/ipv4/ip_local_port_range", place);
        u16::try_from(value).ok().filter(|port| *port > 0)
    };
    match (bound(0), bound(1)) {
        (Some(first), Some(last)) if first <= last => (first, last),
        _ => Config::default().local_ports,
    }
}

/// What a stack needs of the kernel: time, timers, randomness and memory.
#[derive(Debug)]
struct Surroundings {
    this: Weak<Surroundings>,
    kernel: Weak<Kernel>,
    /// The beginning of the stack's clock.
    began: Instant,
    stack: OnceLock<Weak<Stack>>,
    /// When the stack wants to be called.
    alarm: Mutex<Option<Armed>>,
    /// Memory that the stack holds, and the most it may.
    charged: AtomicU64,
    most: u64,
}

impl Embedder for Surroundings {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn wall(&self) -> Duration {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        since_1970.unwrap_or_default()
    }

    fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut bytes, flags) {
            Ok(_) => u64::from_ne_bytes(bytes),
            Err(_) => u64::from(self.began.elapsed().subsec_nanos()),
        }
    }

    fn deadline(&self, earliest: Option<Duration>) {
        let Some(kernel) = self.kernel.upgrade() else {
            return;
        };
        let mut alarm = self.alarm.lock();
        if let Some(before) = alarm.take() {
            kernel.timer_queue.disarm(before);
        }
        *alarm = earliest.map(|time| {
            let delay = time.saturating_sub(self.now());
            let target: Weak<dyn Expire> = self.this.clone();
            kernel.timer_queue.arm(delay, target)
        });
    }

    fn charge(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let before = self.charged.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.most;
        if !fits {
            self.charged.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    fn release(&self, bytes: usize) {
        self.charged.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

impl Expire for Surroundings {
    fn expire(self: Arc<Self>) {
        if let Some(stack) = self.stack.get().and_then(Weak::upgrade) {
            stack.advance();
        }
    }
}
