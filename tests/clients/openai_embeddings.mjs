// Runs the official OpenAI SDK for JavaScript through its embeddings, and prints what it heard as one JSON object.
// Usage: node openai_embeddings.mjs BASE_URL KEY PROMPT
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const asked = { model: "text-embedding-3-small", dimensions: 4 };

async function vectors(fields) {
  const made = await client.embeddings.create({ ...asked, input: ["a", "b"], ...fields });
  return made.data.map((item) => item.embedding);
}

async function failure(fields) {
  try {
    await vectors(fields);
    return null;
  } catch (error) {
    return { name: error.constructor.name, status: error.status, param: error.param };
  }
}

console.log(JSON.stringify({
  unsaid: await vectors({}),
  float: await vectors({ encoding_format: "float" }),
  base64: await vectors({ encoding_format: "base64" }),
  tokens: await vectors({ input: [[1, 2], [3]] }),
  refused: await failure({ input: ["a", ""] }),
}));
