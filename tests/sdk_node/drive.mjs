// OpenAI's client for Node.js against a gateway. Says on standard output, as JSON, what it got.
//
//     node drive.mjs BASE_URL API_KEY CASE

import { readFile } from "node:fs/promises";

import OpenAI, { toFile } from "openai";

const [baseURL, apiKey, name] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const model = "small";
const messages = [{ role: "user", content: "Hi" }];

const all = async (stream) => {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
};
const recording = async () => toFile(await readFile(process.env.RECORDING), "meeting.wav");

const cases = {
  chat: async () => {
    const answer = await client.chat.completions.create({ model, messages });
    return { text: answer.choices[0].message.content, tokens: answer.usage.prompt_tokens, id: answer._request_id };
  },
  chat_stream: async () => {
    const chunks = await all(
      await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } }),
    );
    return {
      text: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""),
      tokens: chunks.at(-1).usage.completion_tokens,
    };
  },
  responses: async () => {
    const answer = await client.responses.create({ model, input: "Hi" });
    return { text: answer.output_text, tokens: answer.usage.output_tokens };
  },
  responses_stream: async () => {
    const events = await all(await client.responses.create({ model, input: "Hi", stream: true }));
    return { types: events.map((event) => event.type), tokens: events.at(-1).response.usage.output_tokens };
  },
  embeddings: async () => {
    const answer = await client.embeddings.create({ model, input: "Hi", encoding_format: "float" });
    return { vector: answer.data[0].embedding };
  },
  models: async () => ({ ids: (await all(await client.models.list())).map((found) => found.id) }),
  transcription: async () => {
    const answer = await client.audio.transcriptions.create({ model, file: await recording() });
    return { text: answer.text, seconds: answer.usage.seconds };
  },
  transcription_stream: async () => {
    const events = await all(
      await client.audio.transcriptions.create({ model, file: await recording(), stream: true }),
    );
    return { text: events.at(-1).text, tokens: events.at(-1).usage.input_tokens };
  },
  translation: async () => {
    const answer = await client.audio.translations.create({ model, file: await recording() });
    return { text: answer.text };
  },
  speech: async () => {
    const answer = await client.audio.speech.create({ model, voice: "alloy", input: "안녕" });
    const sound = Buffer.from(await answer.arrayBuffer());
    return { bytes: sound.length, type: answer.headers.get("content-type") };
  },
  images: async () => {
    const answer = await client.images.generate({ model, prompt: "a field", n: 2 });
    return { pictures: answer.data.length };
  },
  moderation: async () => {
    const answer = await client.moderations.create({ model, input: "kind words" });
    return { flagged: answer.results[0].flagged };
  },
  refusal: async () => {
    try {
      await client.chat.completions.create({ model: "gpt-9", messages });
    } catch (error) {
      return { exception: error.constructor.name, status: error.status, code: error.code, param: error.param };
    }
  },
};

console.log(JSON.stringify(await cases[name]()));
