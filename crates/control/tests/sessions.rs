//! Sessions and time: what ends by itself, and what opens only once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

mod common;

use common::House;
use domain::people::Role;
use domain::units::Span;
use std::sync::atomic::Ordering;
use tidegate_control::sessions::{CODE_LIFETIME, IDLE, LONGEST, MAX_SESSIONS, Session, SignIn};
use tidegate_control::views::NewToken;

fn pass(house: &House, time: Span) {
    house.now.fetch_add(time.millis(), Ordering::SeqCst);
}

async fn with_code(house: &House) -> SignIn {
    let ana = house.ana();
    SignIn::Code(house.control.make_sign_in_code(&ana, ana.name()).await.unwrap().code)
}

async fn signed_in(house: &House) -> Session {
    house.control.sign_in(with_code(house).await, None, None).await.unwrap()
}

async fn code_of(house: &House, session: &Session) -> Option<String> {
    let looked = house.control.authenticate_session(&session.secret, None).await;
    looked.err().map(|problem| problem.code)
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_in_any_case_after_a_week() {
    let house = House::new().await;
    let idle = signed_in(&house).await;
    pass(&house, Span::from_millis(IDLE.millis() - 1));
    assert_eq!(code_of(&house, &idle).await, None);
    let busy = signed_in(&house).await;
    pass(&house, IDLE);
    assert_eq!(code_of(&house, &idle).await.as_deref(), Some("login_expired"));
    assert_eq!(code_of(&house, &busy).await.as_deref(), Some("login_expired"));

    let busy = signed_in(&house).await;
    let steps = LONGEST.millis() / (IDLE.millis() / 2);
    for _ in 1..steps {
        pass(&house, Span::from_millis(IDLE.millis() / 2));
        assert_eq!(code_of(&house, &busy).await, None, "used again and again");
    }
    pass(&house, Span::from_millis(IDLE.millis() / 2));
    assert_eq!(code_of(&house, &busy).await.as_deref(), Some("login_expired"), "a week is over");

    // An open page is not use.
    let watched = signed_in(&house).await;
    for _ in 0..2 {
        pass(&house, Span::from_millis(IDLE.millis() / 2));
        house.control.look_at_session(&watched.secret, None).await.ok();
    }
    assert_eq!(code_of(&house, &watched).await.as_deref(), Some("login_expired"));
    house.control.tidy_up().await.unwrap();
    assert_eq!(code_of(&house, &watched).await.as_deref(), Some("not_signed_in"), "forgotten");
}

#[tokio::test]
async fn a_code_opens_once_however_many_try_and_not_after_its_hour() {
    let house = House::new().await;
    let code = with_code(&house).await;
    let tries = (0..8).map(|_| house.control.sign_in(code.clone(), None, None));
    let opened = futures_util::future::join_all(tries).await;
    assert_eq!(opened.iter().filter(|session| session.is_ok()).count(), 1);
    let code = with_code(&house).await;
    pass(&house, CODE_LIFETIME);
    let late = house.control.sign_in(code, None, None).await.unwrap_err();
    assert_eq!(late.code, "sign_in_failed");
}

#[tokio::test]
async fn a_session_never_outlives_its_token_and_the_oldest_of_many_ends() {
    let house = House::new().await;
    let ana = house.ana();
    let new = NewToken {
        person: Some(ana.name().clone()),
        apps: Default::default(),
        gateway: false,
        note: String::new(),
        lifetime: Some(Span::from_secs(60)),
    };
    let made = house.control.create_token(&ana, new).await.unwrap();
    let short = house.control.sign_in(SignIn::Token(made.secret), None, None).await.unwrap();
    assert_eq!(short.expires_at, made.token.expires_at);
    pass(&house, Span::from_secs(60));
    assert!(code_of(&house, &short).await.is_some());

    let mut open = Vec::new();
    for _ in 0..=MAX_SESSIONS {
        open.push(signed_in(&house).await);
    }
    assert!(code_of(&house, &open[0]).await.is_some(), "the oldest ended");
    for session in &open[1..] {
        assert_eq!(code_of(&house, session).await, None);
    }
}

#[tokio::test]
async fn the_first_admin_is_offered_a_link_until_somebody_signed_in() {
    let house = House::new().await;
    let link = house.control.first_sign_in().await.unwrap().expect("a link");
    assert!(link.url.ends_with(&format!("/signin?code={}", link.code)));
    let session = house.control.sign_in(SignIn::Code(link.code), None, None).await.unwrap();
    assert_eq!(session.caller.name().as_str(), "root");
    assert!(house.control.first_sign_in().await.unwrap().is_none());
    // Others make links for themselves, admins for anybody.
    let (ana, root) = (house.ana(), house.caller("root", &[Role::Admin]));
    let problem = house.control.make_sign_in_code(&ana, root.name()).await.unwrap_err();
    assert_eq!(problem.code, "not_allowed");
    house.control.make_sign_in_code(&root, ana.name()).await.unwrap();
}
