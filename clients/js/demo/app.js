import { showUser } from "./user.js";

const { url, room } = await (await fetch("demo.json")).json();

document.getElementById("room").textContent = room;
for (const user of ["alice", "bob"]) showUser(user, url);

document.getElementById("backend").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const outcome = form.querySelector(".outcome");
  const { type, text, to } = Object.fromEntries(new FormData(form));
  const message = { data: { type, text }, ...(to && { to }) };
  try {
    const answer = await fetch("messages", { method: "POST", body: JSON.stringify(message) });
    outcome.textContent = answer.ok ? "It is on the queue." : `The queue refused it: ${answer.status}`;
  } catch {
    outcome.textContent = "The page's server does not answer.";
  }
});
