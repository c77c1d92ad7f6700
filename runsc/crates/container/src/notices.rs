//! What a container's user asked for and does not get, in a line each. The sandbox says it as it starts the container:
//! in the user log, and where the container's own output is read.

use std::fs;

use control::Network;
use oci_spec::runtime::{LinuxNamespaceType, Spec};

const NO_NETWORK: &str = "this container has no network: this release has no interface but loopback, so that nothing \
    outside can be reached and published ports lead nowhere (--network=none says that this is meant)";

/// What can be said of the spec alone.
pub(crate) fn of_spec(spec: &Spec) -> Vec<String> {
    let linux = spec.linux().as_ref();
    let namespaces = linux.and_then(|l| l.namespaces().as_deref());
    let joined = namespaces.unwrap_or_default().iter().filter_map(|n| {
        let path = n.path().as_ref().filter(|p| !p.as_os_str().is_empty())?;
        (n.typ() == LinuxNamespaceType::Ipc).then(|| {
            format!(
                "System V objects and message queues are not shared with the other containers of {}: each sandbox \
                 has its own kernel",
                path.display()
            )
        })
    });
    joined.collect()
}

/// What can be said once the engine has set up the network of the process `sandbox`.
pub(crate) fn of_network(network: Network, sandbox: i32) -> Option<String> {
    let read = |name| fs::read_to_string(format!("/proc/{sandbox}/net/{name}")).unwrap_or_default();
    let wanted = network != Network::None
        && (has_route(&read("route"), Column::First)
            || has_route(&read("ipv6_route"), Column::Last));
    wanted.then(|| NO_NETWORK.to_owned())
}

/// Where a table of routes names the interface.
#[derive(Clone, Copy)]
enum Column {
    First,
    Last,
}

/// Whether a table of routes (`man 5 proc`) leads anywhere but to the host itself.
fn has_route(table: &str, column: Column) -> bool {
    table.lines().any(|line| {
        let mut fields = line.split_whitespace();
        let interface = match column {
            Column::First => fields.next(),
            Column::Last => fields.next_back(),
        };
        interface.is_some_and(|name| name != "lo" && name != "Iface")
    })
}

#[cfg(test)]
mod tests {
    use super::{Column, has_route};

    #[test]
    fn routes_but_those_of_loopback_are_a_network() {
        const HEADING: &str = "Iface\tDestination\tGateway\n";
        assert!(!has_route("", Column::First));
        assert!(!has_route(HEADING, Column::First));
        assert!(!has_route(&format!("{HEADING}lo\t0\t0\n"), Column::First));
        assert!(has_route(&format!("{HEADING}eth0\t0\t0\n"), Column::First));
        assert!(!has_route("0 00 0 00 0 00000001 lo\n", Column::Last));
        assert!(has_route(
            "0 00 0 00 0 00000001 lo\nfe80 40 0 00000001 eth0\n",
            Column::Last
        ));
    }
}
