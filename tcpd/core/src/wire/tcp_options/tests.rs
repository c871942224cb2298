use super::*;
use proptest::prelude::*;

fn parse(bytes: &[u8]) -> TcpOptions {
    TcpOptions::parse(bytes)
}

/// RFC 9293 §3.1 MUST-7.
#[test]
fn lengths_zero_one_and_overrun_end_the_list_and_keep_what_came_before() {
    let good = TcpOptions {
        mss: Some(1460),
        ..Default::default()
    };
    for bad in [[3u8, 0, 9, 9], [3, 1, 9, 9], [3, 5, 9, 9], [254, 255, 0, 0]] {
        let bytes = [[2, 4, 5, 0xb4], bad].concat();
        assert_eq!(parse(&bytes), good, "{bad:?}");
    }
    assert_eq!(parse(&[2, 4, 5, 0xb4, 3]), good, "a kind without a length");
}

#[test]
fn a_known_option_of_wrong_length_says_nothing_and_is_skipped() {
    for wrong in [
        &[2u8, 3, 1][..],
        &[2, 5, 1, 2, 3],
        &[3, 2],
        &[3, 4, 1, 1],
        &[4, 3, 0],
        &[8, 9, 0, 0, 0, 0, 0, 0, 0],
        &[5, 2],
        &[5, 9, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let bytes = [wrong, &[3, 3, 7]].concat();
        assert_eq!(
            parse(&bytes),
            TcpOptions {
                window_scale: Some(7),
                ..Default::default()
            },
            "{wrong:?}"
        );
    }
}

/// RFC 9293 §3.1 MUST-6, §3.2 MUST-64: the MSS option begins at an odd offset.
#[test]
fn unknown_and_experimental_options_are_skipped_by_length() {
    assert_eq!(
        parse(&[253, 4, 0xf9, 0x89, 34, 2, 28, 4, 0, 1, 30, 3, 0, 2, 4, 0, 1]).mss,
        Some(1)
    );
}

/// RFC 9293 §3.1 MUST-4.
#[test]
fn end_of_list_hides_what_follows() {
    assert_eq!(parse(&[1, 0, 2, 4, 5, 0xb4]), TcpOptions::default());
}

#[test]
fn the_last_of_two_options_counts_and_a_large_shift_is_kept_raw() {
    assert_eq!(parse(&[2, 4, 0, 1, 2, 4, 0, 2]).mss, Some(2));
    assert_eq!(parse(&[3, 3, 255]).window_scale, Some(255));
}

/// RFC 9293 §3.1 MUST-68: what has a body has its length.
#[test]
fn a_linux_syn_is_emitted_byte_for_byte() {
    let options = TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 1, echo: 2 }),
        ..Default::default()
    };
    let mut bytes = Vec::new();
    options.emit(&mut bytes);
    assert_eq!(
        bytes,
        [
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7
        ]
    );
    assert_eq!(
        options.to_string(),
        "mss 1460,sackOK,TS val 1 ecr 2,wscale 7"
    );
}

/// RFC 5482 §3, its example among them: 30 minutes.
#[test]
fn a_user_timeout_is_in_seconds_or_minutes() {
    for (word, seconds) in [
        (30, 30),
        (0x801e, 1800),
        (0, 0),
        (0x7fff, 32_767),
        (0xffff, 32_767 * 60),
    ] {
        assert_eq!(UserTimeout(word).duration(), Duration::from_secs(seconds));
    }
    let options = parse(&[28, 3, 1, 1, 28, 4, 0x80, 30]);
    assert_eq!(options.user_timeout, Some(UserTimeout(0x801e)));
    assert_eq!(options.to_string(), "uto 1800");
    assert_eq!(parse(&[28, 5, 1, 2, 3, 2, 4, 0, 9]).user_timeout, None);
}

/// RFC 9293 §3.1 MUST-7.
#[test]
fn every_kind_length_and_position_is_survived() {
    for kind in 0..=255u8 {
        for length in 0..=255u8 {
            for position in 0..40 {
                let mut bytes = [1u8; 40];
                bytes[position] = kind;
                if let Some(byte) = bytes.get_mut(position + 1) {
                    *byte = length;
                }
                let _ = parse(&bytes);
            }
        }
    }
}

proptest! {
    #[test]
    fn options_round_trip_and_fit(mss: Option<u16>, window_scale: Option<u8>, sack_permitted: bool, timestamps: Option<(u32, u32)>, user_timeout: Option<u16>, sack in prop::collection::vec(any::<(u32, u32)>(), 0..=4)) {
        let mut options = TcpOptions { mss, window_scale, sack_permitted, timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }), user_timeout: user_timeout.map(UserTimeout), ..Default::default() };
        for (start, end) in &sack {
            options.sack.push(SequenceNumber(*start), SequenceNumber(*end));
        }
        let mut bytes = Vec::new();
        options.emit(&mut bytes);
        prop_assert_eq!(bytes.len(), options.emitted_len());
        prop_assert!(bytes.len() <= MAX_OPTIONS_LEN && bytes.len().is_multiple_of(4));
        let back = TcpOptions::parse(&bytes);
        prop_assert!(options.sack.as_slice().starts_with(back.sack.as_slice()));
        prop_assert_eq!(TcpOptions { sack: options.sack, ..back }, options);
    }

    #[test]
    fn what_the_oracle_understands_we_read_alike(bytes in prop::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..=40)) {
        use etherparse::TcpOptionElement as E;
        let ours = parse(&bytes);
        let mut oracle = TcpOptions::default();
        for element in etherparse::TcpOptionsIterator::from_slice(&bytes) {
            match element {
                Ok(E::MaximumSegmentSize(mss)) => oracle.mss = Some(mss),
                Ok(E::WindowScale(shift)) => oracle.window_scale = Some(shift),
                Ok(E::SelectiveAcknowledgementPermitted) => oracle.sack_permitted = true,
                Ok(E::Timestamp(value, echo)) => oracle.timestamps = Some(Timestamps { value, echo }),
                Ok(_) => {}
                // The oracle stops at kinds it does not know; we skip them.
                Err(_) => return Ok(()),
            }
        }
        prop_assert_eq!(TcpOptions { sack: ours.sack, ..oracle }, ours);
    }
}
