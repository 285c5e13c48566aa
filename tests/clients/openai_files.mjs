// Puts files in and asks about them with the official OpenAI SDK for JavaScript; prints what came as one JSON object.
// Usage: node openai_files.mjs BASE_URL KEY
import OpenAI, { toFile } from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const model = "auto";
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==", "base64");
const url = `data:image/png;base64,${PNG.toString("base64")}`;
const text = "What is this?";

async function failure(call) {
  try {
    await call();
  } catch (error) {
    return { kind: error.constructor.name, code: error.code, param: error.param };
  }
}

async function files() {
  const file = await client.files.create({ file: await toFile(PNG, "cat.png"), purpose: "vision" });
  const again = await client.files.retrieve(file.id);
  const content = Buffer.from(await (await client.files.content(file.id)).arrayBuffer());
  const deleted = await client.files.delete(file.id);
  return {
    name: again.filename,
    bytes: again.bytes,
    same: content.equals(PNG),
    deleted: deleted.deleted,
    gone: await failure(() => client.files.retrieve(file.id)),
    listed: (await client.files.list()).data,
  };
}

async function chat() {
  const content = [{ type: "text", text }, { type: "image_url", image_url: { url } }];
  const answer = await client.chat.completions.create({ model, messages: [{ role: "user", content }] });
  return answer.choices[0].message.content;
}

async function response() {
  const notes = await client.files.create({ file: await toFile(Buffer.from("hello"), "notes.txt"), purpose: "user_data" });
  const content = [
    { type: "input_text", text },
    { type: "input_image", image_url: url, detail: "auto" },
    { type: "input_file", file_id: notes.id },
  ];
  return (await client.responses.create({ model, input: [{ role: "user", content }] })).output_text;
}

const foreign = [{ role: "user", content: [{ type: "input_file", file_id: "file-abc" }] }];
console.log(JSON.stringify({
  files: await files(),
  chat: await chat(),
  response: await response(),
  foreign: await failure(() => client.responses.create({ model, input: foreign })),
}));
