//! What an attacker would try: servers that lie, users with too many rights, secrets in the log.

mod hostile;
mod rights;
