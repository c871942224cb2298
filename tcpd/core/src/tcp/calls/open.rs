//! OPEN (§3.10.1): what can be wrong with it.

/// Why an OPEN was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// "error: connection already exists": the pair is in use, or the port is bound.
    #[error("address already in use")]
    AddressInUse,
    /// The local address is none of ours.
    #[error("no such local address")]
    AddressNotAvailable,
    /// Every ephemeral port towards that remote is in use.
    #[error("no ephemeral port is free")]
    NoFreePort,
    /// "error: remote socket unspecified", or no host can have that address (MUST-46).
    #[error("the remote address cannot be connected to")]
    RemoteInvalid,
    /// There is no own address of that family.
    #[error("no address of that family here")]
    NoRoute,
    /// "error: insufficient resources".
    #[error("insufficient resources")]
    InsufficientResources,
}
