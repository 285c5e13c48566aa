// Runs the Vercel AI SDK over its Anthropic provider, which reads every event by a strict schema, through a tool loop and
// structured output; prints what happened as one JSON object. Usage: node ai_sdk_anthropic.mjs BASE_URL KEY PROMPT
import { createAnthropic } from "@ai-sdk/anthropic";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, apiKey, prompt] = process.argv.slice(2);
const model = createAnthropic({ baseURL, apiKey })("auto");
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

async function whole() {
  const { calls, tools } = toolbox();
  const told = await generateText({ model, tools, prompt, stopWhen: stepCountIs(5), maxRetries: 0 });
  return { final: told.text, calls, rounds: told.steps.length, reasons: told.steps.map((step) => step.finishReason) };
}

async function streamed() {
  const { calls, tools } = toolbox();
  const told = streamText({ model, tools, prompt, stopWhen: stepCountIs(5), maxRetries: 0 });
  for await (const part of told.fullStream) if (part.type === "error") throw part.error;
  const steps = await told.steps;
  return { final: await told.text, calls, rounds: steps.length, reasons: steps.map((step) => step.finishReason) };
}

async function structured() {
  const question = { model, output: Output.object({ schema: shape }), prompt: "What is the forecast?", maxRetries: 0 };
  return (await generateText(question)).output;
}

console.log(JSON.stringify({ whole: await whole(), streamed: await streamed(), structured: await structured() }));
