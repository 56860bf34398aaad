// Compiled by `tsc --strict`, never run.
import { Encke, EnckeError, type Gap, type Letter, type Message, type Options, type Presence, type State, type Subscription } from "encke";

const options: Options = { token: async () => "a.b.c", transports: ["ws", "longpoll"], ack: "manual", shared: false };
const encke = new Encke("https://push.example.com", options);
const simple = new Encke(new URL("https://push.example.com"));

interface Score { home: number; away: number }
const scores: Subscription<Score> = encke.subscribe<Score>("news", m => { const n: number = m.data.home + m.offset; return void n; }, { since: "0" });
scores.on("gap", (g: Gap) => g.reason === "epoch");
scores.on("error", e => e.channel?.toUpperCase());
const off: () => void = scores.on("message", (m: Message<Score>) => m.user);
off();
const position: string = scores.since;
const here: Presence = scores.presence((p, change) => {
  for (const [user, member] of p.members) console.log(user, member.info, change?.join?.length, change?.leave?.includes(user));
});
here.stop();
const published: Promise<number> = scores.publish({ home: 1, away: 2 }, { id: "x" }).then(p => p.offset);
encke.on("state", (s: State) => s === "open");
encke.on("letter", async (l: Letter<string>) => { if (l.data) await l.ack(); });
encke.on("error", (e: EnckeError) => [e.code, e.status, e.message]);
const end: () => void = encke.subscribeUser<{ text: string }>(m => m.data.text);
const ms: number | null = encke.latency;
encke.counters.messages satisfies number;
simple.subscribe("chat").unsubscribe();
simple.connect();
simple.close();
export { end, ms, position, published };

// @ts-expect-error: there is no such transport
new Encke("/", { transports: ["carrier pigeon"] });
// @ts-expect-error: there is no such event
encke.on("nonsense", () => {});
// @ts-expect-error: data has a type
scores.publish({ home: "1" });
