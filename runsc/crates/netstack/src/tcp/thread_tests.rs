//! Many threads with connections of one stack at once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use abi::Errno;

use super::{SendFlags, Socket};
use crate::{Config, Embedder, Family, Observer, Readiness, Stack, Take};

/// The clock of the host.
#[derive(Debug)]
struct Host {
    begin: Instant,
    seed: AtomicUsize,
    charged: AtomicUsize,
}

impl Embedder for Host {
    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    fn wall(&self) -> Duration {
        self.begin.elapsed()
    }

    fn random_u64(&self) -> u64 {
        let turn = self.seed.fetch_add(1, Ordering::Relaxed) as u64;
        turn.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn deadline(&self, _earliest: Option<Duration>) {}

    fn charge(&self, bytes: usize) -> bool {
        self.charged.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    fn release(&self, bytes: usize) {
        self.charged.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Wakes a thread.
#[derive(Debug, Default)]
struct Bell {
    rings: Mutex<Readiness>,
    rung: Condvar,
}

impl Observer for Bell {
    fn changed(&self, readiness: Readiness) {
        *self.rings.lock().unwrap() |= readiness;
        self.rung.notify_all();
    }
}

impl Bell {
    /// Waits until it rings. A wake-up that is missing shows here.
    fn wait(&self) {
        let mut rings = self.rings.lock().unwrap();
        while rings.is_empty() {
            let (next, timeout) = self
                .rung
                .wait_timeout(rings, Duration::from_secs(20))
                .unwrap();
            assert!(!timeout.timed_out(), "nobody woke who waits");
            rings = next;
        }
        *rings = Readiness::empty();
    }

    /// Repeats `attempt` until it is not `EAGAIN`.
    fn until<T>(&self, mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
        loop {
            match attempt() {
                Err(Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY) => self.wait(),
                other => return other,
            }
        }
    }
}

const LEN: usize = 3_000_000;

fn write_all(socket: &Arc<Socket>, bell: &Bell, step: usize) {
    let mut sent = 0;
    while sent < LEN {
        let len = step.min(LEN - sent);
        let mut at = sent;
        sent += bell
            .until(|| {
                socket.send(len, SendFlags::empty(), &mut |to| {
                    to.iter_mut()
                        .zip(at..)
                        .for_each(|(byte, at)| *byte = u8::try_from(at % 251).unwrap());
                    at += to.len();
                    Ok(to.len())
                })
            })
            .unwrap();
    }
}

fn read_all(socket: &Arc<Socket>, bell: &Bell, step: usize) {
    let mut received = 0;
    while received < LEN {
        let mut at = received;
        let more = bell.until(|| {
            socket.receive(step, Take::Remove, &mut |piece| {
                assert!(
                    piece
                        .iter()
                        .zip(at..)
                        .all(|(byte, at)| usize::from(*byte) == at % 251)
                );
                at += piece.len();
                Ok(piece.len())
            })
        });
        received += more.unwrap();
    }
}

#[test]
fn nobody_sleeps_too_long() {
    let host = Arc::new(Host {
        begin: Instant::now(),
        seed: AtomicUsize::new(1),
        charged: AtomicUsize::new(0),
    });
    let stack = Stack::new(host.clone(), Config::default());
    let place: SocketAddr = "127.0.0.1:80".parse().unwrap();
    let bell = Arc::new(Bell::default());
    let server = stack.tcp(Family::Ipv4, bell.clone());
    server.bind(place).unwrap();
    server.listen(4).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
                stack.advance();
            }
        });
        let steps = [100_000, 3000, 64 << 10, 777];
        let clients: Vec<_> = steps
            .into_iter()
            .map(|step| {
                let stack = &stack;
                scope.spawn(move || {
                    let bell = Arc::new(Bell::default());
                    let socket = stack.tcp(Family::Ipv4, bell.clone());
                    bell.until(|| socket.connect(place)).unwrap();
                    write_all(&socket, &bell, step);
                    read_all(&socket, &bell, step);
                    socket.close();
                })
            })
            .collect();
        for _ in 0..steps.len() {
            let own = Arc::new(Bell::default());
            let accepted = bell.until(|| server.accept(own.clone())).unwrap();
            scope.spawn(move || {
                read_all(&accepted, &own, 50_000);
                write_all(&accepted, &own, 9000);
                accepted.close();
            });
        }
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
    });
    server.close();
    drop((server, stack));
    assert_eq!(host.charged.load(Ordering::Relaxed), 0);
}
