"""llama.cpp's own HTTP server as a process: `model-server-main.py SETTINGS` (JSON). Prints its address when it answers."""

import json
import signal
import sys

settings = json.loads(sys.argv[1])
sys.path.insert(0, settings["packages"])
import xllamacpp  # noqa: E402

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

params = xllamacpp.CommonParams()
params.model.path = settings["weights"]
params.model_alias = {settings["model"]}
params.hostnames = ["127.0.0.1"]
params.port = 0
params.offline = True
params.ui = False
params.verbosity = 1
params.endpoint_metrics = True
params.n_parallel = settings["slots"]
params.n_ctx = settings["slots"] * settings["contextTokens"]
params.n_predict = settings["answerTokensMax"]
params.n_threads_http = settings["connectionsMax"]
params.cpuparams.n_threads = settings["threads"]
params.cpuparams_batch.n_threads = settings["threads"]
params.cache_ram_mib = 0  # by default llama.cpp keeps up to 8 GiB of old prompts
params.embedding = True
params.pooling_type = 1  # mean
with open(settings["chatTemplate"]) as template:
    params.chat_template = template.read()
# The model knows no end of its turn, and would repeat a tool call for ever: one call an answer.
# A request's own `stop` replaces these.
params.antiprompt = ["\nUser:", "\nResult:", "</tool_call>"]

server = xllamacpp.Server(params)
print("listening " + server.listening_address, flush=True)
while True:
    signal.pause()
