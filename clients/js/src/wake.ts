/** Calls `woke` where the machine slept, its network came or went, or the page is looked at again. */
export function onWake(woke: () => void, { tick, signal }: { tick: number; signal: AbortSignal }): void {
  const on = (target: EventTarget | undefined, type: string, listener: () => void) =>
    target?.addEventListener?.(type, listener, { signal });
  const { window, document } = globalThis;
  for (const type of ["online", "offline", "pageshow"]) on(window, type, woke);
  on(document, "visibilitychange", () => {
    if (document.visibilityState === "visible") woke();
  });
  on(document, "resume", woke); // the page was frozen

  // Timers stand still in a sleep; in hidden tabs browsers run them once a minute.
  let last = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    if (now - last > 3 * tick) woke();
    last = now;
  }, tick);
  signal.addEventListener("abort", () => clearInterval(timer));
}
