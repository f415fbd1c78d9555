"""The program of a child process: it serves a model while its parent lives.

Its parent holds the other end of stdin. However it ends, the system closes that, and the child ends
at once: it is run as a file, by its path, and nothing else of this package is loaded with it.

Xllamacpp is optional, and imported by this module alone.
"""

import os
import signal
import sys
from typing import Final

import xllamacpp

SLOTS: Final = 2
"""How many answers are written at once; further ones wait."""
CONTEXT: Final = 4096
"""How many tokens each of them may have in view, its own included."""
BATCH: Final = 64
"""How many tokens are read at once.

Only between two batches is a request given up, and the other answer goes on. The usual 2048 would
be read no faster, and take ten seconds.
"""
MOST_THREADS: Final = 4
"""A container counts cores that it may not use; threads that fight for one slow each other down."""


def main(weights: str, name: str, port: str) -> None:
    """Serve weights, print the base URL once the model answers, end with stdin.

    Args:
        weights: the file.
        name: under which the model is listed.
        port: on 127.0.0.1; 0 takes a free one.
    """
    try:
        server = xllamacpp.Server(_parameters(weights, name, int(port)))
    except RuntimeError as error:  # what was wrong it has logged
        raise SystemExit(str(error)) from None
    hello = {"messages": [{"role": "user", "content": "Hello?"}], "max_tokens": 1}
    server.handle_chat_completions(hello)  # the first answer takes longest
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()
    signal.raise_signal(signal.SIGTERM)  # the server's own end waits for answers under way


def _parameters(weights: str, name: str, port: int) -> xllamacpp.CommonParams:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = weights
    parameters.model_alias = {name}
    parameters.port = port
    parameters.cors_origins = "http://127.0.0.1"  # pages of strangers are not to read it
    parameters.ui = False
    parameters.endpoint_metrics = True
    parameters.verbosity = 1  # errors
    parameters.n_parallel = SLOTS
    parameters.n_ctx = SLOTS * CONTEXT
    parameters.n_batch = parameters.n_ubatch = BATCH
    parameters.cache_ram_mib = 0  # beside what the slots hold already
    threads = min(MOST_THREADS, max(1, (os.cpu_count() or 1) - 1))
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    return parameters


if __name__ == "__main__":
    main(*sys.argv[1:])
