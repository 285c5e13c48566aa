// Runs Anthropic's SDK for JavaScript through the Messages API: whole, raw events and its stream helper, with a text, a
// loop of tools, a count and failures; prints what happened as one JSON object.
// Usage: node anthropic.mjs BASE_URL KEY PROMPT
import Anthropic from "@anthropic-ai/sdk";

const [base, apiKey, prompt] = process.argv.slice(2);
const baseURL = base.replace(/\/v1$/, "");
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const shared = { model: "auto", max_tokens: 1000 };
const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = ["get_weather", "get_time"].map((name) => ({ name, description: `Is ${name}.`, input_schema }));
const answers = { get_weather: "Sunny", get_time: "Noon" };

const ways = {
  async whole(request) {
    return client.messages.create({ ...shared, ...request });
  },
  async helper(request) {
    const runner = client.messages.stream({ ...shared, ...request });
    let heard = "";
    runner.on("text", (delta) => (heard += delta));
    const message = await runner.finalMessage();
    if (text(message) !== heard) throw new Error(`heard ${heard}, but the end says ${text(message)}`);
    return message;
  },
};

function text(message) {
  return message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
}

async function loop(ask) {
  const calls = [];
  const messages = [{ role: "user", content: prompt }];
  for (let round = 1; round < 6; round++) {
    const message = await ask({ messages, tools });
    if (message.stop_reason !== "tool_use") return { final: text(message), calls, rounds: round };
    const content = message.content.filter((block) => block.type === "tool_use").map(({ id, name, input }) => {
      calls.push([name, input.city]);
      return { type: "tool_result", tool_use_id: id, content: `${answers[name]} in ${input.city}` };
    });
    messages.push({ role: "assistant", content: message.content }, { role: "user", content });
  }
  throw new Error("the loop has no end");
}

async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { name: error.constructor.name, status: error.status ?? null, type: error.type ?? null };
  }
}

async function late() {
  const content = 'loopback: {"text": "Words that will not all arrive", "delay_ms": 20, "error_after_chars": 8}';
  await client.messages.stream({ ...shared, messages: [{ role: "user", content }] }).finalMessage();
}

async function models() {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  return ids;
}

const test = [{ role: "user", content: "Say this is a test!" }];
const heard = {
  count: (await client.messages.countTokens({ model: "auto", messages: test, tools })).input_tokens,
  models: await models(),
  late: await failure(late),
  key: await failure(() => new Anthropic({ baseURL, apiKey: "sk-wrong", maxRetries: 0 }).messages.create({ ...shared, messages: test })),
};
for (const [name, ask] of Object.entries(ways)) {
  const message = await ask({ messages: test });
  heard[name] = { text: text(message), usage: message.usage, loop: await loop(ask) };
}
console.log(JSON.stringify(heard));
