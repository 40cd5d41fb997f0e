/** Everything at once, at random: nothing may be lost, repeated or out of order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { client, opened, server, until } from "./client.ts";
import { generator } from "./random.ts";
import { type Asked, error } from "./server.ts";

const STEPS = 60;

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`tabs that come and go, and a server that fails, seed ${seed}`, { timeout: 30_000 }, async () => {
    const random = generator(seed);
    const hub = await server();
    const tab = () =>
      client(hub, { tabs: true, timing: { pingEvery: 100, ackWithin: 100, answerWithin: 100 } });
    const last = tab(); // the one that stays
    await opened(hub, last.hermes);
    hub.publish("the beginning");
    await until(() => last.told.length === 1); // before the first answer nobody knows what was missed
    let tabs = [last];
    let sending = 0;
    const sent: Promise<unknown>[] = [];
    const faults = [
      () => undefined,
      ({ action }: Asked) => (action !== "ping" && random(3) === 0 ? error("internal") : undefined),
      () => (random(4) === 0 ? ("silence" as const) : undefined),
      (request: Asked) => {
        if (request.action !== "sendMessage" || hub.log.some(({ id }) => id === request.id)) return undefined;
        hub.append(request.data, request.id as string, "alice"); // stored, not pushed, not answered
        return "silence" as const;
      },
    ];
    const events = [
      () => hub.publish(`published ${hub.log.length}`),
      () => hub.publish(`published ${hub.log.length}`),
      () => void hub.append(`not pushed ${hub.log.length}`),
      () =>
        void sent.push(
          (tabs[random(tabs.length)] as typeof last).hermes.send(`sent ${++sending}`).catch(() => {}),
        ),
      () => void sent.push(last.hermes.send(`sent ${++sending}`)),
      () => hub.close(),
      () => {
        hub.fault = faults[random(faults.length)] as (typeof faults)[0];
      },
      () => void tabs.unshift(tab()),
      () => tabs.splice(0, tabs.length > 1 ? 1 : 0).map(({ hermes }) => hermes.close()),
    ];
    for (let step = 0; step < STEPS; step++) {
      if (random(15) === 0) {
        await hub.stop();
        await sleep(random(40));
        await hub.start();
      }
      (events[random(events.length)] as () => void)();
      await sleep(random(12));
    }
    hub.fault = () => undefined;
    tabs = tabs.filter((tab) => tab === last);
    await Promise.all(sent);
    hub.publish("the end");
    await until(() => last.told.at(-1) === "the end");
    assert.deepEqual(
      last.told,
      hub.log.map(({ data }) => data),
    );
    assert.equal(new Set(last.told).size, last.told.length);
    assert.deepEqual(last.gone, []);
  });
}
