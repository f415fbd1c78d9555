"""The server that the stand-in is measured with: heartbeats, and an answer at once."""

from llmws_tutorial.server import DummyResponder, Settings, create_app

app = create_app(DummyResponder(), settings=Settings(max_calls=2000, settle_s=0))
