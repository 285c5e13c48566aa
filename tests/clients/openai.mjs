// Runs the official OpenAI SDK for JavaScript through its ways to chat, and prints what it heard as one JSON object.
// Usage: node openai.mjs BASE_URL KEY
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const ask = (content) => ({ model: "auto", messages: [{ role: "user", content }] });
const test = ask("Say this is a test!");
const cut = ask('loopback: {"text": "Words that will not all arrive", "delay_ms": 20, "error_after_chars": 8}');

async function whole() {
  const completion = await client.chat.completions.create(test);
  const { message, finish_reason } = completion.choices[0];
  return { content: message.content, finish_reason, usage: completion.usage };
}

async function stream() {
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ ...test, stream: true })) chunks.push(chunk);
  return {
    role: chunks[0].choices[0].delta.role,
    content: chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""),
    finish_reasons: chunks.map((chunk) => chunk.choices[0].finish_reason).filter(Boolean),
  };
}

async function helper() {
  const runner = client.chat.completions.stream({ ...test, stream_options: { include_usage: true } });
  let heard = "";
  runner.on("content", (delta) => (heard += delta));
  const completion = await runner.finalChatCompletion();
  return { heard, content: completion.choices[0].message.content, usage: completion.usage };
}

async function models() {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  const one = await client.models.retrieve(ids[0]);
  return { ids, retrieved: one.id };
}

async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { name: error.constructor.name, status: error.status ?? null, code: error.code ?? null,
      param: error.param ?? null, type: error.type ?? null, message: error.message };
  }
}

async function read(stream) {
  for await (const _ of stream);
}

const stranger = new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 });
console.log(JSON.stringify({
  whole: await whole(),
  stream: await stream(),
  helper: await helper(),
  models: await models(),
  errors: {
    key: await failure(() => stranger.chat.completions.create(test)),
    choices: await failure(() => client.chat.completions.create({ ...test, n: 2 })),
    role: await failure(() => client.chat.completions.create({ model: "auto", messages: [{ role: "queen", content: "" }] })),
    model: await failure(() => client.models.retrieve("no-such-model")),
    late: await failure(async () => read(await client.chat.completions.create({ ...cut, stream: true }))),
    late_helper: await failure(() => client.chat.completions.stream(cut).finalChatCompletion()),
  },
}));
