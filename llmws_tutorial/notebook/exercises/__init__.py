"""The exercises: for each a judge that rules on answers, a module for each part."""

from llmws_tutorial.notebook.exercises import guide, interruptions, llm, tools
from llmws_tutorial.notebook.exercises.guide import app_with
from llmws_tutorial.notebook.exercises.registry import EXERCISES, finish

__all__ = ["EXERCISES", "app_with", "finish", "guide", "interruptions", "llm", "tools"]
