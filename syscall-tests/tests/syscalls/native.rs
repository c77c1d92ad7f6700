//! Every behaviour test passes on the host kernel, however the guest program is linked.

use fixtures::behaviour::Place;
use fixtures::build::{self, Linkage};

fn passes_natively(linkage: Linkage) {
    let program = build::guest("syscall-tests", linkage).unwrap();
    crate::check(&Place::Host, &program);
}

#[test]
fn static_and_position_independent() {
    passes_natively(Linkage::StaticPie);
}

#[test]
fn static_at_a_fixed_address() {
    passes_natively(Linkage::Static);
}

#[test]
fn dynamically_linked() {
    passes_natively(Linkage::Dynamic);
}
