//! The one place where the daemon asks for random bytes: the stack's secrets and the workers' tokens.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Random bytes of the kernel's generator. Waits until the machine has gathered enough entropy, once after boot.
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(got) => filled += got,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(
            random_bytes::<16>().expect("entropy"),
            random_bytes::<16>().expect("entropy")
        );
    }
}
