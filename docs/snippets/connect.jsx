import { Hermes } from "hermes-notifications";
import { useEffect, useState, useSyncExternalStore } from "react";

const hermes = new Hermes({
  url: "wss://abc123.execute-api.eu-west-1.amazonaws.com/dev",
  token: async () => (await fetch("/hermes-token")).text(),
});

export function Backups() {
  const { status } = useSyncExternalStore(hermes.state.subscribe, hermes.state.getSnapshot);
  const [backups, setBackups] = useState([]);
  useEffect(() => hermes.on("backup.finished", (data) => setBackups((all) => [...all, data])), []);
  return (
    <section>
      <p role="status">{status}</p>
      <ul>
        {backups.map((backup, index) => (
          <li key={index}>Backup finished: {backup.size} bytes</li>
        ))}
      </ul>
    </section>
  );
}
