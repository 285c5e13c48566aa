// Runs the official OpenAI SDK for JavaScript through agent loops, and prints what happened as one JSON object.
// Usage: node tools.mjs BASE_URL KEY PROMPT
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [baseURL, apiKey, prompt] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const question = { model: "auto", messages: [{ role: "user", content: prompt }] };
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

// The tools note what they were called with, in order.
function toolbox() {
  const calls = [];
  const tool = (name, answer) => ({
    type: "function",
    function: {
      name,
      description: `Is ${name}.`,
      parameters: city,
      parse: JSON.parse,
      function: (given) => {
        calls.push([name, given.city]);
        return `${answer} in ${given.city}`;
      },
    },
  });
  return { calls, tools: [tool("get_weather", "Sunny"), tool("get_time", "Noon")] };
}

async function runner(stream) {
  const { calls, tools } = toolbox();
  const run = client.chat.completions.runTools({ ...question, tools, stream });
  let heard = "";
  if (stream) run.on("content", (delta) => (heard += delta));
  return { final: await run.finalContent(), calls, rounds: run.allChatCompletions().length, heard };
}

async function byHand(stream) {
  const { calls, tools } = toolbox();
  const offered = tools.map(({ type, function: { name, description, parameters } }) =>
    ({ type, function: { name, description, parameters } }));
  const messages = [...question.messages];
  for (let rounds = 1; ; rounds++) {
    const request = { model: "auto", messages, tools: offered };
    const { message, finish_reason } = stream
      ? await joined(await client.chat.completions.create({ ...request, stream: true }))
      : (await client.chat.completions.create(request)).choices[0];
    if (finish_reason !== "tool_calls") return { final: message.content, calls, rounds, finish_reason };
    messages.push(message);
    for (const call of message.tool_calls) {
      const { parse, function: run } = tools.find((tool) => tool.function.name === call.function.name).function;
      messages.push({ role: "tool", tool_call_id: call.id, content: run(parse(call.function.arguments)) });
    }
  }
}

// What the documentation of the API tells a client to do with deltas.
async function joined(stream) {
  const message = { role: "assistant", content: "", tool_calls: [] };
  let finish_reason = null;
  for await (const { choices: [choice] } of stream) {
    message.content += choice.delta.content ?? "";
    for (const { index, ...call } of choice.delta.tool_calls ?? []) {
      if (message.tool_calls[index]) message.tool_calls[index].function.arguments += call.function.arguments;
      else message.tool_calls[index] = call;
    }
    finish_reason = choice.finish_reason ?? finish_reason;
  }
  if (!message.tool_calls.length) delete message.tool_calls;
  return { message, finish_reason };
}

async function parsed(stream) {
  const shape = z.object({ name: z.string(), sky: z.enum(["clear", "grey"]), degrees: z.array(z.number()) });
  const request = { model: "auto", messages: [{ role: "user", content: "What is the forecast?" }] };
  request.response_format = zodResponseFormat(shape, "forecast");
  const completion = stream
    ? await client.chat.completions.stream(request).finalChatCompletion()
    : await client.chat.completions.parse(request);
  return completion.choices[0].message.parsed;
}

console.log(JSON.stringify({
  runner: await runner(false),
  streamed_runner: await runner(true),
  by_hand: await byHand(false),
  streamed_by_hand: await byHand(true),
  parsed: await parsed(false),
  streamed_parsed: await parsed(true),
}));
