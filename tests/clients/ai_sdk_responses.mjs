// Runs the Vercel AI SDK over the Responses API, which it checks event by event: a text, its loop of tools, structured
// output and a forced tool; prints what happened as one JSON object.
// Usage: node ai_sdk_responses.mjs BASE_URL KEY PROMPT
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, apiKey, prompt] = process.argv.slice(2);
const model = createOpenAI({ baseURL, apiKey }).responses("auto");
const shape = z.object({ name: z.string(), sky: z.enum(["clear", "grey"]), degrees: z.array(z.number()) });
const search = 'loopback: {"text": "Two seas.", "reasoning": "Counting.", "tool_message": "search"}';
const stateless = { openai: { store: false } };
const kept = {};

// The tools note what they were called with, in order.
function toolbox() {
  const calls = [];
  const made = (name, answer) => tool({
    description: `Is ${name}.`,
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      calls.push([name, city]);
      return `${answer} in ${city}`;
    },
  });
  return { calls, tools: { get_weather: made("get_weather", "Sunny"), get_time: made("get_time", "Noon") } };
}

function question(tools, providerOptions) {
  return { model, tools, prompt, stopWhen: stepCountIs(5), maxRetries: 0, providerOptions };
}

async function whole(options) {
  const { calls, tools } = toolbox();
  const told = await generateText(question(tools, options));
  return { final: told.text, calls, reasons: told.steps.map((step) => step.finishReason) };
}

async function streamed(options) {
  const { calls, tools } = toolbox();
  const told = streamText(question(tools, options));
  for await (const part of told.fullStream) {
    if (part.type === "error") throw part.error;
  }
  const steps = await told.steps;
  return { final: await told.text, calls, reasons: steps.map((step) => step.finishReason) };
}

async function sourced() {
  const parts = [];
  const told = streamText({ model, prompt: search, maxRetries: 0 });
  for await (const part of told.fullStream) {
    if (part.type === "error") throw part.error;
    parts.push(part);
  }
  const sources = parts.filter((part) => part.type === "source").map((part) => part.url);
  const thought = parts.filter((part) => part.type === "reasoning-delta").map((part) => part.text).join("");
  return { text: await told.text, sources, thought };
}

async function structured() {
  const asked = { model, output: Output.object({ schema: shape }), prompt: "What is the forecast?", maxRetries: 0 };
  return (await generateText(asked)).output;
}

async function forced() {
  const { calls, tools } = toolbox();
  const toolChoice = { type: "tool", toolName: "get_time" };
  await generateText({ model, tools, prompt: "Go", toolChoice, maxRetries: 0 });
  return calls;
}

async function text() {
  return (await generateText({ model, prompt: "Say this is a test!", maxRetries: 0 })).text;
}

// What was said before, the SDK names by the ids of its items, unless store is false.
async function conversation() {
  const messages = [{ role: "user", content: search }];
  const first = await generateText({ model, messages, maxRetries: 0 });
  messages.push(...first.response.messages, { role: "user", content: "Say more" });
  return (await generateText({ model, messages, maxRetries: 0 })).text;
}

const heard = { conversation: await conversation() };
for (const way of [text, sourced, structured, forced]) heard[way.name] = await way();
for (const way of [whole, streamed]) {
  heard[way.name] = { stateless: await way(stateless), kept: await way(kept) };
}
console.log(JSON.stringify(heard));
