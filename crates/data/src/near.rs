//! Files that users write: read, checked, and the name that somebody may have meant.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::DataError;

/// The known name that is most like `name`, if any is: by Jaro-Winkler similarity, without regard to case.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let scored = known
        .into_iter()
        .map(|other| (strsim::jaro_winkler(&name, &other.to_lowercase()), other));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.75).then_some(best.1)
}

/// `; did you mean X?`, or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |other| format!("; did you mean `{other}`?"))
}

/// A file's text.
pub(crate) fn read_text(path: &Path) -> Result<String, DataError> {
    std::fs::read_to_string(path).map_err(|error| DataError::Read {
        path: path.into(),
        reason: error.to_string(),
    })
}

/// A TOML text as `T`, if `check` finds nothing wrong with it; `path` is for messages.
pub(crate) fn parse_checked<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<T, DataError> {
    let wrong = |reason: String| DataError::Schema {
        path: path.into(),
        reason,
    };
    let parsed: T = toml::from_str(text).map_err(|error| wrong(toml_reason(text, &error)))?;
    check(&parsed).map_err(wrong)?;
    Ok(parsed)
}

/// What is wrong with a TOML text: the line, what the parser says, and the key that may have been meant.
fn toml_reason(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    let message = error.message().replace('\n', " ");
    // serde: unknown field `lable`, expected one of `label`, `positive`
    let mut quoted = message.split('`').skip(1).step_by(2);
    let meant = match (message.starts_with("unknown "), quoted.next()) {
        (true, Some(name)) => did_you_mean(name, quoted),
        _ => String::new(),
    };
    format!("{place}{message}{meant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_near() {
        for (name, expected) in [
            ("lable", Some("label")),
            ("LABELS", Some("label")),
            ("subjct", Some("subject")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(name, ["label", "subject", "time"]), expected, "{name}");
        }
        assert_eq!(nearest("label", []), None);
    }
}
