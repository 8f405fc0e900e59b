//! Inputs that resemble others.

use fastrand::Rng;

/// Longer inputs find nothing that shorter ones do not.
const LONGEST: usize = 8 * 1024;

/// What parsers stumble over, put in whole.
const WORDS: [&[u8]; 14] = [
    b"\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"_\r\n",
    b":-1\r\n",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"='",
    b"\"",
    b"\0",
];

/// One of the seeds with a few changes.
pub(crate) fn mutated(seeds: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = random.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..random.usize(1..=6) {
        change(&mut input, seeds, random);
    }
    input.truncate(LONGEST);
    input
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Rng) {
    let at = random.usize(..=input.len());
    let end = random.usize(at..=input.len().min(at + 16));
    match random.u8(..7) {
        0 => drop(input.drain(at..end)),
        1 => drop(input.splice(at..at, [random.u8(..)])),
        2 => {
            let word = random.choice(WORDS).unwrap_or_default();
            input.splice(at..end, word.iter().copied());
        }
        3 => {
            let repeated = input[at..end].to_vec();
            input.splice(at..at, repeated);
        }
        4 => {
            let other = random.choice(seeds).map_or(&[][..], Vec::as_slice);
            let from = random.usize(..=other.len());
            input.splice(at.., other[from..].iter().copied());
        }
        // Another digit, which makes another number.
        5 => {
            let digits = input
                .iter()
                .enumerate()
                .filter(|(_, byte)| byte.is_ascii_digit());
            let digits: Vec<usize> = digits.map(|(at, _)| at).collect();
            if let Some(at) = random.choice(digits) {
                input[at] = random.u8(b'0'..=b'9');
            }
        }
        _ => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.u8(..8);
            }
        }
    }
}
