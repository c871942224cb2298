//! Checks between keys, over the configuration as all layers gave it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::problem::{Place, Problem};
use super::units::{format_duration, format_size};
use super::{Config, Handler, Service};

mod command;

/// Every problem between keys; a message stands where the later key of the two does.
pub(super) fn check(config: &Config, places: &HashMap<String, Place>) -> Vec<Problem> {
    let mut cross = Cross {
        places,
        problems: Vec::new(),
    };
    cross.orders(config);
    cross.addresses(config);
    cross.services(config);
    cross.problems
}

struct Cross<'a> {
    places: &'a HashMap<String, Place>,
    problems: Vec<Problem>,
}

impl Cross<'_> {
    fn orders(&mut self, config: &Config) {
        let (tcp, limits) = (&config.tcp, &config.limits);
        self.not_above(
            "tcp.rto_min",
            tcp.rto_min,
            "tcp.rto_initial",
            tcp.rto_initial,
            quoted_duration,
        );
        self.not_above(
            "tcp.rto_initial",
            tcp.rto_initial,
            "tcp.rto_max",
            tcp.rto_max,
            quoted_duration,
        );
        self.not_above(
            "tcp.receive_initial",
            tcp.receive_initial,
            "tcp.receive_max",
            tcp.receive_max,
            quoted_size,
        );
        self.not_above(
            "tcp.send_initial",
            tcp.send_initial,
            "tcp.send_max",
            tcp.send_max,
            quoted_size,
        );
        let number = |value: u32| value.to_string();
        self.not_above(
            "limits.backlog",
            limits.backlog,
            "limits.backlog_max",
            limits.backlog_max,
            number,
        );
    }

    fn not_above<T: PartialOrd + Copy>(
        &mut self,
        low: &str,
        a: T,
        high: &str,
        b: T,
        show: impl Fn(T) -> String,
    ) {
        if a > b {
            let wrong = format!("above {high}, which is {}", show(b));
            self.report(low, show(a), wrong, format!("at most {high}"));
        }
    }

    fn addresses(&mut self, config: &Config) {
        let device = &config.device;
        let v4 = (
            device.host_v4.map(IpAddr::V4),
            device.stack_v4.map(IpAddr::V4),
            device.prefix_v4,
        );
        let v6 = (
            device.host_v6.map(IpAddr::V6),
            device.stack_v6.map(IpAddr::V6),
            device.prefix_v6,
        );
        for (version, (host, stack, prefix)) in [("v4", v4), ("v6", v6)] {
            let (host_key, stack_key) = (
                format!("device.host_{version}"),
                format!("device.stack_{version}"),
            );
            let shown = stack.map_or_else(|| "\"none\"".to_owned(), |stack| format!("\"{stack}\""));
            match (host, stack) {
                (Some(host), Some(stack)) if host == stack => {
                    self.report(
                        &stack_key,
                        shown,
                        format!("the same as {host_key}"),
                        "another address".to_owned(),
                    );
                }
                (Some(host), Some(stack)) if network(host, prefix) != network(stack, prefix) => {
                    let wrong = format!("not in the network of {host_key}, {host}/{prefix}");
                    self.report(
                        &stack_key,
                        shown,
                        wrong,
                        "an address of that network".to_owned(),
                    );
                }
                (Some(_), None) | (None, Some(_)) => {
                    let host = host.map_or_else(|| "none".to_owned(), |host| host.to_string());
                    let allowed = "both addresses, or \"none\" for both".to_owned();
                    self.report(
                        &stack_key,
                        shown,
                        format!("{host_key} is \"{host}\""),
                        allowed,
                    );
                }
                _ => {}
            }
            for (key, address) in [(&host_key, host), (&stack_key, stack)] {
                if let Some(address) = address.filter(|address| !is_unicast(address)) {
                    self.report(
                        key,
                        format!("\"{address}\""),
                        "not a unicast address".to_owned(),
                        String::new(),
                    );
                }
            }
        }
        if device.stack_addresses().next().is_none() {
            let allowed = "an address for at least one IP version".to_owned();
            self.report(
                "device.stack_v4",
                "\"none\"".to_owned(),
                "so is device.stack_v6".to_owned(),
                allowed,
            );
        }
    }

    fn services(&mut self, config: &Config) {
        for (index, service) in config.services.iter().enumerate() {
            let key = |name: &str| format!("service[{index}].{name}");
            let allowed_backlog = config.limits.backlog_max;
            if service.backlog > allowed_backlog {
                let wrong = format!("above limits.backlog_max, which is {allowed_backlog}");
                self.service(
                    &key("backlog"),
                    service,
                    "backlog",
                    service.backlog,
                    wrong,
                    "at most that",
                );
            }
            if service.handler == Handler::Http && service.directory.is_none() {
                let wrong = "needs a directory".to_owned();
                self.service(
                    &key("handler"),
                    service,
                    "handler",
                    "\"http\"",
                    wrong,
                    "directory = \"/srv/www\" beside it",
                );
            }
            self.command(index, service);
            let own: Vec<IpAddr> = config
                .device
                .stack_addresses()
                .map(|(address, _)| address)
                .collect();
            for address in service
                .addresses
                .iter()
                .filter(|address| !own.contains(address))
            {
                let shown = format!(
                    "{:?}",
                    service
                        .addresses
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                );
                let allowed = own
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ");
                let wrong = format!("{address} is not an address of tcpd");
                self.service(
                    &key("addresses"),
                    service,
                    "addresses",
                    shown,
                    wrong,
                    &allowed,
                );
            }
            for (earlier, other) in config.services[..index].iter().enumerate() {
                let first = self.place(&format!("service[{earlier}].name"));
                if other.name == service.name {
                    let (shown, wrong) = (
                        format!("{:?}", service.name),
                        format!("a second service of this name; the first: {first}"),
                    );
                    self.service(
                        &key("name"),
                        service,
                        "name",
                        shown,
                        wrong,
                        "a name of its own for each service",
                    );
                } else if collide(service, other) {
                    let wrong = format!("the port of service {:?} already", other.name);
                    self.service(
                        &key("port"),
                        service,
                        "port",
                        service.port,
                        wrong,
                        "another port or other addresses",
                    );
                }
            }
        }
    }

    fn service(
        &mut self,
        at: &str,
        service: &Service,
        key: &str,
        value: impl ToString,
        wrong: String,
        allowed: &str,
    ) {
        let (place, key) = (self.place(at), format!("service.{}.{key}", service.name));
        self.problems.push(Problem {
            place,
            key,
            value: value.to_string(),
            wrong,
            allowed: allowed.to_owned(),
        });
    }

    fn report(&mut self, key: &str, value: String, wrong: String, allowed: String) {
        let place = self.place(key);
        self.problems.push(Problem {
            place,
            key: key.to_owned(),
            value,
            wrong,
            allowed,
        });
    }

    fn place(&self, key: &str) -> Place {
        self.places.get(key).cloned().unwrap_or(Place::Default)
    }
}

fn quoted_duration(value: Duration) -> String {
    format!("\"{}\"", format_duration(value))
}

fn quoted_size(value: u32) -> String {
    format!("\"{}\"", format_size(u64::from(value)))
}

fn network(address: IpAddr, prefix: u8) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(
            u32::from(address)
                .checked_shr(32 - u32::from(prefix))
                .unwrap_or(0),
        ),
        IpAddr::V6(address) => u128::from(address)
            .checked_shr(128 - u32::from(prefix))
            .unwrap_or(0),
    }
}

fn is_unicast(address: &IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast)
}

/// Two enabled services on one port whose addresses overlap.
fn collide(a: &Service, b: &Service) -> bool {
    let overlap = a.addresses.is_empty()
        || b.addresses.is_empty()
        || a.addresses
            .iter()
            .any(|address| b.addresses.contains(address));
    a.port == b.port && a.enabled && b.enabled && overlap
}
