//! How the list of causes is written: one entry per cause, with everything that is said of it.

/// How a cause passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CauseKind {
    /// The node cannot be used now. Waiting may help, and so may another node.
    Node,
    /// Waiting may help.
    Passing,
    /// Somebody has to change something.
    Setup,
    /// Somebody has to name another node.
    WrongNode,
}

/// Defines `Cause` and what is said of each cause.
///
/// An entry reads: documentation, name, fields with an example each, then
/// `=> code, kind, [message], fix`. The message is what `write!` takes, the fix is an expression of
/// the type `&'static str`; both may use the fields.
macro_rules! causes {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident
        $({ $( $(#[$field_doc:meta])+ $field:ident : $type:ty = $example:expr, )+ })?
        => $code:literal, $kind:ident, [$($message:tt)+], $fix:expr;
    )+) => {
        /// One cause of an infrastructure failure.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Cause {
            $(
                $(#[doc = $doc])+
                $name $({ $( $(#[$field_doc])+ $field: $type, )+ })?,
            )+
        }

        #[allow(unused_variables, reason = "not every message uses every field")]
        impl Cause {
            /// A short name that stays the same from version to version, as for a metric's label.
            #[must_use]
            pub fn code(&self) -> &'static str {
                match self {
                    $( Self::$name $({ $($field),+ })? => $code, )+
                }
            }

            /// What to do now.
            #[must_use]
            pub fn fix(&self) -> &'static str {
                match self {
                    $( Self::$name $({ $($field),+ })? => $fix, )+
                }
            }

            /// What happened, in the words of this documentation.
            #[doc(hidden)]
            #[must_use]
            pub fn meaning(&self) -> &'static str {
                match self {
                    $( Self::$name $({ $($field: _),+ })? => concat!($($doc),+).trim_ascii(), )+
                }
            }

            fn kind(&self) -> CauseKind {
                match self {
                    $( Self::$name $({ $($field),+ })? => CauseKind::$kind, )+
                }
            }

            /// Every cause once, with made-up details: for the documentation.
            #[doc(hidden)]
            #[must_use]
            pub fn examples() -> Vec<Self> {
                vec![ $( Self::$name $({ $($field: $example),+ })?, )+ ]
            }
        }

        #[allow(unused_variables, reason = "not every message uses every field")]
        impl std::fmt::Display for Cause {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $( Self::$name $({ $($field),+ })? => write!(f, $($message)+), )+
                }
            }
        }
    };
}

pub(super) use causes;
