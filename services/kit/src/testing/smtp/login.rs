//! How a client logs in to the mail server (RFC 4954): PLAIN and LOGIN, in one step or in several.

use super::{
    script::Phase,
    session::{End, Session, Step},
};

impl Session {
    pub(super) async fn log_in(&mut self, line: &str) -> Step {
        let Some((user, password)) = self.setup.login.clone() else {
            return self.reply("503 5.5.1 no login here").await;
        };
        let mut words = line.split(' ').skip(1).map(str::to_owned);
        let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
        let first = words.next();
        let right = match mechanism.as_str() {
            "PLAIN" => {
                let given = self.first_or_ask(first, "334 ").await?;
                given == base64(format!("\0{user}\0{password}").as_bytes())
            }
            "LOGIN" => {
                let name = self.first_or_ask(first, "334 VXNlcm5hbWU6").await?;
                let secret = self.first_or_ask(None, "334 UGFzc3dvcmQ6").await?;
                name == base64(user.as_bytes()) && secret == base64(password.as_bytes())
            }
            _ => return self.reply("504 5.5.4 unknown mechanism").await,
        };
        let answer = if right {
            "235 2.7.0 welcome"
        } else {
            "535 5.7.8 wrong user or password"
        };
        self.logged_in = self.perform(Phase::Auth, Some(answer)).await? && right;
        Ok(())
    }

    async fn first_or_ask(&mut self, first: Option<String>, question: &str) -> Result<String, End> {
        if let Some(first) = first {
            return Ok(first);
        }
        self.reply(question).await?;
        Ok(self.wire.line().await?)
    }
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |group, &byte| (group << 8) | u32::from(byte));
        let group = group << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let sextet = (group >> (18 - 6 * at)) & 63;
            text.push(if at <= chunk.len() {
                char::from(ALPHABET[sextet as usize])
            } else {
                '='
            });
        }
    }
    text
}
