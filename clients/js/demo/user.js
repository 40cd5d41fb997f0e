import { Cable } from "./cable.js";
import { Hermes, HermesError } from "./hermes.min.js";

/** How long a toast can be read, in milliseconds. */
const TOAST = 6_000;

const STATES = {
  connecting: "Connecting …",
  open: "Connected",
  waiting: "Not connected; trying again",
  closed: "Ended",
};

/** Shows what one user sees. */
export function showUser(user, url) {
  const name = user[0].toUpperCase() + user.slice(1);
  const panel = document.getElementById("user").content.cloneNode(true).firstElementChild;
  const find = (selector) => panel.querySelector(selector);
  const heading = find("h2");
  heading.textContent = name;
  heading.id = user;
  panel.setAttribute("aria-labelledby", user);
  find(".list").setAttribute("aria-label", `Notifications of ${name}`);
  find(".switch").setAttribute("aria-label", `Network of ${name}`);
  document.getElementById("users").append(panel);

  const cable = new Cable();
  const hermes = new Hermes({
    url,
    token: () => token(user),
    tabs: false, // both are on this page
    WebSocket: cable.WebSocket,
  });
  hermes.on("*", (data, notification) => {
    find(".list").prepend(entry(data, notification));
    toast(find(".toasts"), summary(data));
  });
  hermes.onHistoryGone(() => toast(find(".toasts"), "History is gone: load the page anew."));
  const showState = () => {
    const { status, error } = hermes.state.getSnapshot();
    const state = find(".state");
    state.dataset.status = status;
    state.textContent = status === "closed" && error ? `${STATES.closed}: ${error.message}` : STATES[status];
  };
  hermes.state.subscribe(showState);
  showState();

  find(".switch").addEventListener("click", ({ currentTarget }) => {
    const isOn = currentTarget.getAttribute("aria-checked") === "true";
    currentTarget.setAttribute("aria-checked", String(!isOn));
    if (isOn) cable.cut();
    else cable.mend();
  });

  let unsent = 0;
  find(".say").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const sent = hermes.send({ type: "message", text: new FormData(form).get("text") });
    form.reset();
    const outcome = find(".say .outcome");
    unsent += 1;
    outcome.textContent = `${unsent} on the way`;
    try {
      await sent;
      unsent -= 1;
      outcome.textContent = unsent ? `${unsent} on the way` : "Sent.";
    } catch (error) {
      unsent -= 1;
      outcome.textContent = `Not sent: ${error.message}`;
    }
  });
}

async function token(user) {
  const answer = await fetch(`hermes-token?user=${user}`);
  if (answer.status === 403) throw new HermesError("the token is refused", { retry: false });
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  return answer.text();
}

const summary = (data) => (data?.text === undefined ? JSON.stringify(data) : `${data.type}: ${data.text}`);

function entry(data, { user_id, sent_at, to, offset }) {
  const item = document.createElement("li");
  const details = document.createElement("small");
  const time = new Date(sent_at).toLocaleTimeString();
  details.textContent = [time, `from ${user_id}`, to && `for ${to}`, offset && `no. ${offset}`]
    .filter(Boolean)
    .join(" · ");
  item.append(summary(data), details);
  return item;
}

function toast(toasts, text) {
  const toast = document.createElement("p");
  toast.className = "toast";
  toast.textContent = text;
  toasts.append(toast);
  while (toasts.children.length > 2) toasts.firstChild.remove();
  setTimeout(() => toast.remove(), TOAST);
}
