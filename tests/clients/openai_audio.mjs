// Runs the official OpenAI SDK for JavaScript through its audio calls, and prints what it heard as one JSON object.
// Usage: node openai_audio.mjs BASE_URL KEY
import OpenAI, { toFile } from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const words = { model: "whisper-1" };
const recording = () => toFile(Buffer.from("Say bom dia"), "a.mp3", { type: "audio/mpeg" });
const said = (fields) => ({ model: "tts-1", voice: "alloy", input: "The quick brown fox.", ...fields });
const slow = 'loopback: {"speech": {"delay_ms": 20}}';
const cut = 'loopback: {"speech": {"cut_after_bytes": 5000}}';

async function speech() {
  const answer = await client.audio.speech.create(said());
  const sound = Buffer.from(await answer.arrayBuffer());
  return { type: answer.headers.get("content-type"), bytes: sound.length, start: sound.subarray(0, 4).toString("hex") };
}

async function streamed() {
  const answer = await client.audio.speech.create(said({ input: slow, response_format: "opus" }));
  let pieces = 0, bytes = 0;
  for await (const piece of answer.body) (pieces += 1), (bytes += piece.length);
  return { type: answer.headers.get("content-type"), pieces, bytes };
}

async function events() {
  const answer = await client.audio.speech.create(said({ stream_format: "sse" }));
  const lines = (await answer.text()).split("\n").filter((line) => line.startsWith("data: "));
  const told = lines.map((line) => JSON.parse(line.slice(6)));
  const sound = Buffer.concat(told.filter((event) => event.audio).map((event) => Buffer.from(event.audio, "base64")));
  return { bytes: sound.length, last: told.at(-1).type };
}

async function transcripts() {
  const file = await recording();
  const stream = await client.audio.transcriptions.create({ ...words, file: await recording(), stream: true });
  const heard = [];
  for await (const event of stream) heard.push([event.type, event.delta ?? event.text]);
  return {
    json: (await client.audio.transcriptions.create({ ...words, file })).text,
    text: await client.audio.transcriptions.create({ ...words, file: await recording(), response_format: "text" }),
    verbose: await client.audio.transcriptions.create({ ...words, file: await recording(), response_format: "verbose_json" }),
    stream: heard,
    translation: (await client.audio.translations.create({ ...words, file: await recording() })).text,
  };
}

async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { name: error.constructor.name, status: error.status ?? null, code: error.code ?? null, param: error.param ?? null };
  }
}

console.log(JSON.stringify({
  speech: await speech(),
  streamed: await streamed(),
  events: await events(),
  transcripts: await transcripts(),
  errors: {
    voice: await failure(() => client.audio.speech.create(said({ voice: "nobody" }))),
    cut: await failure(async () => (await client.audio.speech.create(said({ input: cut }))).arrayBuffer()),
    format: await failure(async () =>
      client.audio.transcriptions.create({ ...words, file: await recording(), response_format: "srt" })),
    empty: await failure(async () =>
      client.audio.transcriptions.create({ ...words, file: await toFile(Buffer.from(""), "a.mp3") })),
  },
}));
