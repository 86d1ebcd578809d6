//! Lists of names, shortened.

/// The most names that a list has.
const NAMED: usize = 3;

/// Returns the first names, and the number of others, such as `a, b, c and 2 others`.
pub(crate) fn some<S: AsRef<str>>(names: &[S]) -> String {
    let first: Vec<_> = names.iter().take(NAMED).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        others => format!("{} and {others} others", first.join(", ")),
    }
}
