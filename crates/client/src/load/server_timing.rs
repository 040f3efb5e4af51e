//! What servers say of a request's phases in the trailer `server-timing`, in the format
//! of the W3C's header of that name: `decode;dur=0.01, execute;dur=1.2`.

/// The metadata key under which it comes.
pub(crate) const SERVER_TIMING_KEY: &str = "server-timing";

/// The phases with a duration, and the durations in milliseconds. What can't be read is
/// passed over, as the W3C says.
pub(crate) fn phases(header: &str) -> impl Iterator<Item = (&str, f64)> {
    split_outside_quotes(header, ',').filter_map(phase)
}

fn phase(metric: &str) -> Option<(&str, f64)> {
    let mut parts = split_outside_quotes(metric, ';');
    let name = parts.next()?.trim();
    let millis = parts.find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        if !key.trim().eq_ignore_ascii_case("dur") {
            return None;
        }
        value.trim().trim_matches('"').parse::<f64>().ok()
    })?;
    (!name.is_empty() && millis.is_finite() && millis >= 0.0).then_some((name, millis))
}

fn split_outside_quotes(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |each: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match each {
            '"' => quoted = !quoted,
            '\\' if quoted => escaped = true,
            _ => {}
        }
        each == at && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::phases;

    #[test]
    fn reads_names_and_durations() {
        for (header, expected) in [
            ("", vec![]),
            (
                "decode;dur=0.012, queue;dur=0.1",
                vec![("decode", 0.012), ("queue", 0.1)],
            ),
            ("a ; DUR = \"2.5\" ", vec![("a", 2.5)]),
            (
                r#"a;desc="x, y;dur=9 \" ,";dur=1,b;dur=2"#,
                vec![("a", 1.0), ("b", 2.0)],
            ),
            ("miss, cache;desc=hit, total;dur=3", vec![("total", 3.0)]),
            ("a;dur=-1, b;dur=NaN, c;dur=inf, d;dur=x, ;dur=1", vec![]),
            ("a;dur=1;dur=2", vec![("a", 1.0)]),
        ] {
            assert_eq!(phases(header).collect::<Vec<_>>(), expected, "{header}");
        }
    }
}
