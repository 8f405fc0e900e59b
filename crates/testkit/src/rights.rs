//! Servers on which every client that does not log in has the least rights that the library needs.
//!
//! If [`RIGHTS_VARIABLE`] is `least`, the user `default` of every data node has only the rights of the user `leasehold`
//! in the project's access control list. Replicas, Sentinels and the kit itself log in as the users `replica`, `sentinel`
//! and `admin`. So tests that know nothing of access control show whether the list is complete.

use std::env;

use crate::{
    client::Credentials,
    conf::{AclPasswords, users_acl},
};

/// The environment variable that gives tests the least rights: `least`, or unset.
pub const RIGHTS_VARIABLE: &str = "LEASEHOLD_TEST_RIGHTS";

const PASSWORDS: AclPasswords<'static> = AclPasswords {
    leasehold: "unused-by-leasehold",
    observer: "unused-by-observer",
    replica: "least-of-replica",
    sentinel: "least-of-sentinel",
    admin: "least-of-admin",
};

/// Whether servers are started with the least rights.
pub(crate) fn are_least() -> bool {
    env::var_os(RIGHTS_VARIABLE).is_some_and(|value| value == "least")
}

/// The access control list, with this password for the user `default`.
pub(crate) fn access_control_list(password: Option<&str>) -> String {
    let login = password.map_or_else(|| "nopass".to_owned(), |password| format!(">{password}"));
    let listed = users_acl(PASSWORDS);
    let lines = listed.lines().map(|line| {
        let of_library = format!("user leasehold on >{} ", PASSWORDS.leasehold);
        match line.strip_prefix(&of_library) {
            Some(rights) => format!("user default on {login} {rights}\n"),
            None if line.starts_with("user default ") => String::new(),
            None => format!("{line}\n"),
        }
    });
    lines.collect()
}

/// Whom the kit logs in as.
pub(crate) fn kit() -> Credentials {
    credentials("admin", PASSWORDS.admin)
}

/// Whom a replica logs in as at its master.
pub(crate) fn replica() -> (&'static str, &'static str) {
    ("replica", PASSWORDS.replica)
}

/// Whom a Sentinel logs in as at the nodes.
pub(crate) fn sentinel() -> (&'static str, &'static str) {
    ("sentinel", PASSWORDS.sentinel)
}

fn credentials(username: &str, password: &str) -> Credentials {
    Credentials {
        username: Some(username.to_owned()),
        password: Some(password.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_user_has_the_rights_of_the_library_alone() {
        for (password, login) in [(None, "nopass"), (Some("pw"), ">pw")] {
            let list = access_control_list(password);
            let of_default: Vec<&str> = list
                .lines()
                .filter(|line| line.starts_with("user default "))
                .collect();
            let [line] = of_default.as_slice() else {
                panic!("{list}")
            };
            assert!(line.contains(&format!(" on {login} ~* ")), "{line}");
            assert!(
                line.contains(" -@all ") && line.contains(" +evalsha"),
                "{line}"
            );
            assert!(!list.contains("user leasehold "), "{list}");
        }
    }
}
