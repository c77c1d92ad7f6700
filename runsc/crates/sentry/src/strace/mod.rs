//! Prints system calls as `strace(1)` does, from the table that dispatches them.

/// What is traced.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether anything is.
    pub enabled: bool,
    /// The names of the calls; all if empty.
    pub calls: Vec<String>,
    /// How many bytes of a string or buffer are shown.
    pub max_string: usize,
}
