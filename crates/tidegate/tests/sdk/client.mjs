// The official Node client, unmodified, against a gateway.
//
// Run by `tests/sdk.rs`: TIDEGATE_GATEWAY, TIDEGATE_APP_TOKEN and TIDEGATE_TICKET
// (a line of the example's traffic) are in the environment.

import assert from 'node:assert/strict'
import OpenAI from 'openai'

const { TIDEGATE_GATEWAY, TIDEGATE_APP_TOKEN, TIDEGATE_TICKET } = process.env
const ticket = JSON.parse(TIDEGATE_TICKET)
const model = 'app/support-summary'
const messages = [{ role: 'user', content: 'Please summarise this chat.' }]
const tidegate = { vars: ticket.vars, attrs: { tenant: 'acme' } }
const connect = (apiKey) =>
  new OpenAI({ baseURL: `${TIDEGATE_GATEWAY}/v1`, apiKey, maxRetries: 0, timeout: 20_000 })
const client = connect(TIDEGATE_APP_TOKEN)

async function listsModels() {
  const ids = []
  for await (const entry of client.models.list()) ids.push(entry.id)
  assert.ok(ids.includes(model), `${ids}`)
}

async function answersWhole() {
  const { data, response, request_id } = await client.chat.completions
    .create({ model, messages, tidegate }, { headers: { 'X-Tidegate-Subject': 'reader-7' } })
    .withResponse()
  const text = data.choices[0].message.content
  assert.ok(text.includes(ticket.vars.order_number), text)
  assert.equal(data.choices[0].finish_reason, 'stop')
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens)
  assert.match(response.headers.get('x-tidegate-release'), /^rel-/)
  assert.ok(response.headers.get('x-tidegate-arm'))
  assert.equal(request_id, response.headers.get('x-request-id'))
  return text
}

async function answersAsAStream(whole) {
  const { data: stream, response } = await client.chat.completions
    .create({ model, messages, tidegate, stream: true, stream_options: { include_usage: true } })
    .withResponse()
  assert.match(response.headers.get('x-tidegate-release'), /^rel-/)
  let text = ''
  let pieces = 0
  let usage = null
  let finish = null
  for await (const chunk of stream) {
    pieces += 1
    text += chunk.choices[0]?.delta?.content ?? ''
    finish = chunk.choices[0]?.finish_reason ?? finish
    usage = chunk.usage ?? usage
  }
  assert.equal(text, whole)
  assert.ok(pieces > 2, 'a stream comes in pieces')
  assert.equal(finish, 'stop')
  assert.ok(usage.completion_tokens > 0)
}

async function failsInTheClientsWords() {
  const create = (from, changed = {}) =>
    from.chat.completions.create({ model, messages, tidegate, ...changed })
  const table = [
    [OpenAI.AuthenticationError, 'invalid_api_key', () => create(connect('tgk_wrong'))],
    [OpenAI.NotFoundError, 'model_not_found', () => create(client, { model: 'app/nobody' })],
    [OpenAI.BadRequestError, 'missing_variables', () => create(client, { tidegate: { vars: {} } })],
  ]
  for (const [kind, code, work] of table) {
    await assert.rejects(work, (error) => {
      assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`)
      assert.equal(error.code, code)
      assert.equal(error.error.tidegate.code, code)
      assert.ok(error.error.tidegate.hint)
      assert.ok(error.requestID)
      return true
    })
  }
}

await listsModels()
await answersAsAStream(await answersWhole())
await failsInTheClientsWords()
console.log('node openai: all well')
