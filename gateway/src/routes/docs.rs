//! `/docs`: the OpenAPI document as a plain page, rendered here, without scripts.

use crate::{http::reply::Reply, openapi};
use axum::http::{StatusCode, header};
use serde_json::Value;
use std::fmt::Write as _;

/// Methods in the order shown.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The routes, for people.
#[utoipa::path(get, path = "/docs", tag = "service", responses((status = 200, description = "A page", content_type = "text/html")))]
pub(crate) async fn docs() -> Reply {
    static PAGE: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| page(openapi::document()));
    Reply::html(&PAGE).header(header::CACHE_CONTROL, "public, max-age=300").status(StatusCode::OK)
}

/// Text as HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

/// Name of the schema that a `$ref` or an array of `$ref` points to.
fn schema_name(schema: &Value) -> String {
    let name = |value: &Value| value["$ref"].as_str().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
    name(schema).or_else(|| name(&schema["items"]).map(|name| format!("list of {name}"))).unwrap_or_default()
}

fn page(document: &Value) -> String {
    let mut out = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>HTTP contract</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"></head><body>",
    );
    let title = document["info"]["title"].as_str().unwrap_or("");
    let description = document["info"]["description"].as_str().unwrap_or("");
    let _ = write!(out, "<h1>{}</h1><p>{}</p>", escape(title), escape(description));
    let _ = write!(out, "<p>The whole document: <a href=\"/openapi.json\">/openapi.json</a></p>");
    let empty = serde_json::Map::new();
    for (path, item) in document["paths"].as_object().unwrap_or(&empty) {
        for method in METHODS {
            let operation = &item[method];
            if operation.is_null() {
                continue;
            }
            let text = |name: &str| escape(operation[name].as_str().unwrap_or("").trim());
            let _ = write!(out, "<h2><code>{} {}</code></h2><p>{}</p>", method.to_uppercase(), escape(path), text("summary"));
            if !operation["description"].is_null() {
                let _ = write!(out, "<p>{}</p>", text("description"));
            }
            if let Some(parameters) = operation["parameters"].as_array() {
                out.push_str("<ul>");
                for parameter in parameters {
                    let part = |name: &str| escape(parameter[name].as_str().unwrap_or(""));
                    let _ = write!(out, "<li><code>{}</code> ({}): {}</li>", part("name"), part("in"), part("description"));
                }
                out.push_str("</ul>");
            }
            let body = schema_name(&operation["requestBody"]["content"]["application/json"]["schema"]);
            if !body.is_empty() {
                let _ = write!(out, "<p>Body: <a href=\"#{body}\">{body}</a></p>");
            }
            out.push_str("<ul>");
            for (status, response) in operation["responses"].as_object().unwrap_or(&empty) {
                let schema =
                    response["content"].as_object().and_then(|content| content.values().next()).map(|media| schema_name(&media["schema"]));
                let schema =
                    schema.filter(|name| !name.is_empty()).map(|name| format!("<a href=\"#{name}\">{name}</a> ")).unwrap_or_default();
                let _ = write!(out, "<li>{}: {schema}{}</li>", escape(status), escape(response["description"].as_str().unwrap_or("")));
            }
            out.push_str("</ul>");
        }
    }
    out.push_str("<h1>Shapes</h1>");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap_or(&empty) {
        let description = schema["description"].as_str().unwrap_or("");
        let _ = write!(out, "<h2 id=\"{0}\"><code>{0}</code></h2><p>{1}</p><ul>", escape(name), escape(description));
        for (field, shape) in schema["properties"].as_object().unwrap_or(&empty) {
            let kind = shape["type"].as_str().map_or_else(|| schema_name(shape), str::to_owned);
            let note = shape["description"].as_str().unwrap_or("");
            let _ = write!(out, "<li><code>{}</code> {}: {}</li>", escape(field), escape(&kind), escape(note));
        }
        out.push_str("</ul>");
    }
    out.push_str("</body></html>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_path_and_no_script() {
        let page = page(openapi::document());
        for path in openapi::document()["paths"].as_object().expect("paths").keys() {
            assert!(page.contains(&escape(path)), "{path}");
        }
        assert!(!page.contains("<script") && !page.contains("style="));
    }
}
