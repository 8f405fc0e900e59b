//! Wrong settings, wrong addresses, wrong arguments: each message says what is wrong, where, and
//! what to do. They are held here word for word, as an operator reads them.

mod arguments;
mod sentinels;
mod servers;
