//! The text itself: what is JSON, and where it is none.

use std::fmt::Write as _;

use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use proptest::strategy::Just;
use serde_json::Value;

use super::super::number::Number;
use super::super::scanner::Scanner;
use super::refusal;

fn skipped(text: &[u8]) -> Result<usize, String> {
    let mut scanner = Scanner::new(text);
    scanner.skip().map_err(|error| error.to_string())?;
    Ok(scanner.at())
}

#[test]
fn errors_say_what_and_where() {
    for (text, problem) in [
        ("", "The document is empty. at offset: 0"),
        (" \n", "The document is empty. at offset: 2"),
        ("[", "Invalid value. at offset: 1"),
        ("[1,]", "Invalid value. at offset: 3"),
        ("nul", "Invalid value. at offset: 3"),
        ("Nan", "Invalid value. at offset: 2"),
        (
            "[1 2]",
            "Missing a comma or ']' after an array element. at offset: 3",
        ),
        (
            "[01]",
            "Missing a comma or ']' after an array element. at offset: 2",
        ),
        ("{1:2}", "Missing a name for object member. at offset: 1"),
        (
            "{\"a\":1,}",
            "Missing a name for object member. at offset: 7",
        ),
        (
            "{\"a\" 1}",
            "Missing a colon after a name of object member. at offset: 5",
        ),
        (
            "{\"a\":1]",
            "Missing a comma or '}' after an object member. at offset: 6",
        ),
        (
            "\"a",
            "Missing a closing quotation mark in string. at offset: 2",
        ),
        ("\"a\nb\"", "Invalid encoding in string. at offset: 2"),
        (
            "\"a\\q\"",
            "Invalid escape character in string. at offset: 2",
        ),
        (
            "\"\\u12g4\"",
            "Incorrect hex digit after \\u escape in string. at offset: 1",
        ),
        (
            "\"\\ud800\"",
            "The surrogate pair in string is invalid. at offset: 1",
        ),
        (
            "\"\\udc00\"",
            "The surrogate pair in string is invalid. at offset: 1",
        ),
        ("1.", "Miss fraction part in number. at offset: 2"),
        ("1e+", "Miss exponent in number. at offset: 3"),
        ("-", "Invalid value. at offset: 1"),
        ("Infinitx", "Invalid value. at offset: 7"),
    ] {
        assert_eq!(skipped(text.as_bytes()).unwrap_err(), problem, "{text}");
    }
    assert_eq!(refusal(""), "JSON Parse error: The document is empty");
    assert_eq!(
        refusal(" "),
        "JSON Parse error: The document is empty. at offset: 1"
    );
    assert_eq!(
        refusal("{\"a\""),
        "JSON Parse error: Missing a colon after a name of object member. at offset: 4"
    );
}

#[test]
fn names_of_numbers() {
    for text in ["NaN", "-NaN", "Inf", "-Inf", "Infinity", "-Infinity"] {
        assert_eq!(skipped(text.as_bytes()), Ok(text.len()));
    }
}

fn number(text: &str) -> Number {
    Scanner::new(text.as_bytes()).number().unwrap()
}

/// A number is rounded as Rust rounds it.
fn assert_same(text: &str) {
    let wanted: f64 = text.parse().unwrap();
    assert_eq!(number(text).to_f64().to_bits(), wanted.to_bits(), "{text}");
}

#[test]
fn whole_numbers_up_to_64_bits() {
    for (text, value) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("9223372036854775808", Some(1 << 63)),
        ("-9223372036854775808", Some(-(1 << 63))),
        ("-9223372036854775809", None),
        ("18446744073709551615", Some(i128::from(u64::MAX))),
        ("18446744073709551616", None),
        ("1.0", None),
        ("1e2", None),
    ] {
        assert_eq!(number(text).to_whole(), value, "{text}");
        assert_same(text);
    }
    for text in ["1e400", "-1e99999999999", "1e-99999999999", "-0.0"] {
        assert_same(text);
    }
}

proptest! {
    #[test]
    fn doubles_are_rounded_right(value in any::<f64>(), digits in 0..20_usize) {
        if value.is_finite() {
            for text in [format!("{value:?}"), format!("{value:.digits$e}"), format!("{value}")] {
                assert_same(&text);
            }
        }
    }

    #[test]
    fn no_bytes_are_too_bad(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = skipped(&bytes);
        let _ = super::parse_typed(bytes, tensor::DType::Float);
    }

    /// Where both take a text, or both refuse it: those of the characters that matter.
    #[test]
    fn takes_what_serde_takes(text in r#"[\[\]{},:"\\u0-9a-f\. eE+\-truefalsn]{0,12}"#) {
        let ours = skipped(text.as_bytes());
        let theirs = serde_json::from_str::<Value>(&text);
        match theirs {
            Ok(_) => assert_eq!(ours.map(|end| text[end..].trim().len()), Ok(0)),
            Err(error) => {
                let rest = ours.map(|end| text[end..].trim());
                let too_large = error.to_string().contains("out of range");
                assert!(rest != Ok("") || too_large, "{text} {error}");
            }
        }
    }

    #[test]
    fn takes_all_that_is_json(value in json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            assert_eq!(skipped(text.as_bytes()), Ok(text.len()));
        }
    }

    #[test]
    fn strings_as_serde_reads_them(string in any::<String>(), ascii in any::<bool>()) {
        let mut text = serde_json::to_string(&string).unwrap();
        if ascii {
            let units = |c: char| {
                let mut escapes = String::new();
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(escapes, "\\u{unit:04x}");
                }
                escapes
            };
            let escaped = |c: char| if c.is_ascii() { c.to_string() } else { units(c) };
            text = text.chars().map(escaped).collect();
        }
        let read = Scanner::new(text.as_bytes()).string().unwrap();
        assert_eq!(*read.decoded(), *string.as_bytes());
    }
}

/// Any JSON value.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
