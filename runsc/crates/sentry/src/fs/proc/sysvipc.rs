//! `/proc/sysvipc` (`man 5 proc_sysvipc`): the System V IPC objects of the reader's namespace.

use std::sync::Arc;

use crate::error::Result;
use crate::fs::synthetic::{Directory, Entry, Generated, StaticDirectory};
use crate::kernel::ipc;
use crate::kernel::task::Task;

pub(super) fn directory() -> Arc<dyn Directory> {
    let file = |make: fn(&Task) -> Result<Vec<u8>>| Entry::file(Arc::new(Generated(make)));
    StaticDirectory::new([
        ("msg", file(messages)),
        ("sem", file(semaphores)),
        ("shm", file(segments)),
    ])
}

fn messages(task: &Task) -> Result<Vec<u8>> {
    let mut text = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n".to_owned();
    for (id, queue) in ipc::of(task).queues.lock().all() {
        text.push_str(&queue.line(id));
    }
    Ok(text.into_bytes())
}

fn semaphores(task: &Task) -> Result<Vec<u8>> {
    let mut text =
        "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
            .to_owned();
    for (id, set) in ipc::of(task).semaphores.lock().all() {
        text.push_str(&set.line(id));
    }
    Ok(text.into_bytes())
}

fn segments(task: &Task) -> Result<Vec<u8>> {
    let mut text = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n".to_owned();
    let all = ipc::of(task).segments.lock().all();
    for (id, segment) in all {
        text.push_str(&segment.line(id));
    }
    Ok(text.into_bytes())
}
