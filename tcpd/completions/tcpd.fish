# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_tcpd_global_optspecs
    string join \n h/help V/version
end

function __fish_tcpd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_tcpd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_tcpd_using_subcommand
    set -l cmd (__fish_tcpd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c tcpd -n "__fish_tcpd_needs_command" -s h -l help -d 'Print help'
complete -c tcpd -n "__fish_tcpd_needs_command" -s V -l version -d 'Print version'
complete -c tcpd -n "__fish_tcpd_needs_command" -f -a "run" -d 'Run the daemon in the foreground (under systemd: with readiness, watchdog and socket activation)'
complete -c tcpd -n "__fish_tcpd_needs_command" -f -a "check" -d 'Check a configuration and print everything that is wrong with it'
complete -c tcpd -n "__fish_tcpd_needs_command" -f -a "sandbox" -d 'Run a command (or a shell) in a private network namespace with a daemon and services of its own'
complete -c tcpd -n "__fish_tcpd_needs_command" -f -a "demo" -d 'A tour of about ten seconds in a sandbox: the kernel\'s TCP talks to tcpd'
complete -c tcpd -n "__fish_tcpd_needs_command" -f -a "scenario" -d 'Play a textbook\'s situation in virtual time, and explain every packet; without a name, list them'
complete -c tcpd -n "__fish_tcpd_needs_command" -f -a "spawner" -d 'The process that forks workers; the daemon starts it'
complete -c tcpd -n "__fish_tcpd_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c tcpd -n "__fish_tcpd_using_subcommand run" -l config -d 'Configuration file; without it /etc/tcpd/tcpd.toml, if it exists' -r -F
complete -c tcpd -n "__fish_tcpd_using_subcommand run" -l set -d 'Overrides one key, as tcp.msl=5s; may be repeated' -r
complete -c tcpd -n "__fish_tcpd_using_subcommand run" -s h -l help -d 'Print help'
complete -c tcpd -n "__fish_tcpd_using_subcommand check" -l set -d 'Check as if this were set' -r
complete -c tcpd -n "__fish_tcpd_using_subcommand check" -s h -l help -d 'Print help'
complete -c tcpd -n "__fish_tcpd_using_subcommand sandbox" -l set -d 'Overrides one key of the sandbox\'s configuration, as tcp.msl=2s; may be repeated' -r
complete -c tcpd -n "__fish_tcpd_using_subcommand sandbox" -l config -d 'A configuration file laid over the sandbox\'s own; a service of the same name replaces the built-in one' -r -F
complete -c tcpd -n "__fish_tcpd_using_subcommand sandbox" -l log -d 'Where the daemon\'s log goes; without it the log is shown only if the daemon does not start' -r -F
complete -c tcpd -n "__fish_tcpd_using_subcommand sandbox" -l inside -d 'The keeper\'s stage: set by [`run`] alone' -r -F
complete -c tcpd -n "__fish_tcpd_using_subcommand sandbox" -l bare -d 'Only the private network, without daemon and TUN interface'
complete -c tcpd -n "__fish_tcpd_using_subcommand sandbox" -s h -l help -d 'Print help'
complete -c tcpd -n "__fish_tcpd_using_subcommand demo" -l client -d 'The client program: where to connect to' -r
complete -c tcpd -n "__fish_tcpd_using_subcommand demo" -l inside -d 'The tour itself: set by the outer stage alone'
complete -c tcpd -n "__fish_tcpd_using_subcommand demo" -s h -l help -d 'Print help'
complete -c tcpd -n "__fish_tcpd_using_subcommand scenario" -l set -d 'Vary it, as msl=60s; may be repeated. An unknown key gets the list of all' -r
complete -c tcpd -n "__fish_tcpd_using_subcommand scenario" -l pcap -d 'Write the packets for Wireshark (pcapng), the explanations as comments; - for standard output' -r -F
complete -c tcpd -n "__fish_tcpd_using_subcommand scenario" -l svg -d 'Draw the ladder (SVG); - for standard output. `tcpd scenario fsm --svg FILE` draws the state diagram' -r -F
complete -c tcpd -n "__fish_tcpd_using_subcommand scenario" -l fsm -d 'Draw the state diagram with the transitions that were taken, side by side (SVG); - for standard output' -r -F
complete -c tcpd -n "__fish_tcpd_using_subcommand scenario" -l ipv6 -d 'Play it over IPv6'
complete -c tcpd -n "__fish_tcpd_using_subcommand scenario" -s h -l help -d 'Print help'
complete -c tcpd -n "__fish_tcpd_using_subcommand spawner" -s h -l help -d 'Print help'
complete -c tcpd -n "__fish_tcpd_using_subcommand help; and not __fish_seen_subcommand_from run check sandbox demo scenario spawner help" -f -a "run" -d 'Run the daemon in the foreground (under systemd: with readiness, watchdog and socket activation)'
complete -c tcpd -n "__fish_tcpd_using_subcommand help; and not __fish_seen_subcommand_from run check sandbox demo scenario spawner help" -f -a "check" -d 'Check a configuration and print everything that is wrong with it'
complete -c tcpd -n "__fish_tcpd_using_subcommand help; and not __fish_seen_subcommand_from run check sandbox demo scenario spawner help" -f -a "sandbox" -d 'Run a command (or a shell) in a private network namespace with a daemon and services of its own'
complete -c tcpd -n "__fish_tcpd_using_subcommand help; and not __fish_seen_subcommand_from run check sandbox demo scenario spawner help" -f -a "demo" -d 'A tour of about ten seconds in a sandbox: the kernel\'s TCP talks to tcpd'
complete -c tcpd -n "__fish_tcpd_using_subcommand help; and not __fish_seen_subcommand_from run check sandbox demo scenario spawner help" -f -a "scenario" -d 'Play a textbook\'s situation in virtual time, and explain every packet; without a name, list them'
complete -c tcpd -n "__fish_tcpd_using_subcommand help; and not __fish_seen_subcommand_from run check sandbox demo scenario spawner help" -f -a "spawner" -d 'The process that forks workers; the daemon starts it'
complete -c tcpd -n "__fish_tcpd_using_subcommand help; and not __fish_seen_subcommand_from run check sandbox demo scenario spawner help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
