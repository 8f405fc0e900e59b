//! The inputs: what stands in `.env`, what in the environment, and how it must end.

use Expected::{Enabled, Error, NothingConfigured, SwitchedOff};

/// How reading an input must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Locks are taken.
    Enabled,
    /// Locks are not taken, because `IS_LOCKING_DISABLED` is true.
    SwitchedOff,
    /// Locks are not taken, because nothing at all is configured.
    NothingConfigured,
    /// The program does not start.
    Error,
}

/// What is found under the name `.env`.
#[derive(Clone, Copy)]
pub(crate) enum File {
    Absent,
    Text(&'static str),
    Utf16 {
        is_marked: bool,
    },
    Directory,
    Pipe,
    /// A symbolic link to nowhere.
    Dangling,
}

pub(crate) struct Input {
    pub(crate) file: File,
    pub(crate) environment: &'static [(&'static str, &'static str)],
    pub(crate) expected: Expected,
}

const fn file(text: &'static str, expected: Expected) -> Input {
    Input {
        file: File::Text(text),
        environment: &[],
        expected,
    }
}

const fn environment(
    environment: &'static [(&'static str, &'static str)],
    expected: Expected,
) -> Input {
    Input {
        file: File::Absent,
        environment,
        expected,
    }
}

const fn special(file: File, expected: Expected) -> Input {
    Input {
        file,
        environment: &[],
        expected,
    }
}

const OFF: (&str, &str) = ("IS_LOCKING_DISABLED", "false");
const HOST: (&str, &str) = ("REDIS_HOST", "redis");

/// What the text of UTF-16 files is.
pub(crate) const WIDE: &str = "IS_LOCKING_DISABLED=false\nREDIS_HOST=redis\n";

/// Each group has a heading on the page.
pub(crate) const GROUPS: &[(&str, &[Input])] = &[
    ("The switch", SWITCH),
    ("Names that are not read", NAMES),
    ("Lines of the file", LINES),
    ("The file as a whole", FILES),
    ("What tools leave in values", LEFTOVERS),
    ("Addresses and URLs", ADDRESSES),
    ("Files of certificates and secrets", SECRETS),
    ("Durations and numbers", NUMBERS),
];

const SWITCH: &[Input] = &[
    special(File::Absent, NothingConfigured),
    file("# nothing\n", NothingConfigured),
    file("DATABASE_URL=postgres://db/orders", NothingConfigured),
    environment(&[("LOCK_ENV_FILE", "none")], NothingConfigured),
    file("IS_LOCKING_DISABLED=", NothingConfigured),
    file("IS_LOCKING_DISABLED=true", SwitchedOff),
    file("IS_LOCKING_DISABLED=TRUE\nREDIS_HOST=redis", SwitchedOff),
    file(
        "IS_LOCKING_DISABLED= true # for now\nREDIS_PORT=x",
        SwitchedOff,
    ),
    file("IS_LOCKING_DISABLED=false\nREDIS_HOST=redis", Enabled),
    file("IS_LOCKING_DISABLED=False\r\nREDIS_HOST=redis\r\n", Enabled),
    file(
        "IS_LOCKING_DISABLED=false\nREDIS_SENTINEL_HOSTS=s-1,s-2,s-3",
        Enabled,
    ),
    file("IS_LOCKING_DISABLED=false", Error),
    file("REDIS_HOST=redis", Error),
    file("REDIS_URL=redis://redis", Error),
    file("REDIS_SENTINEL_HOSTS=s-1,s-2,s-3", Error),
    file("REDIS_CLUSTER_NODES=c-1,c-2", Error),
    file("LOCK_REDLOCK_NODES=r-1,r-2,r-3", Error),
    file("REDIS_HOST=", Error),
    file("IS_LOCKING_DISABLED=\nREDIS_HOST=redis", Error),
    file("LOCK_TTL=30s", Error),
    file("REDIS_PASSWORD='correct horse'", Error),
    file("IS_LOCKING_DISABLED=1\nREDIS_HOST=redis", Error),
    file("IS_LOCKING_DISABLED=no\nREDIS_HOST=redis", Error),
    file("IS_LOCKING_DISABLED=fasle\nREDIS_HOST=redis", Error),
    file(
        "IS_LOCKING_DISABLED=true\nIS_LOCKING_DISABLED=false\nREDIS_HOST=redis",
        Enabled,
    ),
    Input {
        file: File::Text("IS_LOCKING_DISABLED=false\nREDIS_HOST=redis"),
        environment: &[("IS_LOCKING_DISABLED", "true")],
        expected: SwitchedOff,
    },
];

const NAMES: &[Input] = &[
    file("IS_LOCKING_DISABLE=false", Error),
    file("IS_LOCKING_DISABLE=false\nREDIS_HOST=redis", Error),
    file("IS_LOCKING_DISABLE=true\nREDIS_HOST=redis", Error),
    file("IS_LOCKING_ENABLED=true", Error),
    file("DISABLE_LOCKING=true\nREDIS_HOST=redis", Error),
    file("is_locking_disabled=false\nredis_host=redis", Error),
    file("REDIS_HSOT=redis", Error),
    file("VALKEY_HOST=valkey", Error),
    file("REDISHOST=redis", Error),
    file("REDIS_ENDPOINT=redis:6379", Error),
    file("REDIS_DSN=redis://redis", Error),
    file("REDIS_SENTINEL_HOST=s-1", Error),
    file("REDIS_NODE_1=redis", Error),
    file("SENTINEL_HOSTS=s-1,s-2,s-3", Error),
    file("LEASEHOLD_REDIS_HOST=redis", Error),
    file("LEASEHOLD_SENTINEL_HOSTS=s-1,s-2,s-3", Error),
    file("LOCK_REDIS_URL=redis://redis", Error),
    file("LOCK_REDIS_NODE=redis", Error),
    environment(&[("export REDIS_HOST", "redis")], Error),
    file("IS_LOCKING_DISABLED=false\nREDIS_HSOT=redis", Error),
    file("IS_LOCKING_DISABLED=false\nredis_host=redis", Error),
    file("IS_LOCKING_DISABLED=false\nREDIS_SENTINEL_HOST=s-1", Error),
    file(
        "IS_LOCKING_DISABLED=false\nREDIS_HOST=redis\nLOCK_SAFTEY=strict",
        Enabled,
    ),
    file(
        "IS_LOCKING_DISABLED=false\nREDIS_HOST=redis\nLOCK_TIMEOUT=5s",
        Enabled,
    ),
    file(
        "IS_LOCKING_DISABLED=false\nREDIS_HOST=redis\nLOCK_COLOUR=red",
        Enabled,
    ),
    file(
        "IS_LOCKING_DISABLED=false\nREDIS_HOST=redis\nLOCK_TTL=0\nLOCK_SAFTEY=strict",
        Error,
    ),
    file("LOCK_DIR=/run/lock", NothingConfigured),
    environment(
        &[
            ("REDIS_SERVICE_HOST", "10.0.0.1"),
            ("REDIS_PORT", "tcp://10.0.0.1:6379"),
            ("REDIS_PORT_6379_TCP_ADDR", "10.0.0.1"),
        ],
        NothingConfigured,
    ),
    environment(&[OFF, HOST, ("REDIS_PORT", "tcp://10.0.0.1:6379")], Enabled),
];

const LINES: &[Input] = &[
    file(
        "export IS_LOCKING_DISABLED=false\nexport REDIS_HOST=redis",
        Enabled,
    ),
    file("set IS_LOCKING_DISABLED=false\nset REDIS_HOST=redis", Error),
    file("set REDIS_HOST=redis", Error),
    file("$env:REDIS_HOST = 'redis'", Error),
    file("setx REDIS_HOST redis", Error),
    file("- REDIS_HOST=redis", Error),
    file("REDIS_HOST: redis", Error),
    file("\"REDIS_HOST\": \"redis\",", Error),
    file("Environment=REDIS_HOST=redis", Error),
    file("Environment=\"REDIS_HOST=redis\"", Error),
    file("JAVA_OPTS=\"-DREDIS_HOST=redis\"", NothingConfigured),
    file("A=1 REDIS_HOST=redis", Error),
    file("A=1;REDIS_HOST=redis", Error),
    file("A='1' REDIS_HOST=redis", Error),
    file("export A=\"1\"; export REDIS_HOST=redis", Error),
    file("Environment=\"A=1\" \"REDIS_HOST=redis\"", Error),
    file("- name: REDIS_HOST\n  value: redis", Error),
    file("export REDIS_HOST", Error),
    file(
        "IS_LOCKING_DISABLED=false\nREDIS_HOST=redis\nexport REDIS_HOST",
        Enabled,
    ),
    file(
        "DATABASE_URL='postgres://db/orders?lock_timeout=5' # REDIS_HOST=redis",
        NothingConfigured,
    ),
    file("REDIS_HOST", Error),
    file("REDIS_HOST='redis", Error),
    file("# REDIS_HOST=redis", NothingConfigured),
    file(
        "FOO='\nIS_LOCKING_DISABLED=false\nREDIS_HOST=redis",
        Enabled,
    ),
    file(
        "IS_LOCKING_DISABLED=false\nREDIS_HOST=redis\nREDIS_PASSWORD=pa$word",
        Error,
    ),
    file(
        "IS_LOCKING_DISABLED=false\nREDIS_HOST=redis\nREDIS_PASSWORD='pa$word'",
        Enabled,
    ),
    file(
        "IS_LOCKING_DISABLED=false\nBASE=redis\nREDIS_HOST=${BASE}",
        Error,
    ),
    file("IS_LOCKING_DISABLED=${OFF}\nREDIS_HOST=redis", Error),
];

const FILES: &[Input] = &[
    special(File::Directory, Error),
    special(File::Pipe, Error),
    special(File::Dangling, Error),
    Input {
        file: File::Directory,
        environment: &[OFF, HOST],
        expected: Enabled,
    },
    special(File::Utf16 { is_marked: true }, Error),
    special(File::Utf16 { is_marked: false }, Error),
    file("IS_LOCKING_DISABLED=false\nREDIS_HOST=redis\n\0\0\0", Error),
    file(
        "\u{feff}IS_LOCKING_DISABLED=false\nREDIS_HOST=redis",
        Enabled,
    ),
    file("FOO=1\n\u{feff}REDIS_HOST=redis", Error),
    file(
        "# orders\rIS_LOCKING_DISABLED=false\rREDIS_HOST=redis\r",
        Error,
    ),
    environment(&[("LOCK_ENV_FILE", "nowhere.env")], Error),
    environment(&[("LOCK_ENV_FILE", "/")], Error),
];

const LEFTOVERS: &[Input] = &[
    environment(&[OFF, ("REDIS_HOST", "\"redis\"")], Error),
    environment(&[("IS_LOCKING_DISABLED", "\"true\"")], Error),
    environment(&[("IS_LOCKING_DISABLED", "'false'"), HOST], Error),
    environment(&[OFF, HOST, ("REDIS_PASSWORD", "\"hunter2\"")], Enabled),
    environment(
        &[
            ("IS_LOCKING_DISABLED", "false\r"),
            ("REDIS_HOST", "redis\r"),
        ],
        Enabled,
    ),
    environment(
        &[
            ("IS_LOCKING_DISABLED", " false "),
            ("REDIS_HOST", "redis\t"),
        ],
        Enabled,
    ),
    environment(&[OFF, ("REDIS_HOST", "${BASE}")], Error),
    environment(&[OFF, ("REDIS_HOST", "$(REDIS_SERVICE)")], Error),
    environment(&[("IS_LOCKING_DISABLED", "${OFF}"), HOST], Error),
    environment(&[OFF, ("REDIS_HOST", "undefined")], Enabled),
    environment(&[OFF, ("REDIS_HOST", "{{ .Values.redis }}")], Error),
];

const ADDRESSES: &[Input] = &[
    environment(&[OFF, ("REDIS_HOST", "redis:6379")], Error),
    environment(&[OFF, ("REDIS_HOST", "redis-1,redis-2")], Error),
    environment(&[OFF, ("REDIS_HOST", "redis://redis")], Error),
    environment(&[OFF, ("REDIS_HOST", "user:hunter2@redis")], Error),
    environment(&[OFF, ("REDIS_SENTINEL_HOSTS", "a:26379;b:26379")], Error),
    environment(&[OFF, ("REDIS_SENTINEL_HOSTS", "a:26379 b:26379")], Error),
    environment(
        &[OFF, ("REDIS_SENTINEL_HOSTS", "user:hunter2@a:26379")],
        Error,
    ),
    environment(
        &[OFF, ("REDIS_SENTINEL_HOSTS", "redis+sentinel://a:26379")],
        Error,
    ),
    environment(&[OFF, ("REDIS_SENTINEL_HOSTS", "::1:26379")], Error),
    environment(&[OFF, ("REDIS_SENTINEL_HOSTS", ",")], Error),
    environment(&[OFF, ("REDIS_URL", "redis://redis:6379/3")], Enabled),
    environment(&[OFF, ("REDIS_URL", "redis://redis:6379?db=3")], Enabled),
    environment(&[OFF, ("REDIS_URL", "redis://redis/2?db=3")], Error),
    environment(&[OFF, ("REDIS_URL", "redis://redis/orders")], Error),
    environment(&[OFF, ("REDIS_URL", "redis://redis?ssl=true")], Enabled),
    environment(
        &[OFF, ("REDIS_URL", "redis-sentinel://a:26379/mymaster")],
        Error,
    ),
    environment(
        &[OFF, ("REDIS_URL", "redis+sentinel://a:26379/mymaster")],
        Error,
    ),
    environment(&[OFF, ("REDIS_URL", "redis-cluster://a:6379")], Error),
    environment(&[OFF, ("REDIS_URL", "redis://a:6379,b:6379")], Error),
    environment(&[OFF, ("REDIS_URL", "redis://:hunter2#@redis")], Error),
    environment(&[OFF, ("REDIS_URL", "redis")], Error),
    environment(&[OFF, HOST, ("REDIS_CLUSTER_NODES", "c-1")], Error),
    environment(&[OFF, ("LOCK_REDLOCK_NODES", "a,b,a:6379")], Error),
];

const SECRETS: &[Input] = &[
    environment(
        &[
            OFF,
            HOST,
            ("REDIS_TLS_ENABLED", "true"),
            ("REDIS_TLS_CA_FILE", "-----BEGIN CERTIFICATE-----\nMIIB"),
        ],
        Error,
    ),
    environment(
        &[
            OFF,
            HOST,
            ("REDIS_TLS_ENABLED", "true"),
            ("REDIS_TLS_KEY_FILE", "LS0tLS1CRUdJTiBQUklWQVRF"),
        ],
        Error,
    ),
    environment(
        &[
            OFF,
            HOST,
            ("REDIS_TLS_ENABLED", "true"),
            (
                "REDIS_TLS_KEY_FILE",
                "MC4CAQAwBQYDK2VwBCIEIMIIBaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
        ],
        Error,
    ),
    file(
        "IS_LOCKING_DISABLED=false\nREDIS_HOST=redis\nREDIS_TLS_CA_FILE='-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----'",
        Error,
    ),
    environment(
        &[OFF, HOST, ("REDIS_TLS_CA_FILE", "/nowhere/ca.pem")],
        Error,
    ),
    environment(&[OFF, HOST, ("REDIS_PASSWORD_FILE", "hunter2")], Error),
    environment(
        &[
            OFF,
            HOST,
            ("REDIS_PASSWORD_FILE", "-----BEGIN PRIVATE KEY-----"),
        ],
        Error,
    ),
    environment(
        &[
            OFF,
            HOST,
            ("REDIS_PASSWORD", "hunter2"),
            ("REDIS_PASSWORD_FILE", "/run/secrets/p"),
        ],
        Error,
    ),
    environment(&[OFF, HOST, ("REDIS_PASWORD", "hunter2")], Enabled),
];

const NUMBERS: &[Input] = &[
    environment(&[OFF, HOST, ("LOCK_TTL", "30000")], Enabled),
    environment(&[OFF, HOST, ("LOCK_TTL", "30 seconds")], Error),
    environment(&[OFF, HOST, ("LOCK_TTL", "30S")], Error),
    environment(&[OFF, HOST, ("LOCK_TTL", "PT30S")], Error),
    environment(&[OFF, HOST, ("LOCK_TTL", "-30")], Error),
    environment(&[OFF, HOST, ("LOCK_TTL", "50ms")], Error),
    environment(&[OFF, HOST, ("LOCK_TTL", "9223372036854775807")], Error),
    environment(&[OFF, HOST, ("LOCK_RENEW_INTERVAL", "0")], Error),
    environment(&[OFF, HOST, ("LOCK_RETRY_INTERVAL", "0")], Error),
    environment(&[OFF, HOST, ("REDIS_COMMAND_TIMEOUT", "0")], Error),
    environment(
        &[OFF, HOST, ("LOCK_TTL", "1m"), ("LOCK_MAX_TTL", "30s")],
        Error,
    ),
    environment(&[OFF, HOST, ("REDIS_PORT", "6379/tcp")], Error),
    environment(&[OFF, HOST, ("REDIS_PORT", "70000")], Error),
    environment(&[OFF, HOST, ("REDIS_DB", "-1")], Error),
    environment(&[OFF, HOST, ("LOCK_SAFETY", "safe")], Error),
];
