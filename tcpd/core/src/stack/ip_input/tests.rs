use super::*;
use proptest::prelude::*;

fn own() -> OwnAddresses {
    let parse = |text: &str| text.parse().unwrap();
    OwnAddresses::new(vec![
        parse("198.18.0.2/24"),
        parse("10.0.0.1/31"),
        parse("fd00:7463:7064::2/64"),
    ])
}

fn judge(source: &str, destination: &str, origin: Origin) -> Result<(), AddressRefusal> {
    let addresses = IpAddresses {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    };
    own().judge(&addresses, origin)
}

/// RFC 9293 §3.9.2.3 MUST-63.
#[test]
fn every_refused_source_has_its_name() {
    use AddressRefusal::*;
    for (source, expected) in [
        ("198.18.0.1", Ok(())),
        ("8.8.8.8", Ok(())),
        ("10.0.0.0", Ok(())),
        ("0.0.0.0", Err(SourceUnspecified)),
        ("0.1.2.3", Err(SourceUnspecified)),
        ("127.0.0.1", Err(SourceLoopback)),
        ("127.255.255.254", Err(SourceLoopback)),
        ("224.0.0.1", Err(SourceMulticast)),
        ("239.255.255.255", Err(SourceMulticast)),
        ("240.0.0.1", Err(SourceReserved)),
        ("255.255.255.255", Err(SourceBroadcast)),
        ("198.18.0.255", Err(SourceBroadcast)),
        ("198.18.0.0", Err(SourceBroadcast)),
        ("198.18.0.2", Err(SourceOurs)),
        ("10.0.0.1", Err(SourceOurs)),
    ] {
        assert_eq!(
            judge(source, "198.18.0.2", Origin::Device),
            expected,
            "{source}"
        );
    }
    for (source, expected) in [
        ("fd00:7463:7064::1", Ok(())),
        ("::", Err(SourceUnspecified)),
        ("::1", Err(SourceLoopback)),
        ("ff02::1", Err(SourceMulticast)),
        ("::ffff:198.18.0.1", Err(SourceReserved)),
        ("fd00:7463:7064::2", Err(SourceOurs)),
    ] {
        assert_eq!(
            judge(source, "fd00:7463:7064::2", Origin::Device),
            expected,
            "{source}"
        );
    }
}

/// RFC 9293 §3.9.2.3 MUST-57.
#[test]
fn every_refused_destination_has_its_name() {
    use AddressRefusal::*;
    for (destination, expected) in [
        ("198.18.0.2", Ok(())),
        ("10.0.0.1", Ok(())),
        ("198.18.0.3", Err(NotForUs)),
        ("10.0.0.0", Err(NotForUs)),
        ("198.18.0.255", Err(DestinationBroadcast)),
        ("255.255.255.255", Err(DestinationBroadcast)),
        ("224.0.0.1", Err(DestinationMulticast)),
        ("0.0.0.0", Err(DestinationUnspecified)),
        ("127.0.0.1", Err(DestinationLoopback)),
    ] {
        assert_eq!(
            judge("198.18.0.1", destination, Origin::Device),
            expected,
            "{destination}"
        );
    }
    assert_eq!(
        judge("fd00::1", "ff02::1", Origin::Device),
        Err(DestinationMulticast)
    );
    assert_eq!(
        judge("fd00::1", "::1", Origin::Device),
        Err(DestinationLoopback)
    );
    assert_eq!(judge("fd00::1", "fd00::7", Origin::Device), Err(NotForUs));
}

#[test]
fn our_own_address_is_a_source_only_inside() {
    assert_eq!(
        judge("198.18.0.2", "198.18.0.2", Origin::Device),
        Err(AddressRefusal::SourceOurs)
    );
    assert_eq!(judge("198.18.0.2", "198.18.0.2", Origin::Loopback), Ok(()));
}

/// RFC 9293 §3.9.1.1 MUST-46.
#[test]
fn connections_are_opened_to_single_hosts_only() {
    let own = own();
    let can = |address: &str| own.can_open_to(address.parse().unwrap());
    assert!(can("198.18.0.1") && can("198.18.0.2") && can("fd00::1"));
    for address in [
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.255",
        "::",
        "ff02::1",
        "::ffff:1.2.3.4",
        "127.0.0.1",
        "::1",
    ] {
        assert!(!can(address), "{address}");
    }
}

/// RFC 9293 §3.9.1.1 MUST-44.
#[test]
fn the_source_address_is_the_one_on_the_destination_s_network() {
    let own = own();
    let source = |address: &str| {
        own.source_for(address.parse().unwrap())
            .unwrap()
            .to_string()
    };
    assert_eq!(source("198.18.0.77"), "198.18.0.2");
    assert_eq!(source("10.0.0.0"), "10.0.0.1");
    assert_eq!(source("10.0.0.1"), "10.0.0.1");
    assert_eq!(source("8.8.8.8"), "198.18.0.2");
    assert_eq!(source("2001:db8::1"), "fd00:7463:7064::2");
    assert_eq!(
        OwnAddresses::new(vec![]).source_for("8.8.8.8".parse().unwrap()),
        None
    );
}

#[test]
fn prefixes_are_parsed_strictly() {
    assert_eq!(
        "198.18.0.2/24".parse::<IpCidr>().unwrap().to_string(),
        "198.18.0.2/24"
    );
    for bad in [
        "198.18.0.2",
        "198.18.0.2/33",
        "fd00::2/129",
        "/24",
        "198.18.0.2/x",
        "198.18.0/24",
    ] {
        assert_eq!(bad.parse::<IpCidr>(), Err(InvalidCidr), "{bad}");
    }
}

proptest! {
    #[test]
    fn containment_agrees_with_a_bitwise_look(own: u32, address: u32, prefix in 0u8..=32) {
        let cidr = IpCidr::new(IpAddr::V4(Ipv4Addr::from_bits(own)), prefix);
        let expected = (0..prefix).all(|bit| (own ^ address) & (1 << (31 - bit)) == 0);
        prop_assert_eq!(cidr.contains(IpAddr::V4(Ipv4Addr::from_bits(address))), expected);
        let _ = cidr.is_broadcast(Ipv4Addr::from_bits(address));
    }
}
