// Runs Google's SDK for JavaScript against the gateway: whole and streamed answers, a loop of functions, failures;
// prints what happened as one JSON object.
// Usage: node google_genai.mjs BASE_URL KEY PROMPT
import { GoogleGenAI } from "@google/genai";

const [base, apiKey, prompt] = process.argv.slice(2);
const client = (key) => new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: base.replace(/\/v1$/, "") } });
const sdk = client(apiKey);
const model = "auto";
const parametersJsonSchema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const functionDeclarations = ["get_weather", "get_time"].map((name) => ({ name, description: `Is ${name}.`, parametersJsonSchema }));
const answers = { get_weather: "Sunny", get_time: "Noon" };
const late = 'loopback: {"text": "Words that will not all arrive", "delay_ms": 20, "error_after_chars": 8}';

const ways = {
  async whole(request) {
    const answer = await sdk.models.generateContent({ model, ...request });
    return answer.candidates[0].content.parts;
  },
  async streamed(request) {
    const parts = [];
    for await (const chunk of await sdk.models.generateContentStream({ model, ...request }))
      parts.push(...chunk.candidates[0].content.parts);
    return parts;
  },
};

function text(parts) {
  return parts.map((part) => part.text ?? "").join("");
}

async function loop(ask) {
  const calls = [];
  const contents = [{ role: "user", parts: [{ text: prompt }] }];
  for (let round = 1; round < 6; round++) {
    const parts = await ask({ contents, config: { tools: [{ functionDeclarations }] } });
    const called = parts.filter((part) => part.functionCall).map((part) => part.functionCall);
    if (!called.length) return { final: text(parts), calls, rounds: round };
    contents.push({ role: "model", parts });
    const responses = called.map(({ id, name, args }) => {
      calls.push([name, args.city]);
      return { functionResponse: { id, name, response: { output: `${answers[name]} in ${args.city}` } } };
    });
    contents.push({ role: "user", parts: responses });
  }
  throw new Error("the loop has no end");
}

async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { name: error.constructor.name, status: error.status ?? null, told: error.message };
  }
}

const said = { contents: "Say this is a test!" };
const heard = {
  count: (await sdk.models.countTokens({ model, ...said })).totalTokens,
  key: await failure(() => client("wrong").models.generateContent({ model, ...said })),
  late: await failure(() => ways.streamed({ contents: late })),
};
for (const [name, ask] of Object.entries(ways)) heard[name] = { text: text(await ask(said)), loop: await loop(ask) };
console.log(JSON.stringify(heard));
