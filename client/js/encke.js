// The client of Encke. How it works stands in README.md, what it promises in encke.d.ts.

export class EnckeError extends Error {
	constructor(code, message, more) {
		super(message || code);
		Object.assign(this, { name: "EnckeError", ...more, code });
	}
}

const TICK = 5000, SHORT = 10000, SILENCE = 60000, REMEMBER = 3600000;
const RESTART = new EnckeError("restart");

const ahead = (position, of = "") => {
	const [epoch, offset] = position.split("."), [e, o] = of.split(".");
	return epoch === e ? offset - o : NaN;
};
const before = m => m.position.replace(/\d+$/, m.offset - 1);
const lost = e => e instanceof EnckeError ? e : new EnckeError("connection_lost", e?.message);
const isLost = e => e.code === "connection_lost";
const isToken = e => /token/.test(e.code);
const isFatal = e => /^(4(?!01|08|29)..|41..|100[23789])$/.test(e.status);
const closing = ({ closing, retry }) => new EnckeError(closing, "", { retry, status: retry ? 503 : 403 });
const query = list => `?channels=${list.map(([name]) => encodeURIComponent(name))}&since=${list.map(([, ch]) => ch.since)}`;
const revive = e => new EnckeError(e.code, e.message, e);

function call(f, ...args) {
	try {
		f?.(...args);
	} catch (e) {
		queueMicrotask(() => { throw e; });
	}
}

class Emitter {
	_on = {};

	on(type, f) {
		(this._on[type] ??= new Set()).add(f);
		return () => this._on[type].delete(f);
	}

	_emit(type, m) {
		for (const f of this._on[type] ?? []) call(f, m);
	}
}

function defaults() {
	const { window, WebSocket, EventSource } = globalThis;
	return {
		window, WebSocket, EventSource, fetch: (...a) => fetch(...a), setTimeout: (...a) => setTimeout(...a), clearTimeout: t => clearTimeout(t),
		now: Date.now, random: Math.random, shared: true, ack: "auto", transports: ["ws", "sse", "stream", "longpoll", "poll"],
		timeout: 8000, backoff: 1000, interval: 5000, wait: 25,
	};
}

export class Encke extends Emitter {
	state = "connecting";
	transport = null;
	latency = null;
	user = null;
	counters = { messages: 0, duplicates: 0, gaps: 0, letters: 0, connects: 0 };
	_channels = new Map(); // name → {subs, last: where the flow is, told}
	_pending = new Map();
	_n = 0;
	_mailed = 0;
	_todo = [];

	constructor(url, options) {
		super();
		const o = this._o = { ...defaults(), ...options };
		this.url = new URL(url, o.window?.location.href).href.replace(/^ws/, "http").replace(/\/$/, "");
		this._foreign = o.window && !this.url.startsWith(o.window.location.origin);
		this._id = o.random() + "";
		this._listen("add");
		this._resume();
	}

	subscribe(channel, callback, { since = "" } = {}) {
		if (this._over) throw new EnckeError("closed");
		return new Subscription(this, channel, callback, since);
	}

	subscribeUser(callback) {
		return this.on("message", m => m.channel === this._own && callback(m));
	}

	publish(channel, data = null, { event, id } = {}) {
		return new Promise((resolve, reject) => {
			const publish = { channel, event, data, message_id: id }, n = ++this._n;
			this._pending.set(n, { publish, until: this._o.now() + this._o.timeout, done: (error, value) => {
				this._pending.delete(n);
				if (error) reject(revive(error));
				else resolve(value);
			} });
			if (this._over) this._fail("closed");
			this._flush();
		});
	}

	connect() {
		this._wake(true);
	}

	close() {
		if (this._over) return;
		this._over = true;
		for (const ch of this._channels.values()) for (const s of ch.subs) s.unsubscribe();
		this._suspend();
		this._listen("remove");
		this._fail("closed");
		this._status({ state: "closed" });
	}

	on(type, f) {
		this._want();
		return super.on(type, f);
	}

	_listen(how) {
		const types = ["online", "offline", "visibilitychange", "pagehide", "freeze", "pageshow", "resume"];
		for (const type of types) this._o.window?.[how + "EventListener"](type, this, true);
	}

	handleEvent({ type }) {
		if (/hide|freeze/.test(type)) this._suspend();
		else if (/show|resume/.test(type)) this._resume();
		else if (!this._o.window.document.hidden) this._wake();
	}

	_resume() {
		if (this._cut || this._over) return;
		this._cut = new AbortController();
		this._heard = this._ticked = this._o.now();
		this._tick();
		this._begin(this._cut.signal);
	}

	async _begin(signal) {
		try {
			await this._getToken();
		} catch (e) {
			this._emit("error", e);
			return this._todo.push(() => this._begin(signal));
		}
		if (signal.aborted) return;
		if (this.user) this._mine ??= new Subscription(this, this._own, null, "");
		const { shared, window, transports } = this._o;
		this._key = JSON.stringify(["encke", this.url, this.user, transports]);
		if (!(shared && window?.navigator.locks && window.BroadcastChannel)) return this._lead();
		this._bc = new window.BroadcastChannel(this._key + shared);
		this._bc.onmessage = e => this._hear(e.data);
		this._request();
		this._down({});
	}

	_suspend() {
		if (!this._cut) return;
		this._cut.abort(RESTART);
		this._o.clearTimeout(this._timer);
		if (!this._link || this._over) this._down({ wants: {} });
		this._abdicate();
		this._asking?.abort();
		this._free?.();
		this._bc?.close();
		this._cut = this._bc = this._free = this._asking = undefined;
	}

	_wake(force) {
		this._heard = this._o.now();
		this._down({ wake: true, force });
	}

	_tick() {
		this._timer = this._o.setTimeout(() => {
			const now = this._o.now(), slept = now - this._ticked > 3 * TICK;
			this._ticked = now;
			this._tick();
			for (const f of this._todo.splice(0)) f();
			this._fail("timeout", p => now > p.until);
			if (slept) this._wake();
			else if (this._link) this._link.tick(now);
			else if (now - this._heard > 5 * TICK) this._request(true);
			else this._down({});
		}, TICK);
	}

	_request(steal) {
		this._asking?.abort();
		const { signal } = this._asking = new AbortController();
		this._heard = this._o.now();
		this._o.window.navigator.locks.request(this._key + this._o.shared, steal ? { steal } : { signal }, () => new Promise(free => {
			if (signal.aborted) return free();
			this._free = free;
			this._lead();
		})).catch(() => {
			if (signal.aborted) return;
			this._abdicate();
			this._request();
			this._down({});
		});
	}

	_lead() {
		const late = this._chief;
		this._link = new Link(this, this._chief = this._id);
		this._up({ lead: true, status: { state: "connecting" } });
		this._want();
		this._link.start(late ? 50 : 0);
	}

	_abdicate() {
		this._link?.end();
		this._link = this._chief = undefined;
		if (!this._over) this._status({ state: "connecting" });
	}

	_up(m) {
		const { to, error } = m;
		if (to !== this._id) this._bc?.postMessage({ ...m, by: this._id, error: error && { ...error, message: error.message } });
		if (!to || to === this._id) this._take(m);
	}

	_down(m) {
		if (this._link) this._link.take(this._id, m);
		else this._bc?.postMessage({ ...m, from: this._id, chief: this._chief });
	}

	_hear(m) {
		const { from, by, to, lead, chief } = m, { state, transport, latency } = this;
		if (this._link && from) {
			if (chief === this._id) this._link.take(from, m);
			this._up({ to: from, lead: true, status: { state, transport, latency } });
		} else if (!this._link && by && (!to || to === this._id)) {
			const other = lead && by !== this._chief;
			if (other) {
				this._chief = by;
				this._lost();
				this._want();
			}
			if (by !== this._chief) return;
			this._heard = this._o.now();
			this._take(m);
		}
	}

	_want() {
		if (!this._wanting) queueMicrotask(() => {
			const wants = {};
			this._wanting = false;
			for (const [name, ch] of this._channels) wants[name] = ch.last ?? [...ch.subs][0].since;
			this._down({ wants });
		});
		this._wanting = true;
	}

	_take(m) {
		const { n, item, channel, position, error, value, status } = m;
		const ch = this._channels.get(channel), p = this._pending.get(n);
		if (item) this._item(item);
		if (position && ch) {
			ch.last ??= position;
			for (const s of ch.subs) s._from(position);
		}
		if (n) p?.done(error, value);
		else if (channel && error) for (const s of ch?.subs ?? []) s._refuse(error);
		else if (error) this._emit("error", revive(error));
		if (status) this._status(status);
	}

	_item(m) {
		const ch = this._channels.get(m.channel);
		if (m.mail) this._letter(m);
		else if (ch) {
			ch.last = m.position;
			for (const s of ch.subs) s._take(m);
		}
	}

	_status(status) {
		const was = this.state, { state } = Object.assign(this, status);
		if (state === "open") this._flush();
		else this._lost();
		if (state === was) return;
		if (state === "open") this.counters.connects++;
		this._emit("state", state);
	}

	_tell(type, m) {
		const ch = this._channels.get(m.channel);
		if (ahead(m.position, ch.told) <= 0 && m.reason !== "unknown") return;
		ch.told = m.position;
		this.counters[type + "s"]++;
		this._emit(type, m);
	}

	_letter(m) {
		const handlers = [...this._on.letter ?? []], ack = () => {
			this._down({ acked: m.mail });
			return this._http("/ack?only=" + m.mail, { method: "POST" }).catch(() => this._todo.push(ack));
		};
		if (m.mail <= this._mailed || !handlers.length) return;
		this._mailed = m.mail;
		this.counters.letters++;
		Promise.all(handlers.map(async f => f({ ...m, ack }))).then(() => this._o.ack === "auto" && ack());
	}

	_flush() {
		if (this.state === "open") for (const [n, p] of this._pending) {
			if (!p.sent) this._down({ n, publish: p.publish });
			p.sent = true;
		}
	}

	_fail(code, which = () => true) {
		for (const p of this._pending.values()) if (which(p)) p.done({ code });
	}

	_lost() {
		this._fail("connection_lost", p => p.sent && !p.publish.message_id);
		for (const p of this._pending.values()) p.sent = false;
	}

	async _http(path, { signal = this._cut.signal, timeout = this._o.timeout, method, read = r => r.json() } = {}) {
		const cut = new AbortController(), any = AbortSignal.any([cut.signal, signal]);
		const timer = this._o.setTimeout(() => cut.abort(new EnckeError("connection_lost", "", { silent: true })), timeout);
		try {
			await this._getToken();
			const headers = {}, token = this._token;
			if (token && this._foreign) path += "&token=" + token;
			else if (token) headers.Authorization = "Bearer " + token;
			const r = await this._o.fetch(this.url + path, { method, headers, signal: any, cache: "no-store" });
			if (r.ok) return await read(r);
			const { error } = await r.json().catch(() => ({}));
			throw new EnckeError(error?.code ?? "connection_lost", error?.message ?? r.statusText,
				{ ...error, status: error && r.status, retry: 1000 * r.headers.get("Retry-After") });
		} catch (e) {
			if (isToken(e)) this._token = "";
			throw lost(any.reason ?? e);
		} finally {
			this._o.clearTimeout(timer);
		}
	}

	_poll(channel, since) {
		return this._http("/poll" + query([[channel, { since }]]) + "&wait=0&mail=" + 1e16);
	}

	_getToken(fresh) {
		if (fresh || !this._token) return this._getting ??= this._askToken().finally(() => { this._getting = undefined; });
	}

	async _askToken() {
		const { token, now } = this._o, ask = typeof token === "function";
		try {
			const text = ask ? await token() : token;
			if (!text) return;
			const { sub, exp, iat = now() / 1000 } = JSON.parse(atob(text.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
			if ((this.user ??= sub) !== sub) throw new EnckeError("wrong_user", "", { status: 403 });
			this._token = text;
			this._own = "user:" + sub;
			this._refreshAt = ask ? now() + 800 * (exp - iat) - TICK : Infinity;
		} catch (e) {
			throw e.code ? e : new EnckeError("callback_failed", e?.message);
		}
	}
}

class Subscription extends Emitter {
	constructor(client, channel, callback, since) {
		super();
		Object.assign(this, { channel, since, _client: client, _callback: callback });
		const all = client._channels, ch = all.get(channel) ?? { subs: new Set() };
		all.set(channel, ch);
		ch.subs.add(this);
		if (ch.last) this._from(ch.last);
		client._want();
	}

	publish(data, options) {
		return this._client.publish(this.channel, data, options);
	}

	presence(callback) {
		this._presence?.stop();
		return this._presence = new Presence(this._client, this.channel, callback);
	}

	unsubscribe() {
		const all = this._client._channels, ch = all.get(this.channel);
		this._over = true;
		this._presence?.stop();
		if (!ch?.subs.delete(this) || ch.subs.size) return;
		all.delete(this.channel);
		this._client._want();
	}

	_from(position) {
		if (!this.since) this.since = position;
		else if (position !== this.since) this._heal();
	}

	_take(m) {
		if (!this._healing && this.since) this._apply(m);
	}

	_apply(m, last) {
		if (this.since === "0" && last && !m.gap) this.since = before(m);
		const n = ahead(m.position, this.since);
		if (m.gap) {
			if (!(n <= 0) || m.reason === "unknown" && n) this._give("gap", m);
		} else if (n <= 0) {
			this._client.counters.duplicates++;
		} else if (n === 1) {
			this._give("message", m);
		} else if (last) {
			this._give("gap", { channel: m.channel, gap: true, reason: n ? "lost" : "epoch", position: before(m) });
			this._give("message", m);
		} else {
			this._heal();
		}
	}

	_give(type, m) {
		this.since = m.position;
		this._client._tell(type, m);
		if (!m.gap) call(this._callback, m);
		this._emit(type, m);
	}

	async _heal() {
		const c = this._client;
		if (this._healing) return;
		this._healing = true;
		try {
			do {
				const r = await c._poll(this.channel, this.since);
				for (const m of r.publications) if (!this._over && m.channel === this.channel) this._apply(m, true);
				if (this.since === "0") [this.since] = r.position.split(",");
			} while (!this._over && ahead(c._channels.get(this.channel).last ?? "", this.since) > 0);
			this._healing = false;
		} catch (e) {
			this._healing = false;
			if (isFatal(e)) this._refuse(e);
			else c._todo.push(() => this._over || this._heal());
		}
	}

	_refuse(error) {
		const e = revive({ ...error, message: error.message, channel: this.channel });
		this.unsubscribe();
		this._emit("error", e);
		this._client._emit("error", e);
	}
}

class Presence {
	members = new Map();

	constructor(client, channel, callback) {
		Object.assign(this, { channel, _client: client, _callback: callback });
		this._look();
	}

	stop() {
		this._over = true;
		this._sub?.unsubscribe();
	}

	async _look() {
		const c = this._client;
		this._sub?.unsubscribe();
		try {
			const { position, members = [], ...counts } = await c._http("/presence?channel=" + encodeURIComponent(this.channel));
			if (this._over) return;
			this._set({ ...counts, members: new Map(members.map(m => [m.user, m])) });
			this._sub = c.subscribe("$presence:" + this.channel, ({ data: { join, leave, update, ...counts } }) => {
				join?.forEach(m => this.members.set(m.user, m));
				update?.forEach(m => this.members.set(m.user, { connections: this.members.get(m.user)?.connections, ...m }));
				leave?.forEach(user => this.members.delete(user));
				this._set(counts, { join, leave, update });
			}, { since: position });
			this._sub.on("gap", () => this._look());
		} catch (e) {
			if (this._over) return;
			if (isFatal(e)) c._emit("error", e);
			else c._todo.push(() => this._over || this._look());
		}
	}

	_set(now, change) {
		call(this._callback, Object.assign(this, now), change);
	}
}

class Link {
	channels = new Map();
	tabs = new Map();
	letters = new Map();
	tries = 0;
	short = 0;
	rung = 0;
	n = 0;
	mail = 0;

	constructor(client) {
		const o = client._o;
		Object.assign(this, { client, o });
		this.rungs = o.transports.filter(t => t === "ws" ? o.WebSocket : t !== "sse" || o.EventSource);
		try {
			const [rung, until] = JSON.parse(o.window.localStorage.getItem(client._key));
			if (until > o.now()) this.rung = Math.max(0, this.rungs.indexOf(rung));
			this.until = until;
		} catch {}
	}

	up(m) {
		if (!this.ended) this.client._up(m);
	}

	set(status) {
		this.up({ status });
	}

	end() {
		this.ended = true;
		this.run?.abort(RESTART);
		this.resume?.();
	}

	take(id, { wants, n, publish, acked, wake, force }) {
		const { run } = this;
		this.letters.delete(acked);
		if (wants) this.want(id, wants);
		if (wake && !this.resume) this.check();
		else if (force || wake && this.o.now() >= this.due) this.resume?.();
		if (!publish || !run?.opened) return;
		if (run.socket) run.socket.send(JSON.stringify({ id: id + ":" + n, publish }));
		else this.up({ to: id, n, error: new EnckeError("needs_websocket") });
	}

	want(id, wants) {
		const { tabs, channels, run } = this, had = tabs.get(id);
		let changed;
		tabs.set(id, wants);
		for (const item of this.letters.values()) this.up({ item, to: id });
		for (const channel in wants) {
			const position = channels.get(channel)?.since;
			if (!channels.has(channel)) changed = channels.set(channel, { since: wants[channel].replace(/^0$/, "") });
			else if (position && !(had && channel in had)) this.up({ channel, position, to: id });
		}
		for (const [channel, ch] of channels) {
			if ([...tabs.values()].some(w => channel in w)) continue;
			changed = channels.delete(channel);
			if (ch.run === run) this.ask({ unsubscribe: { channel } });
		}
		if (!changed) return;
		if (run?.socket) return this.subscribe(run);
		run?.abort(RESTART);
	}

	refuse(channel, error) {
		if (this.channels.delete(channel)) this.up({ channel, error });
	}

	async start(after) {
		const { client, o } = this;
		await this.pause(after, Infinity);
		while (!this.ended) {
			const rung = this.rungs[this.rung], run = Object.assign(new AbortController(), { rung, heard: o.now() });
			if (rung !== "ws" && !this.channels.size) {
				await this.pause(200);
				continue;
			}
			let why;
			this.run = run;
			run.signal.onabort = () => this.resume?.();
			run.timer = o.setTimeout(() => run.abort(lost()), o.timeout);
			try {
				await client._getToken();
				if (!run.signal.aborted) await this[rung](run);
			} catch (e) {
				why = e;
			}
			why = lost(run.signal.reason ?? why);
			if (isToken(why)) client._token = "";
			o.clearTimeout(run.timer);
			run.abort();
			this.run = undefined;
			if (!this.ended && why !== RESTART) await this.recover(run, why);
		}
	}

	async recover(run, why) {
		const { client, o } = this, lived = o.now() - run.opened;
		let blocked;
		this.set({ state: "connecting" });
		if (lived > 3000) this.tries = 0;
		if (isLost(why)) try {
			if (lived >= 0) {
				this.short = lived < SHORT || why.silent ? this.short + 1 : 0;
				blocked = this.short > 2;
			} else {
				await (this.channels.size ? this.read(client._cut, 0) : client._http("/ping?"));
				blocked = this.worked !== run.rung || this.failed;
				this.failed = true;
			}
		} catch (e) {
			why = e;
			this.short = 0;
		}
		if (blocked && (this.rung = (this.rung + 1) % this.rungs.length)) return;
		if (isToken(why) && !this.renewed && typeof o.token === "function") return void (this.renewed = true);
		if (isFatal(why) || isToken(why) && !this.renewed) {
			if (await this.isolate(why)) return;
			this.up({ error: why, status: { state: "closed" } });
			return this.pause(2e9, Infinity);
		}
		if (!isLost(why) && why.code !== "going_away") this.up({ error: why });
		const { retry } = why, offline = o.window?.navigator.onLine === false;
		const most = Math.min(30000, o.backoff * 2 ** this.tries++);
		this.set({ state: offline ? "offline" : "waiting" });
		await this.pause(retry ? retry + o.random() * 1000 : offline ? 30000 : o.random() * most, retry);
		this.set({ state: "connecting" });
	}

	async isolate({ status, code }) {
		let found;
		if (status < 500 && code !== "bad_origin") for (const [name, { since }] of [...this.channels]) {
			await this.client._poll(name, since).catch(e => {
				if (!isFatal(e) || name === this.client._own) return;
				found = true;
				this.refuse(name, e);
			});
		}
		return found;
	}

	pause(ms, least = 0) {
		this.due = this.o.now() + least;
		return new Promise(done => {
			if (this.ended) return done();
			const timer = this.o.setTimeout(() => this.resume(), ms);
			this.resume = () => {
				this.o.clearTimeout(timer);
				this.resume = undefined;
				done();
			};
		});
	}

	opened(run) {
		const now = run.heard = this.o.now(), { rung } = run;
		if (run.opened && !run.again) return;
		this.o.clearTimeout(run.timer);
		run.opened = now;
		run.again = run.pinged = this.renewed = this.failed = false;
		if (this.worked !== rung) try {
			this.worked = rung;
			this.until = now + REMEMBER;
			if (this.rung) this.o.window.localStorage.setItem(this.client._key, JSON.stringify([rung, this.until]));
		} catch {}
		this.set({ state: "open", transport: rung });
	}

	tick(now) {
		const { run, client } = this;
		if (!run?.opened || run.again) return;
		if (run.socket) this.subscribe(run);
		if (now > client._refreshAt) this.refresh(run);
		if (this.rung && now > this.until) {
			this.rung = 0;
			run.abort(RESTART);
		} else if (run.socket ? now > run.next : now - run.heard > SILENCE) {
			this.check();
		}
	}

	check() {
		const { run } = this;
		if (run?.socket) this.ping(run);
		else if (run?.opened && !run.again) run.abort(RESTART);
	}

	ping(run) {
		if (run.pinged) return;
		const began = run.pinged = this.o.now(), most = this.o.timeout / 2;
		run.next = began + 25000;
		if (run.opened) run.timer = this.o.setTimeout(() => this.o.now() - run.heard < most ? run.pinged = 0 : run.abort(lost()), most);
		this.ask({ ping: {} }, () => {
			this.o.clearTimeout(run.timer);
			run.pinged = 0;
			this.set({ latency: this.o.now() - began });
		});
	}

	async refresh(run) {
		const { client } = this;
		client._refreshAt = Infinity;
		try {
			await client._getToken(true);
			if (run.socket) this.ask({ refresh: { token: client._token } }, ({ error }) => error && this.up({ error }));
			else if (run.rung[0] === "s") run.abort(RESTART);
		} catch (error) {
			this.up({ error });
		}
	}

	item(item) {
		const ch = this.channels.get(item.channel);
		if (item.reason === "epoch") this.short = 0;
		if (item.mail) this.letters.set(this.mail = item.mail, item);
		else if (!ch?.since) return;
		else ch.since = item.position;
		this.up({ item });
	}

	begun({ channel, position }) {
		const ch = this.channels.get(channel);
		if (!ch || ch.since) return;
		ch.since = position;
		this.up({ channel, position });
	}

	adopt(list, positions) {
		let epoch;
		positions.split(",").forEach((p, i) => {
			if (p.includes(".")) [epoch] = p.split(".");
			else p = epoch + "." + p;
			if (list[i]) this.begun({ channel: list[i][0], position: p });
		});
	}

	follow(run, source, begin) {
		return new Promise((_, fail) => {
			run.signal.onabort = () => {
				source.onmessage = source.onclose = null;
				source.close();
				fail(run.signal.reason);
			};
			begin(fail);
		});
	}

	ws(run) {
		const { client, o } = this, token = client._token, own = [...this.channels].filter(([name]) => name === client._own);
		const w = run.socket = new o.WebSocket(client.url.replace("http", "ws") + "/ws" + query(own),
			["encke.json", ...token ? ["encke.token." + token] : []]);
		run.asked = new Map();
		for (const [, ch] of own) ch.run = run;
		return this.follow(run, w, fail => {
			w.onerror = () => {};
			w.onopen = () => {
				this.ping(run);
				this.subscribe(run);
			};
			w.onmessage = e => {
				this.opened(run);
				this.frame(run, JSON.parse(e.data));
			};
			w.onclose = ({ code, reason }) => {
				const [name, retry] = reason.split(" retry=");
				fail(new EnckeError(name || "connection_lost", "", name && { status: code, retry: +retry }));
			};
		});
	}

	subscribe(run) {
		for (const [channel, ch] of this.channels) {
			if (ch.run === run || run.socket.readyState !== 1) continue;
			ch.run = run;
			this.ask({ subscribe: { channel, since: ch.since } }, ({ error }) => {
				if (!error) return;
				if (/hook_failed|too_many_commands|overloaded/.test(error.code)) ch.run = undefined;
				else this.refuse(channel, error);
			});
		}
	}

	ask(command, then) {
		const { run } = this;
		if (run?.socket?.readyState !== 1) return;
		run.asked.set(++this.n, then);
		run.socket.send(JSON.stringify({ id: this.n, ...command }));
	}

	frame(run, m) {
		const { id, error, channel, subscribed, unsubscribed } = m;
		if (channel) this.item(m);
		if (subscribed) this.begun(subscribed);
		if (unsubscribed?.code) this.refuse(unsubscribed.channel, unsubscribed);
		if (typeof id === "string") {
			const [to, n] = id.split(":");
			this.up({ to, n: +n, error, value: m.published });
		} else if (id) {
			run.asked.get(id)?.(m);
			run.asked.delete(id);
		} else if (error) {
			this.up({ error });
		}
	}

	async sse(run) {
		const { client, o } = this, token = client._token ? "&token=" + client._token : "";
		if ([...this.channels.values()].some(ch => !ch.since)) await this.read(run, 0);
		const s = new o.EventSource(client.url + "/sse" + query([...this.channels]) + token);
		return this.follow(run, s, fail => {
			const on = (type, f) => s.addEventListener(type, e => f(JSON.parse(e.data), run.heard = o.now()));
			on("resumed", () => this.opened(run));
			on("message", m => this.item(m));
			on("gap", m => this.item(m));
			on("closing", m => fail(closing(m)));
			s.onerror = () => {
				if (s.readyState || !run.opened || run.again || o.now() - run.opened < SHORT) return fail(lost());
				run.again = true;
				this.set({ state: "waiting" });
			};
		});
	}

	async stream(run) {
		const list = [...this.channels], decoder = new TextDecoder(), { signal } = run;
		const reader = await this.client._http("/stream" + query(list), { signal, read: r => r.body.getReader() });
		for (let rest = ""; ;) {
			const { value, done } = await reader.read();
			if (done) throw lost();
			run.heard = this.o.now();
			const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
			rest = lines.pop();
			for (const line of lines) {
				if (signal.aborted || !line) continue;
				const m = JSON.parse(line);
				if (m.closing) throw closing(m);
				if (m.channel) this.item(m);
				else this.adopt(list, m.position), this.opened(run);
			}
		}
	}

	async longpoll(run, wait = this.o.wait) {
		for (let now = 0; !run.signal.aborted; now = wait) {
			const found = await this.read(run, now);
			this.opened(run);
			if (!wait && found < 100) await this.pause(this.o.interval * (0.5 + this.o.random()) * (this.o.window?.document.hidden ? 4 : 1));
		}
	}

	poll(run) {
		return this.longpoll(run, 0);
	}

	async read({ signal }, wait) {
		const list = [...this.channels], began = this.o.now();
		const r = await this.client._http(`/poll${query(list)}&wait=${wait}&mail=${this.mail}`, { signal, timeout: this.o.timeout + 1000 * wait });
		if (signal.aborted) throw signal.reason;
		if (!wait) this.set({ latency: this.o.now() - began });
		this.adopt(list, r.position);
		r.publications.forEach(m => this.item(m));
		if (r.retry) throw closing({ closing: "going_away", ...r });
		return r.publications.length;
	}
}
