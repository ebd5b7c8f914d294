//! What commands make.

use super::ground::{Ground, MAKERS, can_play_another_user};

#[tokio::test]
async fn whichever_command_makes_the_data_folder_it_and_all_in_it_are_for_their_owner_only() {
    for umask in ["000", "022"] {
        for maker in &MAKERS {
            let ground = Ground::new();
            let look = || {
                let open = ground.open_to_others();
                assert!(open.is_empty(), "{maker:?}, umask {umask}: {open:#?}");
            };
            ground.run(maker, umask, look).await;
        }
    }
}

#[tokio::test]
async fn another_user_reads_nothing_of_the_data_folder() {
    if !can_play_another_user() {
        return;
    }
    for maker in &MAKERS {
        let ground = Ground::new();
        let look = || assert_eq!(ground.readable_by_nobody(), "", "{maker:?}");
        ground.run(maker, "000", look).await;
    }
}
