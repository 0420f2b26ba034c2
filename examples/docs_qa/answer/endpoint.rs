//! A model behind an HTTP endpoint that speaks the chat-completions protocol.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use stageflow::context::{Operation, Usage};

use crate::answer::model::{Model, ModelError, Prompt};

/// An answer longer than this is no answer.
const LONGEST_ANSWER: u64 = 1 << 20;

/// A chat-completions endpoint over HTTP.
pub(crate) struct Endpoint {
    agent: ureq::Agent,
    url: String,
    model: String,
    key: Option<String>,
}

/// Never shows the key.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.url)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Takes the whole URL or the part before `/chat/completions`.
    pub(crate) fn new(url: &str, model: &str, key: Option<String>, timeout: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false) // the body says what went wrong
            .user_agent("stageflow-docs-qa")
            .build();
        let key = key.filter(|key| !key.trim().is_empty());
        Self {
            agent: config.into(),
            url: completions_url(url),
            model: model.to_owned(),
            key,
        }
    }
}

fn completions_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    match path.split_once('/') {
        Some(_) if url.ends_with("/chat/completions") => url.to_owned(),
        Some(_) => format!("{url}/chat/completions"),
        None => format!("{url}/v1/chat/completions"),
    }
}

impl Model for Endpoint {
    fn operation(&self) -> Operation {
        // Its host is who offers it: many speak the protocol that one of them made.
        let rest = self.url.split("://").nth(1).unwrap_or(&self.url);
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        Operation::chat(&*self.model).provider(host)
    }

    fn complete(&self, prompt: &Prompt, used: &mut Usage) -> Result<String, ModelError> {
        let body = json!({
            "model": self.model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
        });
        let url = || self.url.clone();
        let mut call = self.agent.post(&self.url);
        if let Some(key) = &self.key {
            call = call.header("Authorization", format!("Bearer {key}"));
        }
        let unreachable = |source| ModelError::Unreachable { url: url(), source };
        let mut response = call.send_json(&body).map_err(unreachable)?;
        let text = response
            .body_mut()
            .with_config()
            .limit(LONGEST_ANSWER)
            .read_to_string()
            .map_err(unreachable)?;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            let body = text.chars().filter(|c| !c.is_control()).take(300).collect();
            return Err(ModelError::Refused {
                url: url(),
                status,
                body,
            });
        }
        let completion: Completion =
            serde_json::from_str(&text).map_err(|error| ModelError::Malformed {
                url: url(),
                reason: error.to_string(),
            })?;
        if let Some(Tokens {
            prompt_tokens,
            completion_tokens,
        }) = completion.usage
        {
            *used = Usage::tokens(prompt_tokens, completion_tokens);
        }
        let answer = completion
            .choices
            .into_iter()
            .next()
            .and_then(|choice| choice.message.content);
        answer.ok_or_else(|| ModelError::Malformed {
            url: url(),
            reason: "it holds no message".to_owned(),
        })
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with the given status and body, and gives the request.
    fn served(status: &str, body: &str, key: Option<&str>) -> (Result<String, ModelError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let endpoint = Endpoint::new(
            &url,
            "small",
            key.map(str::to_owned),
            Duration::from_secs(10),
        );
        std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(&stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    reader.read_line(&mut head).unwrap();
                }
                let length = head.lines().find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                });
                let mut sent = vec![0; length.unwrap_or(0)];
                reader.read_exact(&mut sent).unwrap();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                (&stream).write_all(answer.as_bytes()).unwrap();
                head + &String::from_utf8(sent).unwrap()
            });
            let result = endpoint.complete(
                &Prompt {
                    system: "s".into(),
                    user: "u".into(),
                },
                &mut Usage::default(),
            );
            (result, server.join().unwrap())
        })
    }

    #[test]
    fn a_completion_is_asked_for_and_read() {
        let body = r#"{"choices": [{"message": {"role": "assistant", "content": "Yes."}}]}"#;
        let (answer, request) = served("200 OK", body, Some("secret"));
        assert_eq!(answer.unwrap(), "Yes.");
        assert!(
            request.starts_with("POST /v1/chat/completions HTTP/1.1"),
            "{request}"
        );
        assert!(
            request
                .to_lowercase()
                .contains("authorization: bearer secret")
        );
        let body: serde_json::Value =
            serde_json::from_str(&request[request.find('{').unwrap()..]).unwrap();
        assert_eq!(
            (&body["model"], &body["messages"][1]["content"]),
            (&json!("small"), &json!("u"))
        );
    }

    #[test]
    fn failures_say_what_happened_and_whether_to_try_again() {
        let (busy, request) = served("429 Too Many Requests", "slow down", None);
        let busy = busy.unwrap_err();
        assert!(
            busy.is_transient() && busy.to_string().ends_with("answered 429: slow down"),
            "{busy}"
        );
        assert!(!request.to_lowercase().contains("authorization"));
        assert!(
            !served("401 Unauthorized", "no", None)
                .0
                .unwrap_err()
                .is_transient()
        );
        let odd = served("200 OK", r#"{"choices": []}"#, None).0.unwrap_err();
        assert!(
            odd.to_string()
                .ends_with("no chat completion: it holds no message"),
            "{odd}"
        );
        let closed = Endpoint::new(
            "http://127.0.0.1:1",
            "m",
            Some("secret".into()),
            Duration::from_secs(1),
        );
        let prompt = Prompt {
            system: String::new(),
            user: String::new(),
        };
        assert!(
            closed
                .complete(&prompt, &mut Usage::default())
                .unwrap_err()
                .is_transient()
        );
        assert!(!format!("{closed:?}").contains("secret"));
    }

    #[test]
    fn the_host_is_who_offers_the_model_and_a_password_stays_here() {
        let endpoint = Endpoint::new(
            "http://me:secret@models.test:8080/v1",
            "small",
            None,
            Duration::from_secs(1),
        );
        let call = endpoint.operation();
        assert_eq!(
            (&**call.name(), call.provider_name().map(|name| &**name)),
            ("small", Some("models.test"))
        );
    }

    #[test]
    fn urls_are_completed() {
        assert_eq!(
            completions_url("http://h:1"),
            "http://h:1/v1/chat/completions"
        );
        assert_eq!(
            completions_url("http://h/v1/"),
            "http://h/v1/chat/completions"
        );
        assert_eq!(
            completions_url("https://h/x/chat/completions"),
            "https://h/x/chat/completions"
        );
    }
}
