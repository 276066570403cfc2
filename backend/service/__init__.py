"""The service: one ROUTER, one worker that owns the device, and a desk and a door for what needs no device.

settings.py    what `serve` is told
parameters.py  the one place that turns a request's parameters into settings
handlers/     request type -> function; no sockets, so that the command line calls the same ones in-process
jobs.py        which request runs next
worker.py      a thread that runs one request at a time; the one place where exceptions become answers
outbox.py      what workers want sent, handed to the I/O thread without either waiting
eta.py         how long a job will still take
auth.py        who may connect (PLAIN token on loopback, CURVE with an allow-list beyond)
device.py      which device computes, and how many threads
loop.py        the I/O thread: ROUTER, protocol machine, dispatch to the workers
server.py      `serve`: from settings to a listening process, and its end
parent.py      ends with the process that started us
"""
