use libtcpclient::protocol::status::{EndpointKind, Owner, OwnerKind};

use super::{owner, sort, table};
use crate::output::examples::{client, connections, listeners, service, users};

fn text(width: Option<u16>) -> String {
    let (mut listeners, mut connections) = (listeners(), connections());
    sort(&mut listeners, &mut connections);
    table(&listeners, &connections, &users()).render(width, true)
}

#[test]
fn a_wide_terminal_shows_everything() {
    insta::assert_snapshot!(text(None), @r#"
    ID    State         Recv-Q  Send-Q  Local                      Peer                      Owner          Timer
    0.1   LISTEN             2     128  198.18.0.2:7               *                         echo           -
    1.1   LISTEN             2     128  *:80                       *                         http           -
    5.1   LISTEN             2     128  198.18.0.2:9000            *                         4711/nc/alice  -
    2.2   TIME-WAIT          0       0  198.18.0.2:7               198.18.0.1:40110          -              59s time-wait
    12.3  ESTABLISHED        0  131072  198.18.0.2:7               198.18.0.1:40112          echo/4712      212ms retransmission
    9.1   CLOSE-WAIT       512       0  198.18.0.2:80              198.18.0.1:51000          http           -
    20.1  SYN-RECEIVED       0       0  198.18.0.2:80              198.18.0.1:51002          -              950ms handshake
    4.7   FIN-WAIT-2         0       0  198.18.0.2:33000           198.18.0.1:22             orphan         58s orphan
    3.1   ESTABLISHED        0       0  [fd00:7463:7064::2]:33001  [fd00:7463:7064::1]:8080  4711/nc/alice  1h58m keep-alive
    "#);
}

#[test]
fn in_120_columns_owner_and_timer_give_way() {
    insta::assert_snapshot!(text(Some(120)), @r#"
    ID   State        Recv-Q Send-Q Local                     Peer                     Owner         Timer
    0.1  LISTEN            2    128 198.18.0.2:7              *                        echo          -
    1.1  LISTEN            2    128 *:80                      *                        http          -
    5.1  LISTEN            2    128 198.18.0.2:9000           *                        4711/nc/alice -
    2.2  TIME-WAIT         0      0 198.18.0.2:7              198.18.0.1:40110         -             59s time-wait
    12.3 ESTABLISHED       0 131072 198.18.0.2:7              198.18.0.1:40112         echo/4712     212ms retransmission
    9.1  CLOSE-WAIT      512      0 198.18.0.2:80             198.18.0.1:51000         http          -
    20.1 SYN-RECEIVED      0      0 198.18.0.2:80             198.18.0.1:51002         -             950ms handshake
    4.7  FIN-WAIT-2        0      0 198.18.0.2:33000          198.18.0.1:22            orphan        58s orphan
    3.1  ESTABLISHED       0      0 [fd00:7463:7064::2]:33001 [fd00:7463:7064::1]:8080 4711/nc/alice 1h58m keep-alive
    "#);
}

#[test]
fn in_80_columns_the_owner_and_then_the_timer_leave() {
    insta::assert_snapshot!(text(Some(80)), @r#"
    ID   State        Recv-Q Send-Q Local                     Peer
    0.1  LISTEN            2    128 198.18.0.2:7              *
    1.1  LISTEN            2    128 *:80                      *
    5.1  LISTEN            2    128 198.18.0.2:9000           *
    2.2  TIME-WAIT         0      0 198.18.0.2:7              198.18.0.1:40110
    12.3 ESTABLISHED       0 131072 198.18.0.2:7              198.18.0.1:40112
    9.1  CLOSE-WAIT      512      0 198.18.0.2:80             198.18.0.1:51000
    20.1 SYN-RECEIVED      0      0 198.18.0.2:80             198.18.0.1:51002
    4.7  FIN-WAIT-2        0      0 198.18.0.2:33000          198.18.0.1:22
    3.1  ESTABLISHED       0      0 [fd00:7463:7064::2]:33001 [fd00:7463:7064::1]:8080
    "#);
}

#[test]
fn in_80_columns_ipv4_connections_keep_their_timer() {
    let mut connections = connections();
    connections.retain(|row| row.local.is_ipv4());
    sort(&mut [], &mut connections);
    insta::assert_snapshot!(table(&[], &connections, &users()).render(Some(80), true), @r#"
    ID   State        Recv-Q Send-Q Local            Peer             Timer
    2.2  TIME-WAIT         0      0 198.18.0.2:7     198.18.0.1:40110 59s time-wait
    12.3 ESTABLISHED       0 131072 198.18.0.2:7     198.18.0.1:40112 212ms…
    9.1  CLOSE-WAIT      512      0 198.18.0.2:80    198.18.0.1:51000 -
    20.1 SYN-RECEIVED      0      0 198.18.0.2:80    198.18.0.1:51002 950ms…
    4.7  FIN-WAIT-2        0      0 198.18.0.2:33000 198.18.0.1:22    58s orphan
    "#);
}

#[test]
fn the_order_does_not_depend_on_the_order_of_arrival() {
    let (mut listeners, mut connections) = (listeners(), connections());
    sort(&mut listeners, &mut connections);
    let sorted = (listeners.clone(), connections.clone());
    listeners.reverse();
    connections.rotate_left(2);
    sort(&mut listeners, &mut connections);
    assert_eq!((listeners, connections), sorted);
}

#[test]
fn an_owner_is_named_by_what_is_known_of_it() {
    let name = |who: &Owner| owner(who, &users());
    assert_eq!(name(&client(4711, "nc")), "4711/nc/alice");
    assert_eq!(
        name(&Owner {
            uid: Some(4242),
            ..client(4711, "nc")
        }),
        "4711/nc/4242"
    );
    assert_eq!(name(&client(4711, "")), "4711/alice");
    assert_eq!(name(&service("echo", Some(12))), "echo/12");
    let socket = |owner| Owner {
        endpoint: Some(EndpointKind::Socket),
        ..owner
    };
    assert_eq!(name(&socket(client(7, "cat"))), "7/cat/alice/socket");
    let mut command = socket(service("gate", Some(12)));
    command.program = Some("sh".to_owned());
    assert_eq!(name(&command), "gate/12/sh/socket");
    let mut passed_on = socket(client(7, "cat"));
    passed_on.pid = None;
    assert_eq!(name(&passed_on), "cat/alice/socket");
    assert_eq!(name(&service("echo", None)), "echo");
    assert_eq!(
        name(&Owner {
            kind: OwnerKind::Orphan,
            pid: Some(1),
            ..Owner::default()
        }),
        "orphan"
    );
    assert_eq!(
        name(&Owner {
            kind: OwnerKind::HandedOff,
            pid: None,
            program: None,
            ..client(4711, "nc")
        }),
        "handed-off/alice"
    );
    assert_eq!(name(&Owner::default()), "-");
}

#[test]
fn a_program_cannot_write_escape_sequences_to_the_terminal() {
    assert_eq!(
        owner(&client(1, "\x1b]0;owned\x07"), &users()),
        "1/\\u{1b}]0;owned\\u{7}/alice"
    );
}
