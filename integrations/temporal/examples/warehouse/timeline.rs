//! The picture: who held which slot of which warehouse when.

use std::fmt::Write;

use crate::ledger::Holding;

const COLUMNS: u64 = 96;

/// One line for each slot. A letter stands for a worker; where a holding was cut off, `x` ends it.
pub fn draw(holdings: &[Holding], end_ms: u64) -> String {
    let end = end_ms.max(1);
    let mut workers: Vec<&str> = Vec::new();
    for holding in holdings {
        if !workers.contains(&holding.worker.as_str()) {
            workers.push(&holding.worker);
        }
    }
    let mut places: Vec<(usize, usize)> = holdings
        .iter()
        .map(|holding| (holding.warehouse, holding.slot))
        .collect();
    places.sort_unstable();
    places.dedup();
    let mut text = String::new();
    for place in places {
        let mut line = vec!['·'; COLUMNS as usize + 1];
        let held = holdings.iter();
        for holding in held.filter(|holding| (holding.warehouse, holding.slot) == place) {
            let worker = workers.iter().position(|name| *name == holding.worker);
            let letter = char::from(b'A' + u8::try_from(worker.unwrap_or(0) % 26).unwrap_or(0));
            let column = |at: u64| (at.min(end) * COLUMNS / end) as usize;
            let (from, until) = (
                column(holding.from_ms),
                column(holding.until_ms.unwrap_or(end)),
            );
            line[from..=until].fill(letter);
            // Neighbours of one worker are told apart by their beginnings.
            line[from] = letter.to_ascii_lowercase();
            if !holding.is_done {
                line[until] = 'x';
            }
        }
        let line: String = line.into_iter().collect();
        let _ = writeln!(text, "warehouse-{}:{}  {line}", place.0, place.1);
    }
    for (index, worker) in workers.iter().enumerate() {
        let letter = char::from(b'A' + u8::try_from(index % 26).unwrap_or(0));
        let _ = write!(text, "{letter} = {worker}   ");
    }
    let _ = writeln!(
        text,
        "x = cut off   {COLUMNS} columns are {:.1} s",
        end as f64 / 1000.0
    );
    text
}
