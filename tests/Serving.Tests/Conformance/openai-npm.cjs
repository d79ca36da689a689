// The official npm package against a running server: node openai-npm.cjs PACKAGE URL KEY. One line of JSON for each check.
'use strict';
const assert = require('node:assert/strict');
const [, , packagePath, baseURL, apiKey] = process.argv;
const OpenAI = require(packagePath);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const model = 'model';
const hello = [{ role: 'user', content: 'Hi' }];
const chat = { model, messages: hello, temperature: 0, max_tokens: 16, ignore_eos: true };
const schema = { type: 'object', properties: { city: { type: 'string', maxLength: 8 }, size: { enum: ['small', 'large'] } }, required: ['city', 'size'], additionalProperties: false };
const tools = [{ type: 'function', function: { name: 'weather', parameters: schema } }];
const calling = { model, messages: hello, temperature: 0, tools, tool_choice: 'required', parallel_tool_calls: false };

const all = async stream => { const parts = []; for await (const part of stream) parts.push(part); return parts; };
const text = chunks => chunks.map(c => c.choices[0]?.delta?.content ?? '').join('');
const refused = async (promise, type, more = {}) => {
  const error = await promise.then(() => assert.fail('it was not refused'), e => e);
  assert.ok(error instanceof type, `${error?.constructor?.name}: ${error?.message}`);
  for (const [key, value] of Object.entries(more)) assert.equal(error[key], value, `${key} of ${error.message}`);
  return error;
};

const checks = {
  'models.list': async () => assert.deepEqual((await client.models.list()).data.map(m => m.id), ['model', 'tuned']),
  'models.list iterates': async () => assert.equal((await all(client.models.list())).length, 2),
  'models.retrieve': async () => assert.equal((await client.models.retrieve('tuned')).object, 'model'),
  'models.retrieve of none': () => refused(client.models.retrieve('none'), OpenAI.NotFoundError, { code: 'model_not_found' }),

  'chat has the shape of a completion': async () => {
    const c = await client.chat.completions.create(chat);
    assert.equal(c.object, 'chat.completion');
    assert.match(c.id, /^chatcmpl-/);
    assert.ok(Math.abs(c.created - Date.now() / 1000) < 100);
    assert.deepEqual([c.model, c.choices.length, c.choices[0].index, c.choices[0].message.role, c.choices[0].message.refusal, c.choices[0].logprobs], [model, 1, 0, 'assistant', null, null]);
    assert.ok(c.choices[0].message.content.length > 0);
  },
  'chat counts its tokens': async () => {
    const { usage } = await client.chat.completions.create(chat);
    assert.equal(usage.completion_tokens, 16);
    assert.equal(usage.total_tokens, usage.prompt_tokens + 16);
    assert.ok(usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens);
  },
  'chat ends by length': async () => assert.equal((await client.chat.completions.create(chat)).choices[0].finish_reason, 'length'),
  'chat takes max_completion_tokens': async () => assert.equal((await client.chat.completions.create({ ...chat, max_tokens: undefined, max_completion_tokens: 5 })).usage.completion_tokens, 5),
  'chat stops before a text': async () => {
    const whole = (await client.chat.completions.create(chat)).choices[0].message.content;
    const stop = whole.slice(4, 7);
    const cut = (await client.chat.completions.create({ ...chat, stop })).choices[0];
    assert.deepEqual([cut.message.content, cut.finish_reason], [whole.slice(0, whole.indexOf(stop)), 'stop']);
  },
  'chat stops before the first of several texts': async () => {
    const whole = (await client.chat.completions.create(chat)).choices[0].message.content;
    assert.equal((await client.chat.completions.create({ ...chat, stop: ['never there', whole.slice(2, 5)] })).choices[0].message.content, whole.slice(0, whole.indexOf(whole.slice(2, 5))));
  },
  'chat at temperature 0 repeats itself': async () => assert.equal((await client.chat.completions.create(chat)).choices[0].message.content, (await client.chat.completions.create(chat)).choices[0].message.content),
  'chat repeats itself by its seed': async () => {
    const ask = async seed => (await client.chat.completions.create({ ...chat, temperature: 1, seed })).choices[0].message.content;
    assert.equal(await ask(3), await ask(3));
    assert.notEqual(await ask(3), await ask(4));
  },
  'chat gives several answers': async () => assert.deepEqual((await client.chat.completions.create({ ...chat, n: 3, temperature: 1 })).choices.map(c => c.index), [0, 1, 2]),
  'chat gives log-probabilities': async () => {
    const { content } = (await client.chat.completions.create({ ...chat, logprobs: true, top_logprobs: 3 })).choices[0].logprobs;
    assert.ok(content.length > 0 && content.every(t => t.logprob <= 0 && t.top_logprobs.length === 3 && Array.isArray(t.bytes)));
    assert.equal(content[0].token, content[0].top_logprobs[0].token);
  },
  'chat takes biases': async () => {
    const { content } = (await client.chat.completions.create({ ...chat, logprobs: true, logit_bias: { 40: 100 } })).choices[0].logprobs;
    assert.equal(new Set(content.map(t => t.token)).size, 1);
  },
  'chat takes penalties': async () => {
    const { content } = (await client.chat.completions.create({ ...chat, logprobs: true, presence_penalty: 2, frequency_penalty: 2, logit_bias: { 40: 5 } })).choices[0].logprobs;
    assert.ok(new Set(content.map(t => t.token)).size > 4);
  },
  'chat takes a developer and parts of text': async () => assert.ok(await client.chat.completions.create({ ...chat, messages: [{ role: 'developer', content: 'Be kind.' }, { role: 'user', content: [{ type: 'text', text: 'Hi' }] }] })),
  'chat takes an adapter for a model': async () => assert.equal((await client.chat.completions.create({ ...chat, model: 'tuned' })).model, 'tuned'),
  'chat has a request id': async () => assert.ok((await client.chat.completions.create(chat))._request_id),
  'chat gives its raw response': async () => {
    const { response } = await client.chat.completions.create(chat).withResponse();
    assert.match(response.headers.get('content-type'), /^application\/json/);
  },

  'stream says what the whole says': async () => {
    const chunks = await all(await client.chat.completions.create({ ...chat, stream: true }));
    assert.equal(text(chunks), (await client.chat.completions.create(chat)).choices[0].message.content);
    assert.equal(new Set(chunks.map(c => `${c.id} ${c.created} ${c.object} ${c.model}`)).size, 1);
    assert.equal(chunks[0].choices[0].delta.role, 'assistant');
    assert.deepEqual(chunks.map(c => c.choices[0].finish_reason).filter(r => r !== null), ['length']);
    assert.ok(chunks.every(c => !c.usage));
  },
  'stream ends with its usage': async () => {
    const chunks = await all(await client.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } }));
    assert.deepEqual([chunks.at(-1).choices.length, chunks.at(-1).usage.completion_tokens], [0, 16]);
  },
  'stream of several answers': async () => {
    const chunks = await all(await client.chat.completions.create({ ...chat, stream: true, n: 2, seed: 1, temperature: 1 }));
    const whole = await client.chat.completions.create({ ...chat, n: 2, seed: 1, temperature: 1 });
    for (const i of [0, 1]) assert.equal(text(chunks.filter(c => c.choices[0].index === i)), whole.choices[i].message.content);
  },
  'stream of log-probabilities': async () => {
    const chunks = await all(await client.chat.completions.create({ ...chat, stream: true, logprobs: true }));
    const whole = await client.chat.completions.create({ ...chat, logprobs: true });
    assert.deepEqual(chunks.flatMap(c => c.choices[0].logprobs?.content.map(t => t.token) ?? []), whole.choices[0].logprobs.content.map(t => t.token));
  },
  'stream helper puts the answer together': async () => {
    const stream = client.chat.completions.stream(chat);
    assert.equal(await stream.finalContent(), (await client.chat.completions.create(chat)).choices[0].message.content);
  },
  'stream is left in the middle': async () => {
    const stream = await client.chat.completions.create({ ...chat, max_tokens: 400, stream: true });
    for await (const _ of stream) { stream.controller.abort(); break; }
    assert.ok(await client.chat.completions.create({ ...chat, max_tokens: 1 }));
  },
  'request is aborted': async () => {
    const stop = new AbortController();
    const answer = client.chat.completions.create({ ...chat, max_tokens: 400 }, { signal: stop.signal });
    setTimeout(() => stop.abort(), 20);
    await refused(answer, OpenAI.APIUserAbortError);
  },
  'request runs out of time': () => refused(client.chat.completions.create({ ...chat, max_tokens: 450 }, { timeout: 5 }), OpenAI.APIConnectionTimeoutError),

  'json_object': async () => {
    const c = await client.chat.completions.create({ ...chat, max_tokens: 300, ignore_eos: false, temperature: 0.5, seed: 3, response_format: { type: 'json_object' } });
    assert.match(c.choices[0].message.content, /^\{/);
    if (c.choices[0].finish_reason === 'stop') JSON.parse(c.choices[0].message.content);
  },
  'json_schema': async () => {
    const c = await client.chat.completions.create({ model, messages: hello, response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } } });
    const answer = JSON.parse(c.choices[0].message.content);
    assert.deepEqual(Object.keys(answer), ['city', 'size']);
    assert.ok(['small', 'large'].includes(answer.size));
  },
  'json_schema is parsed by the client': async () => {
    const c = await client.chat.completions.parse({ model, messages: hello, response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } } });
    assert.ok(c.choices[0].message);
  },
  'json_schema in a stream': async () => {
    const chunks = await all(await client.chat.completions.create({ model, messages: hello, stream: true, response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } }));
    assert.ok(JSON.parse(text(chunks)).city !== undefined);
  },
  'json_schema that is not supported': () => refused(client.chat.completions.create({ ...chat, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'array', items: { not: {type: 'null' } } } } } }), OpenAI.BadRequestError,
    { code: 'unsupported_schema', param: 'response_format.json_schema.schema.items.not', type: 'invalid_request_error' }),

  'tool that is required': async () => {
    const { message, finish_reason } = (await client.chat.completions.create(calling)).choices[0];
    assert.deepEqual([finish_reason, message.content, message.tool_calls.length, message.tool_calls[0].type, message.tool_calls[0].function.name], ['tool_calls', null, 1, 'function', 'weather']);
    assert.ok(['small', 'large'].includes(JSON.parse(message.tool_calls[0].function.arguments).size));
  },
  'tool that is named': async () => assert.equal((await client.chat.completions.create({ ...calling, tool_choice: { type: 'function', function: { name: 'weather' } } })).choices[0].message.tool_calls[0].function.name, 'weather'),
  'tool that is forbidden': async () => assert.equal((await client.chat.completions.create({ ...chat, tools, tool_choice: 'none' })).choices[0].message.tool_calls, undefined),
  'tool that may be called': async () => assert.ok((await client.chat.completions.create({ ...chat, tools })).choices[0].message),
  'tool call in a stream': async () => {
    const stream = client.chat.completions.stream(calling);
    const { tool_calls } = await stream.finalMessage();
    assert.equal(tool_calls[0].function.arguments, (await client.chat.completions.create(calling)).choices[0].message.tool_calls[0].function.arguments);
  },
  'tool result goes back': async () => {
    const { message } = (await client.chat.completions.create(calling)).choices[0];
    assert.ok(await client.chat.completions.create({ ...chat, max_tokens: 3, messages: [...hello, message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: '12 °C' }] }));
  },
  'tool that is unknown': () => refused(client.chat.completions.create({ ...calling, tool_choice: { type: 'function', function: { name: 'other' } } }), OpenAI.BadRequestError, { param: 'tool_choice' }),

  'completion': async () => {
    const c = await client.completions.create({ model, prompt: 'Hello', max_tokens: 6, temperature: 0 });
    assert.deepEqual([c.object, c.choices.length], ['text_completion', 1]);
  },
  'completion in a stream': async () => {
    const chunks = await all(await client.completions.create({ model, prompt: 'Hello', max_tokens: 6, temperature: 0, stream: true }));
    assert.equal(chunks.map(c => c.choices[0].text).join(''), (await client.completions.create({ model, prompt: 'Hello', max_tokens: 6, temperature: 0 })).choices[0].text);
  },
  'completion with its prompt': async () => assert.match((await client.completions.create({ model, prompt: 'Hello', max_tokens: 2, echo: true })).choices[0].text, /^Hello/),
  'completion of several prompts': async () => assert.equal((await client.completions.create({ model, prompt: ['Hello', 'The sea'], max_tokens: 2, n: 2 })).choices.length, 4),
  'completion of tokens': async () => assert.ok(await client.completions.create({ model, prompt: [5, 6, 7], max_tokens: 2 })),
  'completion with log-probabilities': async () => {
    const { logprobs } = (await client.completions.create({ model, prompt: 'Hello', max_tokens: 4, logprobs: 2, ignore_eos: true })).choices[0];
    assert.deepEqual([logprobs.tokens.length, logprobs.text_offset.length], [logprobs.token_logprobs.length, logprobs.top_logprobs.length]);
  },

  'embedding': async () => assert.ok((await client.embeddings.create({ model, input: 'Hello' })).data[0].embedding.length > 8),
  'embeddings are the same in both encodings': async () => {
    const floats = (await client.embeddings.create({ model, input: ['Hello', 'Sea'], encoding_format: 'float' })).data;
    const base64 = (await client.embeddings.create({ model, input: ['Hello', 'Sea'] })).data;
    floats.forEach((f, i) => f.embedding.forEach((x, j) => assert.ok(Math.abs(x - base64[i].embedding[j]) < 1e-5)));
  },
  'embedding with fewer dimensions': async () => assert.equal((await client.embeddings.create({ model, input: 'Hello', dimensions: 4 })).data[0].embedding.length, 4),

  'response': async () => {
    const r = await client.responses.create({ model, input: 'Hi', temperature: 0, max_output_tokens: 8, ignore_eos: true });
    assert.deepEqual([r.object, r.status, r.usage.output_tokens], ['response', 'incomplete', 8]);
    assert.ok(r.output_text.length > 0);
  },
  'response in a stream': async () => {
    const events = await all(await client.responses.create({ model, input: 'Hi', temperature: 0, max_output_tokens: 8, ignore_eos: true, stream: true }));
    assert.equal(events.filter(e => e.type === 'response.output_text.delta').map(e => e.delta).join(''), events.at(-1).response.output[0].content[0].text);
  },
  'response helper puts the answer together': async () => {
    const final = await client.responses.stream({ model, input: 'Hi', temperature: 0, max_output_tokens: 8 }).finalResponse();
    assert.ok(final.output_text.length > 0);
  },
  'response calls a function': async () => {
    const r = await client.responses.create({ model, input: 'Hi', temperature: 0, tools: [{ type: 'function', name: 'weather', parameters: schema, strict: true }], tool_choice: 'required', parallel_tool_calls: false });
    assert.deepEqual([r.output[0].type, r.output[0].name], ['function_call', 'weather']);
    assert.ok(await client.responses.create({ model, max_output_tokens: 3, input: [{ role: 'user', content: 'Hi' }, r.output[0], { type: 'function_call_output', call_id: r.output[0].call_id, output: '12' }] }));
  },
  'response by a schema': async () => assert.ok(JSON.parse((await client.responses.create({ model, input: 'Hi', text: { format: { type: 'json_schema', name: 'x', schema, strict: true } } })).output_text).size),

  'error of a wrong value': () => refused(client.chat.completions.create({ ...chat, temperature: 3 }), OpenAI.BadRequestError, { status: 400, param: 'temperature', type: 'invalid_request_error', code: 'invalid_value' }),
  'error of a wrong type': () => refused(client.chat.completions.create({ ...chat, max_tokens: 'many' }), OpenAI.BadRequestError, { param: 'max_tokens', code: 'wrong_type' }),
  'error of too long a prompt': () => refused(client.chat.completions.create({ ...chat, messages: [{ role: 'user', content: 'word '.repeat(2000) }] }), OpenAI.BadRequestError, { code: 'context_length_exceeded' }),
  'error of an unknown model': () => refused(client.chat.completions.create({ ...chat, model: 'none' }), OpenAI.NotFoundError, { code: 'model_not_found', param: 'model' }),
  'error of a wrong key': () => refused(new OpenAI({ baseURL, apiKey: 'wrong', maxRetries: 0 }).models.list(), OpenAI.AuthenticationError, { code: 'invalid_api_key' }),
  'error of an unknown path': () => refused(client.get('/nothing'), OpenAI.NotFoundError),
  'error has a request id': async () => assert.ok((await refused(client.chat.completions.create({ ...chat, n: 0 }), OpenAI.BadRequestError)).requestID),
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    const error = await check().then(() => null, e => `${e?.message ?? e}`);
    console.log(JSON.stringify({ name, error }));
  }
})();
