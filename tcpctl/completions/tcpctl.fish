# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_tcpctl_global_optspecs
    string join \n socket= wait= h/help V/version
end

function __fish_tcpctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_tcpctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_tcpctl_using_subcommand
    set -l cmd (__fish_tcpctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c tcpctl -n "__fish_tcpctl_needs_command" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_needs_command" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -s V -l version -d 'Print version'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "list" -d 'List connections: state, queues, addresses, owner, and the timer each one waits for'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "ls" -d 'List connections: state, queues, addresses, owner, and the timer each one waits for'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "show" -d 'Show everything tcpd knows about one connection, in the words of RFC 9293'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "stats" -d 'Show the daemon\'s counters: segments, transitions, timeouts, and every reason for which a segment was dropped'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "services" -d 'Show the configured services, their workers, and the connections that wait for one'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "users" -d 'Show every user: what it has against what it may have, and what was refused to it by which rule'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "close" -d 'Close a connection in order: what is queued is sent, then FIN'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "reset" -d 'Reset a connection: RST to the peer, everything queued is thrown away'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "set" -d 'Change settings of a live connection: so far congestion=cubic and congestion=newreno'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "reload" -d 'Have the daemon read its configuration again: all of it counts then, or nothing'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "drain" -d 'Have the daemon take nothing new, and end when nothing is left'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "impair" -d 'Play a bad network to packets, show what it did, or end it'
complete -c tcpctl -n "__fish_tcpctl_needs_command" -f -a "ping" -d 'Ask the daemon whether it is alive: its version, pid, uptime, and how long the answer took'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -s s -l state -d 'Only these states: RFC 9293\'s names or those of ss, several with commas or by repeating the option' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -s p -l port -d 'Only this port, on either side; may be repeated' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -l address -d 'Only this address or network, on either side, as in 198.18.0.1 or fd00::/8; may be repeated' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -s 4 -l ipv4 -d 'Only IPv4'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -s 6 -l ipv6 -d 'Only IPv6'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -s l -l listening -d 'Only listeners'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -s a -l all -d 'Listeners too'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -s H -l no-header -d 'Leave out the line with the names of the columns'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -l json -d 'One JSON object a line instead of a table'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -s s -l state -d 'Only these states: RFC 9293\'s names or those of ss, several with commas or by repeating the option' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -s p -l port -d 'Only this port, on either side; may be repeated' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -l address -d 'Only this address or network, on either side, as in 198.18.0.1 or fd00::/8; may be repeated' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -s 4 -l ipv4 -d 'Only IPv4'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -s 6 -l ipv6 -d 'Only IPv6'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -s l -l listening -d 'Only listeners'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -s a -l all -d 'Listeners too'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -s H -l no-header -d 'Leave out the line with the names of the columns'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -l json -d 'One JSON object a line instead of a table'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand show" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand show" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand show" -l json -d 'One JSON object instead of text'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand stats" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand stats" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand stats" -s a -l all -d 'Counters that are zero too'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand stats" -s H -l no-header -d 'Leave out the line with the names of the columns'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand stats" -l json -d 'One JSON object a line instead of a table'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand services" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand services" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand services" -s w -l workers -d 'The worker processes too, with the connection each one holds'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand services" -s H -l no-header -d 'Leave out the line with the names of the columns'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand services" -l json -d 'One JSON object a line instead of a table'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand services" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand users" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand users" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand users" -s H -l no-header -d 'Leave out the line with the names of the columns'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand users" -l json -d 'One JSON object a line instead of a table'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand users" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand close" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand close" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand close" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand reset" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand reset" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand reset" -s h -l help -d 'Print help'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand set" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand set" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand reload" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand reload" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand reload" -l json -d 'One JSON object instead of text'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand drain" -l grace -d 'How many seconds connections have to end; without it the configured `shutdown_grace`' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand drain" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand drain" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand drain" -l no-wait -d 'Do not wait for the daemon\'s end'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand drain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and not __fish_seen_subcommand_from show set clear" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and not __fish_seen_subcommand_from show set clear" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and not __fish_seen_subcommand_from show set clear" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and not __fish_seen_subcommand_from show set clear" -f -a "show" -d 'Show each path: which packets, what happens to them, and what did so far'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and not __fish_seen_subcommand_from show set clear" -f -a "set" -d 'From now on so: all of what is said, in place of what was said before for the same packets'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and not __fish_seen_subcommand_from show set clear" -f -a "clear" -d 'No more of it; without an option, of nothing any more'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from show" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from show" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from show" -s H -l no-header -d 'Leave out the line with the names of the columns'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from show" -l json -d 'One JSON object a line instead of a table'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from set" -l peer -d 'Those from and to this address or network, as in 203.0.113.0/24' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from set" -l connection -d 'Those of this connection, as in the first column of `tcpctl list`' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from set" -l seed -d 'What decides every chance: the same number, the same losses [default: the configuration\'s impair.seed]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from set" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from set" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from set" -l in -d 'Only those from the network'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from set" -l out -d 'Only those to the network'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from clear" -l peer -d 'Those from and to this address or network, as in 203.0.113.0/24' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from clear" -l connection -d 'Those of this connection, as in the first column of `tcpctl list`' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from clear" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from clear" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from clear" -l in -d 'Only those from the network'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from clear" -l out -d 'Only those to the network'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand impair; and __fish_seen_subcommand_from clear" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ping" -l socket -d 'The daemon\'s control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]' -r -F
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ping" -l wait -d 'Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]' -r
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ping" -l json -d 'One JSON object instead of a line of text'
complete -c tcpctl -n "__fish_tcpctl_using_subcommand ping" -s h -l help -d 'Print help'
