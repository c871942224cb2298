use libtcpclient::protocol::status::TcpState;

use super::{table, workers_table};
use crate::output::examples::{connections, row, service, services};

#[test]
fn services_with_their_workers_exits_and_use() {
    insta::assert_snapshot!(table(&services()).render(None, true), @r#"
    Service  Handler        Listens on                             Workers  Idle  Waiting  Refused       Started  Exits                                                         CPU user+sys    Max RSS
    echo     echo           *:7                                        2/2     0        5        0         1,204  1,198 ok, 1 status 3, 2 SIGKILL (1 out of time), 1 signal 35  1.2 s + 890 ms    2 MiB
    http     http /srv/www  198.18.0.2:80, [fd00:7463:7064::2]:80    0/256     8        0       12  0 (1 failed)  1 status 72, 3 not executed, 1 unknown                        0 s + 0 s           0 B
    "#);
}

#[test]
fn services_in_80_columns() {
    insta::assert_snapshot!(table(&services()).render(Some(80), true), @r#"
    Service Handler     Listens on   Workers Waiting Refused      Started Exits
    echo    echo        *:7              2/2       5       0        1,204 1,198 ok,…
    http    http…       198.18.0.2:…   0/256       0      12 0 (1 failed) 1 status…
    "#);
}

#[test]
fn workers_with_the_connection_each_one_holds() {
    let mut connections = connections();
    connections.push(row(
        "14.1",
        TcpState::CloseWait,
        "198.18.0.2:7",
        "198.18.0.1:40113",
        service("echo", Some(4700)),
    ));
    insta::assert_snapshot!(workers_table(&services(), &connections).render(None, true), @r#"
    Worker  Service  ID    State        Local         Peer
      4700  echo     14.1  CLOSE-WAIT   198.18.0.2:7  198.18.0.1:40113
      4712  echo     12.3  ESTABLISHED  198.18.0.2:7  198.18.0.1:40112
    "#);
}
