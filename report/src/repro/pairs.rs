//! Which address, descriptor or id of the host stands for which of the sandbox.

use std::collections::HashMap;

/// Words of the host and of the sandbox that stand for each other.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs {
    host: HashMap<String, String>,
    sandbox: HashMap<String, String>,
}

impl Pairs {
    /// From now on they stand for each other, and for nothing else.
    pub(super) fn bind(&mut self, host: &str, sandbox: &str) {
        if let Some(old) = self.host.insert(host.to_owned(), sandbox.to_owned()) {
            self.sandbox.remove(&old);
        }
        if let Some(old) = self.sandbox.insert(sandbox.to_owned(), host.to_owned())
            && old != host
        {
            self.host.remove(&old);
        }
    }

    /// Whether they stand for each other; two that are seen for the first time do from now on.
    pub(super) fn agree(&mut self, host: &str, sandbox: &str) -> bool {
        match (self.host.get(host), self.sandbox.get(sandbox)) {
            (None, None) => {
                self.bind(host, sandbox);
                true
            }
            (Some(known), _) => known == sandbox,
            (None, Some(_)) => false,
        }
    }

    /// Whether they are known to stand for each other.
    pub(super) fn has(&self, host: &str, sandbox: &str) -> bool {
        self.host.get(host).is_some_and(|known| known == sandbox)
    }
}

/// What a thread shares with those that it makes.
#[derive(Debug, Clone, Default)]
pub(super) struct Spaces {
    /// Addresses.
    pub(super) addresses: Pairs,
    /// Descriptors.
    pub(super) descriptors: Pairs,
    /// The paths that the host's descriptors were opened by.
    pub(super) paths: HashMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::Pairs;

    #[test]
    fn one_stands_for_one() {
        let mut pairs = Pairs::default();
        assert!(pairs.agree("0x1", "0x9"));
        assert!(pairs.agree("0x1", "0x9"));
        assert!(!pairs.agree("0x1", "0x8"));
        assert!(!pairs.agree("0x2", "0x9"));
        pairs.bind("0x2", "0x9");
        assert!(pairs.agree("0x2", "0x9"));
        assert!(pairs.agree("0x1", "0x8"), "0x1 is free again");
    }
}
