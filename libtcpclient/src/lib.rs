//! libtcpclient: the client library of tcpd.
