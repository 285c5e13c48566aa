// Runs the official OpenAI SDK for JavaScript through the Responses API: whole, raw events and its stream helper, with
// a text, a loop of tools and failures; prints what happened as one JSON object.
// Usage: node openai_responses.mjs BASE_URL KEY PROMPT
import OpenAI from "openai";

const [baseURL, apiKey, prompt] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const model = "auto";
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = ["get_weather", "get_time"].map((name) => ({
  type: "function", name, description: `Is ${name}.`, parameters, strict: false,
}));
const answers = { get_weather: "Sunny", get_time: "Noon" };

const ways = {
  async whole(request) {
    return client.responses.create({ model, ...request });
  },
  async raw(request) {
    let ended;
    for await (const event of await client.responses.create({ model, ...request, stream: true })) {
      if (event.type === "response.completed") ended = event.response;
    }
    const texts = ended.output.filter((item) => item.type === "message").flatMap((item) => item.content);
    return { ...ended, output_text: texts.map((part) => part.text).join("") };
  },
  async helper(request) {
    const runner = client.responses.stream({ model, ...request });
    let heard = "";
    runner.on("response.output_text.delta", (event) => (heard += event.delta));
    const response = await runner.finalResponse();
    if (response.output_text !== heard) throw new Error(`heard ${heard}, but the end says ${response.output_text}`);
    return response;
  },
};

async function loop(ask) {
  const calls = [];
  let input = [{ role: "user", content: prompt }];
  for (let round = 1; round < 6; round++) {
    const response = await ask({ input, tools, store: false });
    const asked = response.output.filter((item) => item.type === "function_call");
    if (!asked.length) return { final: response.output_text, calls, rounds: round };
    const outputs = asked.map(({ call_id, name, arguments: given }) => {
      const { city } = JSON.parse(given);
      calls.push([name, city]);
      return { type: "function_call_output", call_id, output: `${answers[name]} in ${city}` };
    });
    input = [...input, ...response.output, ...outputs];
  }
  throw new Error("the loop has no end");
}

async function followed(ask) {
  const begun = await ask({ input: "Say one" });
  const gone_on = await ask({ input: "Say two", previous_response_id: begun.id });
  return [begun.output_text, gone_on.output_text];
}

async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { name: error.constructor.name, status: error.status ?? null, code: error.code ?? null, message: error.message };
  }
}

async function late() {
  const cut = 'loopback: {"text": "Words that will not all arrive", "delay_ms": 20, "error_after_chars": 8}';
  const kinds = [];
  for await (const event of await client.responses.create({ model, input: cut, stream: true })) kinds.push(event.type);
  return kinds.at(-1);
}

const heard = { late: await late() };
for (const [name, ask] of Object.entries(ways)) {
  heard[name] = {
    text: (await ask({ input: "Say this is a test!", instructions: "Be brief." })).output_text,
    loop: await loop(ask),
    followed: await followed(ask),
    refused: await failure(() => ask({ input: "Go", previous_response_id: "resp_odd" })),
  };
}
console.log(JSON.stringify(heard));
