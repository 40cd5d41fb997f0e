//! A client: what a browser does with the socket, and what a test wants to know of it.

use std::collections::VecDeque;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

use crate::stack::PATIENCE;

/// Where a client puts its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPlace {
    /// `?token=`.
    Query,
    /// The subprotocols `bearer` and the token.
    Subprotocol,
}

/// Both places.
pub const PLACES: [TokenPlace; 2] = [TokenPlace::Query, TokenPlace::Subprotocol];

/// A frame from the server: its text, and what it says.
#[derive(Debug, Clone)]
pub struct Frame {
    /// As it came.
    pub text: String,
    /// Read as JSON.
    pub json: Value,
}

impl Frame {
    fn is_notification(&self) -> bool {
        self.json.get("system").is_none()
    }

    /// What the message was.
    pub fn data(&self) -> &Value {
        &self.json["data"]
    }
}

/// An open socket. An answer that nobody asked for fails the test.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    handshake: Response<Option<Vec<u8>>>,
    unread: VecDeque<Frame>,
}

impl Socket {
    /// Tries to connect to `url`.
    ///
    /// # Errors
    ///
    /// The HTTP status of the refusal.
    pub async fn connect(url: &str, place: TokenPlace, token: &str) -> Result<Self, u16> {
        match place {
            TokenPlace::Query => Self::open(&format!("{url}?token={token}"), None).await,
            TokenPlace::Subprotocol => Self::open(url, Some(&format!("bearer, {token}"))).await,
        }
    }

    /// Tries to connect to `url`, offering `protocols`.
    ///
    /// # Errors
    ///
    /// The HTTP status of the refusal.
    pub async fn open(url: &str, protocols: Option<&str>) -> Result<Self, u16> {
        let mut request = url.into_client_request().expect("a URL");
        if let Some(protocols) = protocols {
            let offer = protocols.parse().expect("a header");
            request
                .headers_mut()
                .insert("Sec-WebSocket-Protocol", offer);
        }
        match timeout(PATIENCE, connect_async(request))
            .await
            .expect("the handshake is answered")
        {
            Ok((stream, handshake)) => Ok(Self {
                stream,
                handshake,
                unread: VecDeque::new(),
            }),
            Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
            Err(error) => panic!("the handshake failed: {error}"),
        }
    }

    /// The headers of the answer to the handshake.
    pub fn handshake_headers(&self) -> Vec<(&str, &str)> {
        let headers = self.handshake.headers().iter();
        headers
            .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
            .collect()
    }

    /// The subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        let chosen = self.handshake.headers().get("sec-websocket-protocol")?;
        Some(chosen.to_str().expect("text"))
    }

    /// Sends a frame.
    pub async fn send(&mut self, text: impl Into<String>) {
        self.stream
            .send(Message::text(text.into()))
            .await
            .expect("the frame is sent");
    }

    /// Sends a request with a new `ref` and waits for its answer.
    pub async fn request(&mut self, mut request: Value) -> Value {
        let reference = Uuid::now_v7().to_string();
        request["ref"] = json!(reference);
        self.send(request.to_string()).await;
        let answer = self.answer().await;
        assert_eq!(
            answer["ref"],
            json!(reference),
            "the answer to another request: {answer}"
        );
        answer
    }

    /// Waits for the next system frame; keeps the notifications before it.
    pub async fn answer(&mut self) -> Value {
        loop {
            let frame = self.receive().await;
            if !frame.is_notification() {
                return frame.json;
            }
            self.unread.push_back(frame);
        }
    }

    /// Waits for the next notification.
    pub async fn notification(&mut self) -> Frame {
        if let Some(frame) = self.unread.pop_front() {
            return frame;
        }
        let frame = self.receive().await;
        assert!(
            frame.is_notification(),
            "an answer to no request: {}",
            frame.text
        );
        frame
    }

    /// The next notification, if one comes within `patience`.
    pub async fn notification_within(&mut self, patience: Duration) -> Option<Frame> {
        timeout(patience, self.notification()).await.ok()
    }

    /// Waits until a ping is answered: then the socket is open on both sides. Gives the heads of the streams.
    pub async fn ping(&mut self) -> Value {
        let mut pong = self.request(json!({"action": "ping"})).await;
        assert_eq!(pong["system"], "pong", "{pong}");
        let heads = pong["data"]["heads"].take();
        let streams: Vec<_> = heads.as_object().expect("the heads").keys().collect();
        assert_eq!(streams, ["room", "user"]);
        heads
    }

    /// Sends `data` to the room and waits for the ack; gives the message's id.
    pub async fn publish(&mut self, data: &Value) -> String {
        let ack = self
            .request(json!({"action": "sendMessage", "data": data}))
            .await;
        assert_eq!(ack["system"], "ack", "{ack}");
        ack["data"]["id"].as_str().expect("an id").to_owned()
    }

    /// Nothing more has come: a message to `user`, whose only socket in the room this is, is the next.
    pub async fn receives_nothing_more(&mut self, user: &str) {
        let end = json!({"end": Uuid::now_v7().to_string()});
        let ack = self
            .request(json!({"action": "sendMessage", "data": end, "to": user}))
            .await;
        assert_eq!(ack["system"], "ack", "{ack}");
        let next = self.notification().await;
        assert_eq!(next.data(), &end, "one more: {}", next.text);
    }

    /// Waits until the server has closed the socket.
    pub async fn closed(mut self) {
        let end = async {
            while let Some(Ok(message)) = self.stream.next().await {
                if message.is_close() {
                    break;
                }
            }
        };
        timeout(PATIENCE, end)
            .await
            .expect("the server closes the socket");
    }

    /// Closes the socket in order.
    pub async fn leave(mut self) {
        self.stream.close(None).await.expect("it closes");
    }

    async fn receive(&mut self) -> Frame {
        loop {
            let message = timeout(PATIENCE, self.stream.next())
                .await
                .expect("a frame comes in time");
            match message
                .expect("the socket stays open")
                .expect("the socket works")
            {
                Message::Text(text) => {
                    let json = serde_json::from_str(&text).expect("every frame is JSON");
                    return Frame {
                        text: text.to_string(),
                        json,
                    };
                }
                Message::Close(reason) => panic!("the server closed the socket: {reason:?}"),
                Message::Binary(_) => panic!("a binary frame"),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}
