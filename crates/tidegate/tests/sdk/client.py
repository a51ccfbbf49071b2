"""The official Python client, unmodified, against a gateway.

Run by `tests/sdk.rs`: TIDEGATE_GATEWAY, TIDEGATE_APP_TOKEN and TIDEGATE_TICKET
(a line of the example's traffic) are in the environment.
"""

import json
import os

import openai

BASE = os.environ["TIDEGATE_GATEWAY"] + "/v1"
TICKET = json.loads(os.environ["TIDEGATE_TICKET"])
MODEL = "app/support-summary"
MESSAGES = [{"role": "user", "content": "Please summarise this chat."}]
EXTRA = {"tidegate": {"vars": TICKET["vars"], "attrs": {"tenant": "acme"}}}

client = openai.OpenAI(
    base_url=BASE, api_key=os.environ["TIDEGATE_APP_TOKEN"], max_retries=0, timeout=20
)


def expect_error(kind, code, work):
    try:
        work()
    except kind as error:
        assert error.code == code, f"code {error.code!r}, expected {code!r}: {error}"
        own = error.body["tidegate"]
        assert own["code"] == code and own["hint"], own
        assert error.request_id, "an error names its request"
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def lists_models():
    models = {model.id: model for model in client.models.list()}
    assert MODEL in models, list(models)
    assert models[MODEL].object == "model"


def answers_whole():
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=MESSAGES,
        temperature=0,
        extra_body=EXTRA,
        extra_headers={"X-Tidegate-Subject": "reader-7"},
    )
    answer = raw.parse()
    text = answer.choices[0].message.content
    assert TICKET["vars"]["order_number"] in text, text
    assert answer.object == "chat.completion"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    for name in ("x-request-id", "x-tidegate-release", "x-tidegate-arm"):
        assert raw.headers.get(name), f"{name} is missing in {dict(raw.headers)}"
    assert raw.headers["x-tidegate-release"].startswith("rel-")
    assert answer._request_id == raw.headers["x-request-id"]
    return text


def answers_as_a_stream(whole):
    with client.chat.completions.with_streaming_response.create(
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=EXTRA,
    ) as raw:
        assert raw.headers["x-tidegate-release"].startswith("rel-")
        assert raw.headers["content-type"].startswith("text/event-stream")
        chunks = list(raw.parse())
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole, f"{text!r} is not {whole!r}"
    assert len(chunks) > 2, "a stream comes in pieces"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens > 0, chunks[-1]


def sticks():
    def release(subject):
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL,
            messages=MESSAGES,
            extra_body=EXTRA,
            extra_headers={"X-Tidegate-Subject": subject},
        )
        return raw.headers["x-tidegate-release"]

    assert release("reader-1") == release("reader-1")


def fails_in_the_clients_words():
    def create(api_key=None, **changed):
        words = {"model": MODEL, "messages": MESSAGES, "extra_body": EXTRA, **changed}
        with_key = client if api_key is None else client.with_options(api_key=api_key)
        return lambda: with_key.chat.completions.create(**words)

    expect_error(openai.AuthenticationError, "invalid_api_key", create(api_key="tgk_wrong"))
    expect_error(openai.NotFoundError, "model_not_found", create(model="app/nobody"))
    missing = expect_error(
        openai.BadRequestError, "missing_variables", create(extra_body={"tidegate": {"vars": {}}})
    )
    assert "ticket_id" in str(missing), missing


if __name__ == "__main__":
    lists_models()
    answers_as_a_stream(answers_whole())
    sticks()
    fails_in_the_clients_words()
    print(f"python openai {openai.__version__}: all well")
