// Makes pictures with the official OpenAI SDK for JavaScript, and prints what came as one JSON object.
// Usage: node openai_media.mjs BASE_URL KEY
import OpenAI, { toFile } from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const model = "gpt-image-2";
const prompt = "A heron";
const refused = 'loopback: {"image": {"refuse": "I can\'t draw that."}}';
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==", "base64");
const picture = (name) => toFile(PNG, name, { type: "image/png" });
const isPng = (text) => Buffer.from(text ?? "", "base64").subarray(1, 4).toString() === "PNG";
const pngs = (answer) => answer.data.map((item) => isPng(item.b64_json));

async function link() {
  const answer = await client.images.generate({ model, prompt, response_format: "url" });
  const fetched = await fetch(answer.data[0].url);
  return { type: fetched.headers.get("content-type"), png: isPng(Buffer.from(await fetched.arrayBuffer()).toString("base64")) };
}

async function events(stream) {
  const told = [];
  for await (const event of await stream) told.push([event.type, isPng(event.b64_json)]);
  return told;
}

async function response() {
  const answer = await client.responses.create({ model: "auto", input: prompt, tools: [{ type: "image_generation" }] });
  return answer.output.filter((item) => item.type === "image_generation_call").map((item) => isPng(item.result));
}

async function chat() {
  const body = { model: "auto", messages: [{ role: "user", content: prompt }], function_image_gen: true };
  const answer = await client.chat.completions.create(body);
  return answer.choices[0].message.images.map((image) => isPng(image.image_url.url.split(",")[1]));
}

async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return [error.constructor.name, error.code ?? null, error.message];
  }
}

console.log(JSON.stringify({
  generate: pngs(await client.images.generate({ model, prompt, n: 2 })),
  edit: pngs(await client.images.edit({ model, prompt, image: [await picture("a.png"), await picture("b.png")] })),
  variation: pngs(await client.images.createVariation({ image: await picture("a.png") })),
  link: await link(),
  stream: await events(client.images.generate({ model, prompt, stream: true })),
  edited: await events(client.images.edit({ model, prompt, image: await picture("a.png"), stream: true })),
  response: await response(),
  chat: await chat(),
  refused: await failure(() => client.images.generate({ model, prompt: refused })),
  refused_stream: await failure(() => events(client.images.generate({ model, prompt: refused, stream: true }))),
}));
