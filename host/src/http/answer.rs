//! How an answer and a refusal become HTTP.
//!
//! Not their content. What must hold: blame and code decide the status in one place; blocking work leaves the event loop.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sexton_core::{Blame, Refusal};
use sexton_store::StoreError;

/// A JSON answer.
pub struct Yes<T>(pub StatusCode, pub T);

/// A refusal.
pub struct No(pub Refusal);

/// What a handler gives.
pub type Answer<T> = Result<Yes<T>, No>;

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Items<T> {
    /// The rows.
    pub items: Vec<T>,
    /// `before` of the next page; null on the last.
    pub next: Option<String>,
}

impl<T> Items<T> {
    /// A list that is all here.
    pub fn all(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// 200 with this.
pub fn ok<T>(value: T) -> Answer<T> {
    Ok(Yes(StatusCode::OK, value))
}

impl<T: Serialize> IntoResponse for Yes<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.1) {
            Ok(bytes) => json(self.0, bytes),
            Err(e) => No(Refusal::new("HST007", Blame::Bug, format!("the answer cannot be written as JSON: {e}"))).into_response(),
        }
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let bytes = serde_json::to_vec(&self.0).unwrap_or_default();
        json(status_of(&self.0), bytes)
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<StoreError> for No {
    fn from(error: StoreError) -> Self {
        Self(crate::problem::from_store(&error))
    }
}

fn json(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn status_of(refusal: &Refusal) -> StatusCode {
    match (refusal.code.as_str(), refusal.blame) {
        ("INP009" | "INP012" | "INP013" | "INP014" | "INP019" | "INP026" | "INP032" | "INP034" | "INP041", _) => StatusCode::NOT_FOUND,
        ("INP008" | "INP010" | "INP021" | "INP027" | "INP033" | "INP035", _) => StatusCode::CONFLICT,
        ("INP015", _) => StatusCode::PAYLOAD_TOO_LARGE,
        ("INP044", _) => StatusCode::TOO_MANY_REQUESTS,
        ("INP011" | "INP016" | "INP017", _) => StatusCode::BAD_REQUEST,
        (_, Blame::Input) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, Blame::Plugin | Blame::Config) => StatusCode::CONFLICT,
        (_, Blame::Store | Blame::World) => StatusCode::SERVICE_UNAVAILABLE,
        (_, Blame::Bug) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Runs blocking work on a thread for it. A panic in it becomes a refusal: the host goes on.
///
/// # Errors
/// What the work says, or `HST007`.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, No>
where
    T: Send + 'static,
    E: Into<No> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(e) => {
            tracing::error!(error = %e, "a request failed inside");
            let refusal = Refusal::new("HST007", Blame::Bug, "the request failed inside the host");
            Err(No(refusal.remedy("look at the host's log, and report what it says")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blame_and_code_decide_the_status() {
        let of = |code: &str, blame| status_of(&Refusal::new(code, blame, "")).as_u16();
        assert_eq!([of("INP009", Blame::Input), of("INP008", Blame::Input), of("INP002", Blame::Input)], [404, 409, 422]);
        assert_eq!([of("PLG035", Blame::Plugin), of("STO002", Blame::World), of("HST007", Blame::Bug)], [409, 503, 500]);
        assert_eq!([of("INP011", Blame::Input), of("INP015", Blame::Input)], [400, 413]);
        assert_eq!([of("INP024", Blame::Input), of("INP026", Blame::Input), of("INP027", Blame::Input)], [422, 404, 409]);
        assert_eq!([of("INP031", Blame::Input), of("INP032", Blame::Input)], [422, 404]);
    }
}
