//! Mail servers that we did not write: each story is told before Postfix, Exim and OpenSMTPD, as far
//! as they can play in it. What they said in it stands in `docs/smtp-replies.md`.

mod kind;
mod server;
mod stories;

/// A test of each story for each server that plays in it.
macro_rules! told {
    ($($server:ident as $kind:ident: $($story:ident)*;)*) => {
        $(mod $server {
            use super::{kind::Kind, server::RealServer, stories};

            $(#[tokio::test]
            async fn $story() {
                if let Some(server) = RealServer::start(Kind::$kind).await {
                    stories::$story(server).await;
                }
            })*
        })*
    };
}

told! {
    postfix as Postfix:
        a_mail_arrives_once_under_its_message_id
        mails_follow_each_other_on_one_connection
        mailboxes_that_there_are_not_are_refused_for_good_and_others_get_their_mails
        nobody_is_lost_where_relaying_or_our_sender_is_refused
        a_greylisted_mail_is_tried_again
        mails_are_encrypted_before_a_pinned_certificate_and_kept_from_an_unknown_one
        a_server_that_was_stopped_gets_the_next_mail_when_it_is_back;
    exim as Exim:
        a_mail_arrives_once_under_its_message_id
        a_server_that_ends_connections_after_four_mails_gets_them_all
        mailboxes_that_there_are_not_are_refused_for_good_and_others_get_their_mails
        nobody_is_lost_where_relaying_or_our_sender_is_refused
        a_greylisted_mail_is_tried_again
        mails_are_encrypted_before_a_pinned_certificate_and_kept_from_an_unknown_one
        a_login_by_plain_or_login_is_taken_and_a_wrong_one_is_said
        a_server_that_was_stopped_gets_the_next_mail_when_it_is_back;
    opensmtpd as OpenSmtpd:
        a_mail_arrives_once_under_its_message_id
        mails_follow_each_other_on_one_connection
        nobody_is_lost_where_mailbox_relaying_and_sender_are_refused_in_the_same_words
        nobody_is_lost_where_relaying_or_our_sender_is_refused
        a_greylisted_mail_is_tried_again
        a_server_whose_own_tls_fails_gets_no_mail_in_the_clear
        a_server_that_was_stopped_gets_the_next_mail_when_it_is_back;
}
