"""What a server is to be told lies ready, in order, until somebody fetches it."""

from llmws_tutorial.messages import (
    CallDetails,
    CallFacts,
    Config,
    ConfigFields,
    ReminderRequired,
    Request,
    ResponseRequired,
    UpdateOnly,
    unpack_utterances,
)
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.outbox import Outbox
from llmws_tutorial.simulator.transcript import Transcript
from llmws_tutorial.simulator.turn import Turn
from llmws_tutorial.simulator.wishes import Wishes


def said_in(message: Request) -> list[str]:
    assert isinstance(message, UpdateOnly)
    return [said.content for said in unpack_utterances(message.transcript)]


def test_messages_are_handed_out_in_order_and_once() -> None:
    outbox = Outbox(Transcript(), Wishes(Choices()))
    outbox.tell_details(CallFacts(call_type="web_call"))
    outbox.update("user_turn")
    outbox.ask(Turn("response", 1, asked_at_s=0.0))
    outbox.ask(Turn("reminder", 2, asked_at_s=0.0))
    details, update, request, reminder = outbox.take()
    assert isinstance(details, CallDetails)
    assert isinstance(update, UpdateOnly)
    assert isinstance(request, ResponseRequired)
    assert isinstance(reminder, ReminderRequired)
    assert (update.turntaking, request.response_id, reminder.response_id) == ("user_turn", 1, 2)
    assert outbox.take() == []


def test_a_message_tells_what_was_heard_when_it_was_written() -> None:
    heard = Transcript()
    outbox = Outbox(heard, Wishes(Choices()))
    for content in ("Are", "Are you?"):
        heard.hear("user", content, None)
        outbox.update()
    assert [said_in(message) for message in outbox.take()] == [["Are"], ["Are you?"]]


def test_what_was_done_is_told_as_soon_as_the_server_wants_it() -> None:
    heard, wishes = Transcript(), Wishes(Choices())
    outbox = Outbox(heard, wishes)
    heard.hear("user", "Hello?", None)
    outbox.update()
    wishes.take(Config(config=ConfigFields(transcript_with_tool_calls=True)), 0.0)
    outbox.update()
    without, with_it = outbox.take()
    assert isinstance(without, UpdateOnly)
    assert isinstance(with_it, UpdateOnly)
    assert bytes(with_it.transcript_with_tool_calls) == bytes(heard.pack_woven())
    assert bytes(without.transcript_with_tool_calls) != bytes(heard.pack_woven())
