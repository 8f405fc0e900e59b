//! One suite of behaviours over every way to keep leases. What one of them cannot give is a named
//! exception in [`Deployment`], not a skipped test.

mod behaviours;
mod deployments;
mod operator;

use deployments::Deployment;

#[tokio::test(flavor = "multi_thread")]
async fn disabled() {
    behaviours::all(&Deployment::disabled()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory() {
    behaviours::all(&Deployment::in_memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standalone() {
    behaviours::all(&Deployment::standalone("relaxed")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standalone_strict() {
    behaviours::all(&Deployment::standalone("strict")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinel_relaxed() {
    behaviours::all(&Deployment::sentinel("relaxed")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinel_strict() {
    behaviours::all(&Deployment::sentinel("strict")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quorum_of_three() {
    behaviours::all(&Deployment::quorum(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quorum_of_five() {
    behaviours::all(&Deployment::quorum(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster() {
    behaviours::all(&Deployment::cluster()).await;
}
