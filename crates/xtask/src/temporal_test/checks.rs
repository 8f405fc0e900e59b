//! What is checked, and how it is printed.

/// One promise, and whether it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) is_kept: bool,
    pub(crate) what: String,
}

impl Check {
    pub(crate) fn new(is_kept: bool, what: impl Into<String>) -> Self {
        Self {
            is_kept,
            what: what.into(),
        }
    }

    /// Kept where there are none of these.
    pub(crate) fn none(bad: &[String], what: impl Into<String>) -> Self {
        let mut what = what.into();
        if !bad.is_empty() {
            let shown: Vec<&str> = bad.iter().take(5).map(String::as_str).collect();
            what += &format!("; {} times not, first: {}", bad.len(), shown.join("; "));
        }
        Self::new(bad.is_empty(), what)
    }
}
