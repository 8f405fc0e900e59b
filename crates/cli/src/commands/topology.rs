//! `leasehold topology`: Sentinels, master and replicas, as each of them sees it.

use leasehold::config::{Endpoint, Topology};
use leasehold::probe::{Hop, Probe};
use serde_json::{Value, json};

use super::milliseconds;
use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::gate;
use crate::output::{Output, Tone, plain};
use crate::servers::{Asked, Replication, SentinelView, masters, replication, views};

/// Draw the Sentinels, the master and its replicas
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) async fn main(source: &Source, output: Output) -> Result<u8, Failure> {
    let (config, topology) = source.servers("there are no servers")?;
    let mut sentinels = Vec::new();
    let masters = match &topology {
        Topology::Sentinel(configured) => {
            sentinels = views(&topology, configured).await;
            masters(&sentinels, configured)
        }
        Topology::Standalone(standalone) => vec![standalone.endpoint.clone()],
        _ => {
            let message = "only Sentinel and one Redis can be drawn";
            return Err(Failure::new(exit::CONFIG, message));
        }
    };
    let mut nodes = Vec::new();
    for master in masters {
        let asked = node(&topology, &master).await;
        nodes.push((master, asked));
    }
    let is_complete = !nodes.is_empty() && nodes.iter().all(|(_, asked)| asked.is_ok());
    let gate = gate::look(&config).await;
    if output.json {
        let mut document = document(&sentinels, &nodes);
        document["gate"] = gate::document(&gate);
        output.document(&document);
    } else {
        draw(output, &sentinels, &nodes);
        if let Some(gate) = &gate {
            output.line(&format!("gate     {}", gate::described(gate)));
        }
    }
    Ok(if is_complete {
        exit::OK
    } else {
        exit::UNREACHABLE
    })
}

async fn node(topology: &Topology, endpoint: &Endpoint) -> Result<Replication, String> {
    let probe = Probe::open(topology, Hop::Node, endpoint).await;
    let probe = probe.map_err(|error| error.to_string())?;
    replication(&probe).await.map_err(|error| error.to_string())
}

fn draw(output: Output, sentinels: &[Asked<SentinelView>], nodes: &[Asked<Replication>]) {
    for (endpoint, view) in sentinels {
        let told = match view {
            Ok(view) => format!(
                "names {} at epoch {} (quorum {}, knows {} other Sentinels, {} replicas){}",
                view.master,
                view.epoch,
                view.quorum,
                view.others,
                view.replicas,
                doubts(output, &view.flags),
            ),
            Err(error) => output.coloured(Tone::Bad, &plain(error)),
        };
        output.line(&format!("sentinel {endpoint}  {told}"));
    }
    for (endpoint, node) in nodes {
        match node {
            Err(error) => {
                let error = output.coloured(Tone::Bad, &plain(error));
                output.line(&format!("node     {endpoint}  {error}"));
            }
            Ok(node) => {
                output.line(&format!(
                    "{:<8} {endpoint}  offset {}, {} replicas",
                    plain(&node.role),
                    node.offset,
                    node.replicas.len()
                ));
                draw_replicas(output, node);
            }
        }
    }
}

fn draw_replicas(output: Output, node: &Replication) {
    for (at, replica) in node.replicas.iter().enumerate() {
        let branch = if at + 1 == node.replicas.len() {
            "└─"
        } else {
            "├─"
        };
        let tone = if replica.is_online {
            Tone::Good
        } else {
            Tone::Bad
        };
        output.line(&format!(
            "         {branch} replica {}  {}  {} bytes behind, heard of {} s ago",
            plain(&replica.address),
            output.coloured(
                tone,
                if replica.is_online {
                    "online"
                } else {
                    "not in step"
                }
            ),
            node.offset.saturating_sub(replica.offset),
            replica.lag,
        ));
    }
}

/// The flags beside `master`, all of which are bad news.
fn doubts(output: Output, flags: &str) -> String {
    let others: Vec<&str> = flags.split(',').filter(|flag| *flag != "master").collect();
    if others.is_empty() {
        return String::new();
    }
    let text = format!(" [{}]", plain(&others.join(",")));
    output.coloured(Tone::Bad, &text)
}

fn document(sentinels: &[Asked<SentinelView>], nodes: &[Asked<Replication>]) -> Value {
    let sentinels: Vec<Value> = sentinels
        .iter()
        .map(|(endpoint, view)| match view {
            Ok(view) => json!({
                "endpoint": endpoint.to_string(), "master": view.master.to_string(),
                "epoch": view.epoch, "quorum": view.quorum, "flags": view.flags,
                "down_after_ms": milliseconds(view.down_after), "other_sentinels": view.others, "replicas": view.replicas,
            }),
            Err(error) => json!({ "endpoint": endpoint.to_string(), "error": error }),
        })
        .collect();
    let nodes: Vec<Value> = nodes
        .iter()
        .map(|(endpoint, node)| match node {
            Ok(node) => {
                let replicas = node.replicas.iter().map(|replica| {
                    json!({
                        "endpoint": replica.address, "online": replica.is_online,
                        "offset": replica.offset, "lag_s": replica.lag,
                    })
                });
                json!({
                    "endpoint": endpoint.to_string(), "role": node.role, "offset": node.offset,
                    "replicas": replicas.collect::<Vec<Value>>(),
                })
            }
            Err(error) => json!({ "endpoint": endpoint.to_string(), "error": error }),
        })
        .collect();
    json!({ "sentinels": sentinels, "nodes": nodes })
}
