//! Reload: the whole new configuration, or nothing of it.
//!
//! 1. It is read and checked as at the start. What is wrong with it, or what only a restart changes, refuses all of it.
//! 2. Listeners that are new are opened beside the old ones, also one address beside all of them; one that another service has today, and will not have, passes to
//!    its new owner in step 3. If one cannot be, those opened are closed again, and the
//!    reload is refused.
//! 3. Now nothing can fail any more: settings, services and limits count, and listeners that are no longer wanted close.
//!    Connections are not touched, and workers alive go on as they began.

use std::net::SocketAddr;

use libtcpclient::protocol::status::Reloaded;
use libtcpclient::protocol::{ErrorCode, Reply};
use tcpd_core::time::Instant;

use super::super::config::{self, Change, Config};
use super::super::orders::{Order, ServiceIndex, ServiceOrder, SessionId};
use super::super::{configured_services, notify};
use super::answers::json;
use super::services::{Place, Wanted, unlisten, wanted_of};
use super::waiting::Waiting;
use super::{ControlLoop, Spawner};

/// A reload that waits for its listeners.
#[derive(Debug)]
pub(super) struct Reload {
    asker: Asker,
    config: Config,
    plan: Plan,
    /// Listeners asked for, in order, of which the reports are still to come.
    awaited: usize,
    opened: Vec<(ServiceIndex, Place)>,
    failed: Option<String>,
}

/// Who asked: a session's request, or a signal.
type Asker = Option<(SessionId, u32)>;

/// What is to be done.
#[derive(Debug, Default)]
struct Plan {
    change: Change,
    /// Services that are new or different, with their numbers.
    services: Vec<(ServiceIndex, crate::services::Service)>,
    removed: Vec<ServiceIndex>,
    open: Vec<(Wanted, Place)>,
    close: Vec<(ServiceIndex, Place)>,
    /// Listeners that pass from one service to another.
    pass: Vec<(ServiceIndex, ServiceIndex, Place)>,
}

impl<W: Spawner> ControlLoop<W> {
    /// SIGHUP, or a session that may ask for it.
    pub(super) fn ask_to_reload(&mut self, now: Instant, asker: Asker) {
        if let Some((id, number)) = asker {
            self.wait_for_answer(id, number, Waiting::Other);
        }
        if self.stop.is_some() {
            return self.refuse_reload(asker, ErrorCode::Draining, String::new());
        }
        if !self.ready || self.reload.is_some() {
            let why = "the daemon is still starting or reloading".to_owned();
            return self.refuse_reload(asker, ErrorCode::TooManyRequests, why);
        }
        notify::reloading();
        let config = match self.source.load() {
            Ok(config) => config,
            Err(error) => {
                // One problem a line; an answer is one line.
                let why = error.to_string().replace('\n', "; ");
                return self.refuse_reload(asker, ErrorCode::BadConfiguration, why);
            }
        };
        let change = Change::between(&self.config, &config);
        if !change.needs_restart.is_empty() {
            let keys = change.needs_restart.join(", ");
            let why = format!("only a restart changes {keys}; nothing was changed");
            return self.refuse_reload(asker, ErrorCode::NeedsRestart, why);
        }
        if let Some(why) = self.needs_users(&config) {
            return self.refuse_reload(asker, ErrorCode::NeedsRestart, why);
        }
        let plan = self.plan(change, &config);
        let reload = Reload {
            asker,
            config,
            awaited: plan.open.len(),
            plan,
            opened: Vec::new(),
            failed: None,
        };
        for (service, place) in &reload.plan.open {
            self.order(service.listen(*place));
        }
        self.reload = Some(reload);
        self.finish_reload(now);
    }

    /// A service's user, where the rights for that were given up at the start.
    fn needs_users(&self, config: &Config) -> Option<String> {
        let first = configured_services::first_with_user(config)?;
        (!self.may_switch_users).then(|| {
            format!(
                "only a restart changes {first}: the rights to switch users are kept only from a start with a user; \
                 nothing was changed"
            )
        })
    }

    /// Which listeners to open and close.
    fn plan(&self, change: Change, config: &Config) -> Plan {
        let mut plan = Plan::default();
        let known = |name: &str| {
            self.services
                .services()
                .find(|(_, service)| service.name == name)
        };
        let mut next = self.services.next_index();
        let different = change.added.iter().chain(&change.changed);
        let different: Vec<_> = different.cloned().collect();
        for service in configured_services::enabled(&different, config) {
            let old = known(&service.name).map(wanted_of);
            let index = old.as_ref().map_or(next, |old| old.service);
            next += u32::from(old.is_none());
            let new = wanted_of((index, &service));
            let had = old.as_ref().map_or(&[][..], |old| &old.places);
            let fresh = new.places.iter().filter(|place| !had.contains(place));
            plan.open.extend(fresh.map(|place| (new.clone(), *place)));
            if let Some(old) = &old {
                let stale = old
                    .places
                    .iter()
                    .filter(|place| !new.places.contains(place));
                plan.close.extend(stale.map(|place| (index, *place)));
            }
            plan.services.push((index, service));
        }
        for (index, service) in change.removed.iter().filter_map(|name| known(name)) {
            let old = wanted_of((index, service));
            plan.close
                .extend(old.places.into_iter().map(|place| (index, place)));
            plan.removed.push(index);
        }
        plan.change = change;
        plan.find_passing();
        plan
    }

    /// A listener that a reload asked for is open, or why not.
    pub(super) fn on_reload_listening(
        &mut self,
        now: Instant,
        service: ServiceIndex,
        result: Result<SocketAddr, String>,
    ) {
        let Some(reload) = &mut self.reload else {
            return;
        };
        // The answers come in the order of the questions.
        let asked = reload.plan.open.len() - reload.awaited;
        reload.awaited -= 1;
        let place = reload.plan.open[asked].1;
        match result {
            Ok(_) => reload.opened.push((service, place)),
            Err(error) => {
                let name = reload
                    .plan
                    .services
                    .iter()
                    .find(|(index, _)| *index == service);
                let name = name.map_or("", |(_, service)| &service.name);
                let why = format!("service {name} cannot listen on port {}: {error}", place.1);
                reload.failed.get_or_insert(why);
            }
        }
        self.finish_reload(now);
    }

    /// Once every listener was reported: all of it, or nothing.
    fn finish_reload(&mut self, now: Instant) {
        let Some(reload) = self.reload.take_if(|reload| reload.awaited == 0) else {
            return;
        };
        if self.stop.is_some() {
            // A stop began meanwhile, and has closed whatever was opened.
            return self.refuse_reload(reload.asker, ErrorCode::Draining, String::new());
        }
        if let Some(why) = reload.failed {
            for (service, place) in reload.opened {
                self.order(unlisten(service, place));
            }
            let why = format!("{why}; nothing was changed");
            return self.refuse_reload(reload.asker, ErrorCode::AddressInUse, why);
        }
        let done = reload.plan.told();
        self.apply_settings(now, reload.config);
        self.apply_plan(now, reload.plan);
        tracing::info!(
            settings = ?done.settings,
            added = ?done.services_added,
            changed = ?done.services_changed,
            removed = ?done.services_removed,
            "the configuration was reloaded"
        );
        self.notify_ready();
        if let Some((id, number)) = reload.asker {
            self.reply_later(id, number, json(&done));
        }
    }

    /// The settings of the new configuration count from now on.
    fn apply_settings(&mut self, now: Instant, config: Config) {
        let before = self.quotas();
        if config.impair != self.config.impair {
            self.order(Order::ConfigureImpairment(config.impair.rules()));
        }
        self.config = config;
        if self.quotas() != before {
            self.order(Order::Quotas(self.quotas()));
            self.schedule_memory_check(now);
        }
        self.policy.privileged_ports_below = self.config.control.privileged_ports_below;
    }

    /// Its services too, and its listeners, of which the new ones are open.
    fn apply_plan(&mut self, now: Instant, plan: Plan) {
        for (from, to, (address, port)) in plan.pass {
            let order = ServiceOrder::PassTo { to, address, port };
            self.order(Order::Service(from, order));
        }
        for (service, place) in plan.close {
            self.order(unlisten(service, place));
        }
        for index in plan.removed {
            self.services.retire(now, index);
        }
        let changed: Vec<_> = plan.services.iter().map(|(_, new)| new.clone()).collect();
        configured_services::tell_weaknesses(&changed);
        for (index, service) in plan.services {
            let terms = wanted_of((index, &service)).terms();
            if index == self.services.next_index() {
                self.services.add(service);
            } else {
                self.services.change(now, index, service);
            }
            self.order(terms);
            // Somebody may wait since before it had its number, or may have a worker now.
            self.on_service_incoming(now, index);
        }
    }

    fn refuse_reload(&mut self, asker: Asker, code: ErrorCode, why: String) {
        tracing::error!(why, "the configuration was not reloaded");
        if self.ready && self.stop.is_none() {
            self.notify_ready();
        }
        if let Some((id, number)) = asker {
            self.reply_later(id, number, Reply::error(code, why));
        }
    }
}

impl Plan {
    /// As people are told.
    fn told(&self) -> Reloaded {
        let names = |services: &[config::Service]| -> Vec<String> {
            let names = services.iter().map(|service| service.name.clone());
            names.collect()
        };
        Reloaded {
            settings: self.change.settings.clone(),
            services_added: names(&self.change.added),
            services_changed: names(&self.change.changed),
            services_removed: self.change.removed.clone(),
        }
    }

    /// What one service opens where another one closes is neither: the listener passes on, and nobody who waits in it is lost.
    fn find_passing(&mut self) {
        let Self {
            open, close, pass, ..
        } = self;
        open.retain(|(to, place)| {
            let closing = close.iter().position(|(_, closed)| closed == place);
            let Some(closing) = closing else {
                return true;
            };
            let (from, _) = close.swap_remove(closing);
            pass.push((from, to.service, *place));
            false
        });
    }
}
