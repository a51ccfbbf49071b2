//! kill -9 at random moments, at least two hundred times, through whole
//! rollouts: they end as they would have.
//!
//! One installation, several apps. On each app an editor and an approver take
//! changes through, good ones and bad ones by turns, while readers call the
//! gateway and reject what does not name the order; all of them just try again
//! when the server is gone. Beside them something kills the server, with the
//! signal nobody can catch, at moments drawn from a seed: while it starts, in
//! the middle of a commit, between a decision and git. At the end:
//!
//! - every good change is live, every bad one was rolled back;
//! - git has exactly one commit for each thing that had to be told to it;
//! - every command that was acknowledged is in the audit log, exactly once;
//! - the audit log is whole, as `tidegate audit verify` sees it.
//!
//! TIDEGATE_KILL_SEED replays the moments of a run, TIDEGATE_KILLS changes how
//! many there are.

mod people;
mod story;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use story::Fate;
use world::World;

/// Kills of an ordinary run.
const KILLS: u64 = 200;
/// Apps with a rollout of their own at any time.
const APPS: usize = 3;
/// One kill in four comes this long after the process started, which is often
/// before it listens.
const EARLY_MS: u64 = 300;
/// The others come this long after it was ready: enough to get somewhere, little
/// enough to be hit in the middle of it.
const LATER_MS: u64 = 450;
/// How long everything may take after the last kill.
const SETTLE_WITHIN: Duration = Duration::from_secs(90);

fn number(variable: &str) -> Option<u64> {
    std::env::var_os(variable)?.to_str()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollouts_end_as_they_would_have_however_often_the_server_is_killed() {
    let seed = number("TIDEGATE_KILL_SEED").unwrap_or_else(world::any_seed);
    let kills = number("TIDEGATE_KILLS").unwrap_or(KILLS);
    println!("TIDEGATE_KILL_SEED={seed}");

    let apps: Vec<String> = (1..=APPS).map(|i| format!("app-{i}")).collect();
    let world = Arc::new(World::make(&apps).await);
    let players: Vec<_> =
        apps.iter().map(|app| tokio::spawn(story::play(Arc::clone(&world), app.clone()))).collect();
    let readers: Vec<_> = apps
        .iter()
        .map(|app| tokio::spawn(people::read(Arc::clone(&world), app.clone())))
        .collect();

    let mut dice = world::Dice::new(seed);
    for n in 1..=kills {
        world.start().await;
        let life = if dice.roll(4) == 0 {
            dice.roll(EARLY_MS)
        } else {
            world.wait_until_ready().await;
            dice.roll(LATER_MS)
        };
        tokio::time::sleep(Duration::from_millis(life)).await;
        world.kill().await;
        if n % 50 == 0 {
            println!("{n} kills, {} changes decided", world.decided());
        }
    }

    // Now it may live. Nobody begins anything new; what is under way ends.
    world.start().await;
    world.no_more_changes();
    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    let settle = async {
        for player in players {
            fates.extend(player.await.expect("a player does not break down"));
        }
    };
    tokio::time::timeout(SETTLE_WITHIN, settle)
        .await
        .unwrap_or_else(|_| panic!("not settled; seed {seed}\n{}", world.log_tail()));
    for reader in readers {
        reader.abort();
    }

    println!("{kills} kills, {} changes: {fates:?}", fates.len());
    assert!(fates.len() >= 2 * APPS, "too few changes came through to say anything: {fates:?}");
    let good = fates.values().filter(|fate| fate.was_good).count();
    assert!(good >= APPS && fates.len() - good >= APPS, "both kinds are needed: {fates:?}");
    for (change, fate) in &fates {
        let wanted = if fate.was_good { "promoted" } else { "rolled_back" };
        assert_eq!(fate.phase, wanted, "{change}, seed {seed}");
    }
    world.check_audit().await;
    world.kill().await;
    world.check_git(&fates);
}
