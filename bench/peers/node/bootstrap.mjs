// The runtime client: what Lambda's own Node.js runtime does. It loads the handler that _HANDLER names below
// LAMBDA_TASK_ROOT, then asks for an event, calls the handler, and posts its answer, for ever.
import { Agent, request } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const sent = request({ agent, host, port, method, path: `/2018-06-01/runtime${path}`, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, text: Buffer.concat(chunks).toString() }));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const [file, name] = process.env._HANDLER.split(".");
const { [name]: handler } = await import(pathToFileURL(join(process.env.LAMBDA_TASK_ROOT, `${file}.mjs`)).href);

for (;;) {
  const { headers, text } = await call("GET", "/invocation/next");
  const id = headers["lambda-runtime-aws-request-id"];
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  try {
    const context = { awsRequestId: id, getRemainingTimeInMillis: () => deadline - Date.now() };
    const answer = await handler(JSON.parse(text), context);
    await call("POST", `/invocation/${id}/response`, JSON.stringify(answer ?? null));
  } catch (error) {
    const report = { errorType: error?.name ?? "Error", errorMessage: error?.message ?? String(error) };
    await call("POST", `/invocation/${id}/error`, JSON.stringify(report));
  }
}
