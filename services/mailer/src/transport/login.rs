//! How we log in to a mail server (RFC 4954), by PLAIN or LOGIN; `connect` does it once TLS is as
//! the URL demands it.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    offers::Offers,
    url::Credentials,
    wire::{Broken, Wire},
};

pub(super) async fn log_in(
    wire: &mut Wire,
    offers: Offers,
    Credentials { user, password }: &Credentials,
) -> Result<(), Broken> {
    let encode = |text: &str| format!("{}\r\n", BASE64_STANDARD.encode(text));
    let steps: Vec<(String, u16)> = match offers {
        Offers {
            auth_plain: true, ..
        } => {
            let plain = encode(&format!("\0{user}\0{password}"));
            vec![(format!("AUTH PLAIN {plain}"), 235)]
        }
        Offers {
            auth_login: true, ..
        } => vec![
            ("AUTH LOGIN\r\n".to_owned(), 334),
            (encode(user), 334),
            (encode(password), 235),
        ],
        _ => {
            return Err(Broken(
                "the mail server offers neither PLAIN nor LOGIN".to_owned(),
            ));
        }
    };
    for (command, code) in steps {
        wire.say(command.as_bytes()).await?;
        let reply = wire.reply().await;
        match reply.map_err(|_| Broken("the answer is no SMTP".to_owned()))? {
            reply if reply.code == code => {}
            reply => {
                // Of what is answered here only numbers are told: a server may repeat the password.
                let status = reply.status().map(|status| format!(" {status}"));
                return Err(Broken(format!(
                    "the mail server refuses the login ({}{}): see user and password in USHER_MAIL_URL",
                    reply.code,
                    status.unwrap_or_default()
                )));
            }
        }
    }
    Ok(())
}
