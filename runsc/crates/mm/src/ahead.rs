//! Pages that are certain to be touched next, provided before they fault: a fault costs more than all
//! that is done about it.

use platform::{Access, ThreadState};

use super::address_space::AddressSpace;
use super::fault::{Disk, PageRequest};

impl AddressSpace {
    /// Provides what a process that goes on with these registers touches first: its code, its stack,
    /// what is at FS and the end of its initialised data. What can't be had now is seen to when it is
    /// touched.
    pub fn provide_ahead(&self, registers: &ThreadState) {
        let data_end = self.layout.lock().data.end;
        let touched = [
            (registers.rip, Access::EXECUTE),
            // A call or a push comes first.
            (registers.rsp.saturating_sub(1), Access::WRITE),
            (registers.fs_base, Access::WRITE),
            (data_end.saturating_sub(1) as u64, Access::WRITE),
        ];
        let areas = self.areas.read();
        let mut active = self.active.write();
        for (address, need) in touched {
            let address = usize::try_from(address).unwrap_or(usize::MAX);
            let request = PageRequest {
                disk: Disk::Refuse,
                ..PageRequest::at(address, need)
            };
            // Not in a group: what a copy replaces is free at once.
            let _touched_later = self.provide(&areas, &mut active, &request);
        }
    }
}
