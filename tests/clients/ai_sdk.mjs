// Runs the Vercel AI SDK through its tool loop and its structured output, over both providers that speak Chat
// Completions, and prints what happened as one JSON object. Usage: node ai_sdk.mjs BASE_URL KEY PROMPT
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, apiKey, prompt] = process.argv.slice(2);
const models = {
  openai: createOpenAI({ baseURL, apiKey }).chat("auto"),
  compatible: createOpenAICompatible({
    name: "isthmus", baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true,
  })("auto"),
};
const shape = z.object({ name: z.string(), sky: z.enum(["clear", "grey"]), degrees: z.array(z.number()) });

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

async function whole(model) {
  const { calls, tools } = toolbox();
  const told = await generateText({ model, tools, prompt, stopWhen: stepCountIs(5), maxRetries: 0 });
  return { final: told.text, calls, rounds: told.steps.length, reasons: told.steps.map((step) => step.finishReason) };
}

async function streamed(model) {
  const { calls, tools } = toolbox();
  const parts = [];
  const told = streamText({ model, tools, prompt, stopWhen: stepCountIs(5), maxRetries: 0 });
  for await (const part of told.fullStream) {
    if (part.type === "error") throw part.error;
    parts.push(part.type);
  }
  const steps = await told.steps;
  const inputs = parts.filter((kind) => kind === "tool-input-delta").length;
  return { final: await told.text, calls, rounds: steps.length, reasons: steps.map((step) => step.finishReason), inputs };
}

async function structured(model) {
  const question = { model, output: Output.object({ schema: shape }), prompt: "What is the forecast?", maxRetries: 0 };
  const told = streamText(question);
  let partials = 0;
  for await (const _ of told.partialOutputStream) partials++;
  return { whole: (await generateText(question)).output, streamed: await told.output, partials };
}

async function forced(model) {
  const { calls, tools } = toolbox();
  const question = { model, tools, prompt: "Go", toolChoice: { type: "tool", toolName: "get_time" }, maxRetries: 0 };
  await generateText(question);
  return calls;
}

const heard = {};
for (const [name, model] of Object.entries(models)) {
  heard[name] = {
    whole: await whole(model),
    streamed: await streamed(model),
    structured: await structured(model),
    forced: await forced(model),
  };
}
console.log(JSON.stringify(heard));
