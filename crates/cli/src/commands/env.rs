//! `leasehold env`: the configuration in effect.

use serde_json::json;

use crate::connect::Source;
use crate::exit::{self, Failure};
use crate::output::{Output, complain, plain, table};

/// Show the configuration in effect, and where each value came from
///
/// Secrets are hidden. Connects nowhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only what somebody set
    #[arg(long)]
    set: bool,
}

pub(crate) fn main(arguments: &Arguments, source: &Source, output: Output) -> Result<u8, Failure> {
    let config = source.config(|builder| builder)?;
    let settings = config.settings().iter();
    let settings = settings.filter(|setting| {
        !arguments.set || *setting.source() != leasehold::config::Source::Default
    });
    if output.json {
        let settings: Vec<_> = settings
            .map(|setting| {
                json!({
                    "name": setting.name(),
                    "value": setting.value(),
                    "source": setting.source().to_string(),
                })
            })
            .collect();
        let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
        output.document(&json!({ "settings": settings, "warnings": warnings }));
        return Ok(exit::OK);
    }
    let rows: Vec<Vec<String>> = settings
        .map(|setting| {
            vec![
                setting.name().to_owned(),
                plain(setting.value().unwrap_or("-")),
                plain(&setting.source().to_string()),
            ]
        })
        .collect();
    output.line(&table(&["VARIABLE", "VALUE", "SOURCE"], &rows));
    for warning in config.warnings() {
        complain(&format!("warning: {warning}"));
    }
    Ok(exit::OK)
}
