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

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

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
/// A quarter of the kills comes so soon after the process started, in
/// milliseconds: often before it listens.
const EARLY: u64 = 300;
/// Half of them so soon after it was ready.
const SOON: u64 = 450;
/// The others later, so that something gets done between the kills.
const LATE: u64 = 1500;
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
        let life = match dice.roll(4) {
            0 => dice.roll(EARLY),
            kind => {
                world.wait_until_ready().await;
                dice.roll(if kind == 1 { LATE } else { SOON })
            }
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
    if tokio::time::timeout(SETTLE_WITHIN, settle).await.is_err() {
        panic!("not settled, seed {seed}:\n{}\n{}", world.standing().await, world.log_tail());
    }
    for reader in readers {
        reader.abort();
    }

    println!("{kills} kills, {} changes decided", fates.len());
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
