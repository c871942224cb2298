use super::*;

fn range(text: &str) -> Range {
    let (address, prefix) = text.split_once('/').unwrap();
    Range {
        address: address.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
    }
}

#[test]
fn ranges_overlap_when_one_contains_the_other() {
    assert!(range("198.18.0.1/24").overlaps(&range("198.18.0.0/15")));
    assert!(range("198.18.0.0/15").overlaps(&range("198.18.0.77/32")));
    assert!(range("fd00::1/64").overlaps(&range("fd00::/8")));
    assert!(range("0.0.0.0/0").overlaps(&range("10.0.0.0/8")));
    assert!(!range("198.18.0.1/24").overlaps(&range("198.18.1.0/24")));
    assert!(!range("fd00::1/64").overlaps(&range("fd00:0:0:1::/64")));
    assert!(!range("0.0.0.0/0").overlaps(&range("::/0")));
}

#[test]
fn attributes_are_padded_and_read_back() {
    let mut bytes = Vec::new();
    message::put_attribute(&mut bytes, 3, b"lo\0");
    message::put_attribute(&mut bytes, 4, &1500u32.to_ne_bytes());
    assert_eq!(bytes.len(), 16);
    let read: Vec<_> = Attributes(&bytes).collect();
    assert_eq!(read, [(3, &b"lo\0"[..]), (4, &1500u32.to_ne_bytes()[..])]);
}

#[test]
fn attributes_that_do_not_fit_end_the_walk() {
    assert_eq!(Attributes(&[8, 0, 3, 0, 1]).count(), 0);
    assert_eq!(Attributes(&[2, 0, 3, 0, 1, 2, 3, 4]).count(), 0);
    assert_eq!(Attributes(&[0, 0]).count(), 0);
}

#[test]
fn a_message_of_impossible_length_is_refused() {
    let mut bytes = [0; HEADER_LEN];
    assert!(Reply::parse(&bytes).is_err());
    bytes[0..4].copy_from_slice(&17u32.to_ne_bytes());
    assert!(Reply::parse(&bytes).is_err());
}

#[test]
fn the_loopback_interface_is_found_by_name_and_number() {
    let mut netlink = Netlink::open().unwrap();
    let lo = netlink
        .link("lo")
        .unwrap()
        .expect("every network namespace has lo");
    assert_eq!(netlink.link_by_index(lo.index).unwrap().unwrap(), lo);
    assert_eq!(lo.name, "lo");
    assert!(lo.mtu >= 1280);
    assert_eq!(netlink.link("no-such-if").unwrap(), None);
}
