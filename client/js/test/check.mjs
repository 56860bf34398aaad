// What every callback must be given: each message once and in order, or a gap told before what does not follow.
import assert from "node:assert/strict";

// track records what a subscription gives and fails at once where it may not.
export function track(subscription, name = subscription.channel) {
  const t = { messages: [], gaps: [], at: undefined };
  subscription.on("message", m => {
    const [epoch, offset] = m.position.split(".");
    assert.equal(m.channel, subscription.channel);
    assert.equal(Number(offset), m.offset);
    if (t.at !== undefined) {
      const [e, o] = t.at.split(".");
      assert.ok(e === epoch && m.offset === Number(o) + 1, `${name}: ${m.position} does not follow ${t.at}`);
    }
    t.at = m.position;
    t.messages.push(m);
  });
  subscription.on("gap", m => {
    assert.equal(typeof m.reason, "string");
    const [epoch, offset] = m.position.split("."), [e, o] = (t.at ?? ".").split(".");
    assert.ok(epoch !== e || Number(offset) > Number(o) || m.reason === "unknown", `${name}: a gap up to ${m.position}, which is before ${t.at}`);
    t.at = m.position;
    t.gaps.push(m);
  });
  return t;
}
