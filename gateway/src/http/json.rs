//! JSON bodies: syntax first (400), then shape with a pointer to what is wrong (422).

use super::{body, card, codes::Code, problem::Problem};
use axum::{
    extract::{FromRequest, Request},
    http::header,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use wire::FieldError;

/// How deep arrays and objects may lie in each other.
pub(crate) const DEPTH_MAX: usize = 32;

/// A body that is JSON, of no particular shape yet.
pub(crate) struct Json {
    bytes: Bytes,
    value: Value,
}

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let headers = request.headers();
        let media_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?").to_owned());
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(media_type) = &media_type
            && !is_json(media_type)
        {
            return Err(unsupported());
        }
        let mut bytes = body::whole(request.into_body(), declared).await?;
        if bytes.is_empty() {
            // Nothing at all is the empty object, so that calls whose every field is optional need no body.
            bytes = Bytes::from_static(b"{}");
        } else if media_type.is_none() {
            return Err(unsupported());
        }
        Self::parse(bytes)
    }
}

fn unsupported() -> Problem {
    Problem::new(Code::UNSUPPORTED_MEDIA_TYPE, "Send JSON with Content-Type: application/json.")
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn bad_json(error: &serde_json::Error) -> Problem {
    Problem::new(Code::BAD_JSON, format!("Line {}, column {}: not JSON.", error.line(), error.column()))
}

/// Is some array or object deeper than [`DEPTH_MAX`]? Looks at brackets outside strings alone, so it holds for broken JSON too.
pub(crate) fn too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (true, _) => {}
            (false, b'"') => in_string = true,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
    }
    false
}

impl Json {
    /// Checks depth and syntax.
    pub(crate) fn parse(bytes: Bytes) -> Result<Self, Problem> {
        if too_deep(&bytes) {
            return Err(Problem::new(Code::BAD_JSON, format!("Arrays and objects may lie {DEPTH_MAX} deep.")));
        }
        let value = serde_json::from_slice(&bytes).map_err(|error| bad_json(&error))?;
        Ok(Self { bytes, value })
    }

    /// Refuses a body that holds what looks like a card number, without repeating it.
    pub(crate) fn without_cards(self) -> Result<Self, Problem> {
        if card::is_in(&self.value) {
            return Err(Problem::new(Code::CARD_NUMBER_REFUSED, "Send the provider's token, never a card number."));
        }
        Ok(self)
    }

    /// Reads it as `T`. Bytes and not the parsed value are read, so that repeated members are seen.
    pub(crate) fn shape<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        shape(&self.bytes)
    }

    /// 128 bits that tell this body from others: member order, spaces and number spelling aside.
    pub(crate) fn fingerprint(&self) -> u128 {
        let mut hasher = blake3::Hasher::new();
        canonical(&self.value, &mut hasher);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        u128::from_le_bytes(bytes)
    }
}

/// Reads JSON `bytes` as `T`, or tells which field stands in the way.
pub(crate) fn shape<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde would also take an array of a struct's fields in order, which is no promise of the contract.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
            Ok(_) => Err(Problem::field("", "wrong_type", "an object")),
            Err(error) => Err(bad_json(&error)),
        };
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().clone();
        (path, error.into_inner())
    });
    match read {
        Ok(value) => deserializer.end().map_err(|error| bad_json(&error)).map(|()| value),
        Err((_, error)) if !error.is_data() => Err(bad_json(&error)),
        Err((path, error)) => Err(Problem::invalid(vec![field_error(&path, &error.to_string())])),
    }
}

fn field_error(path: &serde_path_to_error::Path, message: &str) -> FieldError {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } | Segment::Enum { variant: key } => push(&mut pointer, key),
            Segment::Unknown => {}
        }
    }
    // serde_json ends its messages with the place, which the pointer tells better.
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let quoted = message.split('`').nth(1).unwrap_or("");
    let code = match message {
        _ if message.starts_with("missing field") => {
            push(&mut pointer, quoted);
            "missing"
        }
        _ if message.starts_with("unknown field") => {
            end_with(&mut pointer, quoted);
            "unknown_field"
        }
        _ if message.starts_with("duplicate field") => {
            end_with(&mut pointer, quoted);
            "duplicate"
        }
        _ if message.starts_with("unknown variant") => "unknown_value",
        _ if message.starts_with("invalid value") => "out_of_range",
        _ if message.starts_with("invalid length") => "wrong_length",
        _ if message.starts_with("invalid type") => "wrong_type",
        _ => "invalid",
    };
    FieldError { pointer, code: code.to_owned(), detail: message.to_owned() }
}

/// Adds `key` unless the path already names it.
fn end_with(pointer: &mut String, key: &str) {
    let mut last = String::new();
    push(&mut last, key);
    if !pointer.ends_with(&last) {
        pointer.push_str(&last);
    }
}

fn push(pointer: &mut String, key: &str) {
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
}

fn canonical(value: &Value, into: &mut blake3::Hasher) {
    let mut text = |tag: u8, text: &str| {
        into.update(&[tag]);
        into.update(&(text.len() as u64).to_le_bytes());
        into.update(text.as_bytes());
    };
    match value {
        Value::Null => text(0, ""),
        Value::Bool(flag) => text(1, if *flag { "t" } else { "f" }),
        Value::Number(number) => text(2, &number.to_string()),
        Value::String(string) => text(3, string),
        Value::Array(values) => {
            text(4, &values.len().to_string());
            values.iter().for_each(|value| canonical(value, into));
        }
        Value::Object(members) => {
            text(5, &members.len().to_string());
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| name.as_str());
            for (name, value) in members {
                canonical(&Value::String(name.clone()), into);
                canonical(value, into);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether and where reading fails matters here")]
    struct Line {
        sku: String,
        quantity: u32,
        #[serde(default)]
        more: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "as above")]
    struct Inner {
        key: String,
    }

    fn outcome(text: &str) -> String {
        let read = Json::parse(Bytes::copy_from_slice(text.as_bytes())).and_then(|json| json.shape::<Line>());
        match read {
            Ok(_) => "ok".to_owned(),
            Err(problem) => {
                let brief = problem.brief();
                let first = &brief["errors"][0];
                let place = first["pointer"].as_str().map(|p| format!(" {p} {}", first["code"].as_str().unwrap_or("")));
                format!("{} {}{}", problem.code.status.as_u16(), problem.code.word, place.unwrap_or_default())
            }
        }
    }

    #[test] // Each row: a body, and what it is answered.
    fn bad_bodies() {
        let deep = format!("{{\"sku\":{}1{}}}", "[".repeat(32), "]".repeat(32));
        for (body, wanted) in [
            (r#"{"sku":"a","quantity":1}"#, "ok"),
            (r#" {"quantity":1 , "sku":"a"} "#, "ok"),
            ("", "400 bad_json"),
            ("{", "400 bad_json"),
            (r#"{"sku":"a","quantity":1}x"#, "400 bad_json"),
            (r#"{"sku":"a","quantity":01}"#, "400 bad_json"),
            (r#"{"sku":5,"quantity":"#, "400 bad_json"),
            ("{\"sku\":\"\u{7f}\\ud800\",\"quantity\":1}", "400 bad_json"),
            (&deep, "400 bad_json"),
            ("[]", "422 validation_failed  wrong_type"),
            (r#"["a",1,[]]"#, "422 validation_failed  wrong_type"),
            ("5", "422 validation_failed  wrong_type"),
            (r#"{"sku":"a"}"#, "422 validation_failed /quantity missing"),
            (r#"{"sku":"a","quantity":1,"price":1}"#, "422 validation_failed /price unknown_field"),
            (r#"{"sku":"a","quantity":1,"a/b~c":1}"#, "422 validation_failed /a~1b~0c unknown_field"),
            (r#"{"sku":1,"quantity":1}"#, "422 validation_failed /sku wrong_type"),
            (r#"{"sku":"a","quantity":null}"#, "422 validation_failed /quantity wrong_type"),
            (r#"{"sku":"a","quantity":1.5}"#, "422 validation_failed /quantity wrong_type"),
            (r#"{"sku":"a","quantity":-1}"#, "422 validation_failed /quantity out_of_range"),
            (r#"{"sku":"a","quantity":99999999999}"#, "422 validation_failed /quantity out_of_range"),
            (r#"{"sku":"a","sku":"b","quantity":1}"#, "422 validation_failed /sku duplicate"),
            (r#"{"sku":"a","quantity":1,"more":[{"key":"x"},{"key":1}]}"#, "422 validation_failed /more/1/key wrong_type"),
            (r#"{"sku":"a","quantity":1,"more":[{}]}"#, "422 validation_failed /more/0/key missing"),
            (r#"{"sku":"a","quantity":1,"more":[{"key":"x","y":1}]}"#, "422 validation_failed /more/0/y unknown_field"),
        ] {
            assert_eq!(outcome(body), wanted, "{body}");
        }
    }

    #[test]
    fn fingerprints_tell_content_not_spelling() {
        let of = |text: &str| Json::parse(Bytes::copy_from_slice(text.as_bytes())).expect("JSON").fingerprint();
        assert_eq!(of(r#"{"a":1,"b":[true,null]}"#), of(r#" { "b" : [ true , null ] , "a" : 1 } "#));
        for (one, other) in [(r#"{"a":1}"#, r#"{"a":"1"}"#), (r#"["ab"]"#, r#"["a","b"]"#), ("[[],[]]", "[[[]]]"), ("{}", "[]")] {
            assert_ne!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn media_types() {
        for (text, wanted) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonx", false),
            ("", false),
        ] {
            assert_eq!(is_json(text), wanted, "{text}");
        }
    }
}
