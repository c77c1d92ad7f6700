//! The rest of a path, taken apart from the front.

/// One component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component<'a> {
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// A name.
    Name(&'a [u8]),
}

impl<'a> Component<'a> {
    fn new(text: &'a [u8]) -> Component<'a> {
        match text {
            b"." => Component::Dot,
            b".." => Component::DotDot,
            name => Component::Name(name),
        }
    }
}

/// A path's text and how far it has been used up.
#[derive(Debug, Default)]
pub(super) struct Rest {
    text: Vec<u8>,
    at: usize,
}

impl Rest {
    /// The whole of `path`.
    pub(super) fn new(path: &[u8]) -> Rest {
        Rest {
            text: path.to_vec(),
            at: 0,
        }
    }

    /// What is left.
    pub(super) fn left(&self) -> &[u8] {
        &self.text[self.at..]
    }

    /// Whether only slashes are left.
    pub(super) fn is_empty(&self) -> bool {
        self.left().iter().all(|&byte| byte == b'/')
    }

    /// Whether it ends with a slash.
    pub(super) fn ends_with_slash(&self) -> bool {
        self.left().last() == Some(&b'/')
    }

    /// The components that are left.
    pub(super) fn components(&self) -> impl Iterator<Item = Component<'_>> {
        self.left()
            .split(|&byte| byte == b'/')
            .filter(|part| !part.is_empty())
            .map(Component::new)
    }

    /// The next component, cut off the front.
    pub(super) fn take(&mut self) -> Option<Component<'_>> {
        let start = self.at + self.left().iter().position(|&byte| byte != b'/')?;
        let len = self.text[start..]
            .iter()
            .position(|&byte| byte == b'/')
            .unwrap_or(self.text.len() - start);
        self.at = start + len;
        Some(Component::new(&self.text[start..start + len]))
    }

    /// Puts the text of a symbolic link before what is left.
    pub(super) fn prepend(&mut self, target: &[u8]) {
        let mut text = target.to_vec();
        if !self.left().is_empty() {
            text.push(b'/');
            text.extend_from_slice(self.left());
        }
        *self = Rest { text, at: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::{Component, Rest};

    #[test]
    fn components_are_taken_from_the_front() {
        let mut rest = Rest::new(b"//a/./..//b/");
        assert_eq!(rest.take(), Some(Component::Name(b"a")));
        assert_eq!(rest.take(), Some(Component::Dot));
        assert_eq!(rest.take(), Some(Component::DotDot));
        assert!(!rest.is_empty());
        assert_eq!(rest.take(), Some(Component::Name(b"b")));
        assert!(rest.is_empty() && rest.ends_with_slash());
        assert_eq!(rest.take(), None);
    }

    #[test]
    fn a_link_comes_before_the_rest() {
        let mut rest = Rest::new(b"link/x/");
        rest.take();
        rest.prepend(b"../t");
        assert_eq!(rest.left(), b"../t//x/");
    }
}
