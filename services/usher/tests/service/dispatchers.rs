//! What every dispatcher promises, and what each says where they differ: one list of sentences, run
//! on all three with the whole system around them. `contract` holds the sentences, `caller` who
//! signs people up, `ground` the rest of the system, `refused` what is said of settings that make
//! no sense.

mod caller;
mod contract;
mod ground;
mod refused;

/// The same tests for each kind.
macro_rules! on_each_kind {
    ($($sentence:ident),* $(,)?) => {
        mod inline {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                super::contract::$sentence(super::ground::Kind::Inline).await;
            })*
        }
        mod background {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                super::contract::$sentence(super::ground::Kind::Background).await;
            })*
        }
        mod jetstream {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                super::contract::$sentence(super::ground::Kind::Jetstream).await;
            })*
        }
    };
}

on_each_kind! {
    a_committed_account_gets_its_code_for_24_hours_and_its_mail,
    i04_a_rolled_back_account_gets_nothing,
    verification_that_is_away_costs_no_account_and_a_repetition_brings_the_mail,
    verification_that_refuses_is_asked_again,
    verification_that_hangs_keeps_nobody_waiting_beyond_the_deadline,
    a_mailbox_that_is_refused_for_good_is_told_where_somebody_waits,
    a_mail_server_that_hangs_is_told_where_somebody_waits,
    accounts_that_are_committed_together_each_get_their_own_result,
    a_full_queue_refuses_with_a_hint_and_stores_nothing,
    i18_a_stop_takes_everybody_along_who_was_answered,
    the_trace_is_whole_from_the_caller_to_the_mail,
    i16_no_token_address_or_code_is_seen_at_any_log_level,
}
