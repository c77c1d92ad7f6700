//! Container ids, and the names of their files.

use crate::{ContainerError, Result};

const MAX_BYTES: usize = 1024;
/// Longest id that is a file's name as it is.
const MAX_PLAIN_BYTES: usize = 200;

/// Checks that `id` can name a container.
///
/// # Errors
/// [`ContainerError::InvalidId`].
pub fn validate(id: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+.-".contains(c);
    let good = !id.is_empty()
        && id.len() <= MAX_BYTES
        && id != "."
        && id != ".."
        && id.chars().all(allowed);
    if good {
        Ok(())
    } else {
        Err(ContainerError::InvalidId(id.to_owned()))
    }
}

/// The stem of the container's files in the state directory: the id, or a hash of a long one.
#[must_use]
pub fn file_stem(id: &str) -> String {
    if id.len() <= MAX_PLAIN_BYTES {
        return id.to_owned();
    }
    // `@` is in no id, so the two forms never meet.
    format!("@{}", control::socket_name(id).trim_end_matches(".sock"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{file_stem, validate};

    #[test]
    fn ids_follow_the_pattern() {
        for id in ["a", "A.b_c+d-9", "...", &"x".repeat(1024)] {
            assert!(validate(id).is_ok(), "{id}");
        }
        for id in ["", ".", "..", "a/b", "a b", "é", "a\0", &"x".repeat(1025)] {
            assert!(validate(id).is_err(), "{id}");
        }
    }

    proptest! {
        #[test]
        fn a_valid_id_makes_a_file_name(id in any::<String>()) {
            if validate(&id).is_ok() {
                let stem = file_stem(&id);
                assert!(stem.len() <= 200 && !stem.contains('/'));
            }
        }
    }
}
