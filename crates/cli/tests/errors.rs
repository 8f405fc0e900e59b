//! `docs/errors.md` has every cause of an outage, in the words of the code. To write that part of the page anew:
//!
//! ```text
//! UPDATE_DOCS=1 cargo test -p leasehold-cli --test errors
//! ```

use std::fs;
use std::path::Path;

use leasehold::Cause;

const BEGIN: &str = "<!-- causes: begin -->\n";
const END: &str = "<!-- causes: end -->";

fn row(cause: &Cause) -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    format!(
        "| `{}` | {} | {} | {} |\n",
        cause.code(),
        cell(&cause.to_string()),
        cell(cause.meaning()),
        cell(cause.fix()),
    )
}

fn table() -> String {
    let head =
        "| code | the message contains | what happened | what to do |\n| --- | --- | --- | --- |\n";
    let rows: Vec<String> = Cause::examples().iter().map(row).collect();
    format!("{head}{}", rows.concat())
}

#[test]
fn every_cause_is_on_the_page_as_the_code_has_it() -> Result<(), Box<dyn std::error::Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let page = fs::read_to_string(&path)?;
    let (before, rest) = page.split_once(BEGIN).ok_or("no beginning")?;
    let (written, after) = rest.split_once(END).ok_or("no end")?;
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}"))?;
        return Ok(());
    }
    assert_eq!(written, table, "UPDATE_DOCS=1 writes it anew");
    Ok(())
}

#[test]
fn a_cause_says_what_happened_and_what_to_do() {
    let causes = Cause::examples();
    assert!(causes.len() > 40, "{}", causes.len());
    let mut codes: Vec<&str> = causes.iter().map(Cause::code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), causes.len(), "two causes have one code");
    for cause in causes {
        assert!(cause.meaning().ends_with('.'), "{}", cause.code());
        assert!(cause.fix().len() > 10, "{}", cause.code());
    }
}
